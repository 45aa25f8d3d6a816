#include "protocol/compress.h"

#include <zdict.h>
#include <zstd.h>
#include <zstd_errors.h>

static int err_from_zstd(size_t rc)
{
    ZSTD_ErrorCode code = ZSTD_getErrorCode(rc);

    if (code == ZSTD_error_memory_allocation) {
        return HM_NOMEM;
    }
    if (code == ZSTD_error_srcSize_wrong) {
        return HM_TRUNCATED;
    }
    return code == ZSTD_error_dstSize_tooSmall ? HM_TOOBIG : HM_MALFORMED;
}

/* zstd says "out of memory" of a dictionary that it can't read. */
static bool is_broken(struct hm_bytes dictionary)
{
    struct hm_reader r = {.left = dictionary};
    bool has_magic = hm_reader_uint(&r, 4) == 0x37a430ec;

    return has_magic &&
           ZDICT_isError(ZDICT_getDictHeaderSize(dictionary.data, dictionary.len));
}

int hm_compress(struct hm_bytes bytes, struct hm_dictionary dictionary,
                struct hm_buf *out)
{
    size_t room = ZSTD_compressBound(bytes.len);
    uint8_t *to = hm_buf_reserve(out, room);
    ZSTD_CCtx *context;
    size_t len;

    if (to == NULL) {
        return out->err;
    }
    context = ZSTD_createCCtx();
    if (context == NULL) {
        return HM_NOMEM;
    }
    /* The frame is named beside it, so neither checksum nor dictionary id is repeated.
     */
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, HM_COMPRESS_LEVEL);
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 0);
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0);
    len =
        ZSTD_CCtx_loadDictionary(context, dictionary.bytes.data, dictionary.bytes.len);
    if (!ZSTD_isError(len)) {
        len = ZSTD_compress2(context, to, room, bytes.data, bytes.len);
    }
    (void)ZSTD_freeCCtx(context);
    if (ZSTD_isError(len)) {
        return is_broken(dictionary.bytes) ? HM_MALFORMED : err_from_zstd(len);
    }
    hm_buf_commit(out, len);
    return HM_OK;
}

/* A frame of today's format: neither one to be skipped nor one of an old zstd. */
static bool is_frame(struct hm_bytes frame)
{
    static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd};

    return frame.len >= sizeof magic && memcmp(frame.data, magic, sizeof magic) == 0;
}

int hm_decompress(struct hm_bytes frame, struct hm_dictionary dictionary,
                  size_t bytes_max, struct hm_buf *out)
{
    unsigned long long size = ZSTD_getFrameContentSize(frame.data, frame.len);
    ZSTD_DCtx *context;
    uint8_t *to;
    size_t len;

    if (!is_frame(frame) || size == ZSTD_CONTENTSIZE_ERROR ||
        size == ZSTD_CONTENTSIZE_UNKNOWN) {
        return HM_MALFORMED;
    }
    if (size > bytes_max) {
        return HM_TOOBIG;
    }
    len = ZSTD_findFrameCompressedSize(frame.data, frame.len);
    if (ZSTD_isError(len)) {
        return err_from_zstd(len);
    }
    if (len != frame.len) {
        return HM_MALFORMED; /* a second frame could hold more than was announced */
    }
    to = hm_buf_reserve(out, (size_t)size);
    if (to == NULL) {
        return out->err;
    }
    context = ZSTD_createDCtx();
    if (context == NULL) {
        return HM_NOMEM;
    }
    len = ZSTD_decompress_usingDict(context, to, (size_t)size, frame.data, frame.len,
                                    dictionary.bytes.data, dictionary.bytes.len);
    (void)ZSTD_freeDCtx(context);
    if (ZSTD_isError(len)) {
        return err_from_zstd(len);
    }
    if (len != size) {
        return HM_MALFORMED;
    }
    hm_buf_commit(out, len);
    return HM_OK;
}

int hm_dictionary_train(struct hm_bytes samples, const size_t *sizes, size_t count,
                        size_t bytes_max, struct hm_buf *out)
{
    uint8_t *to = hm_buf_reserve(out, bytes_max);
    size_t len;

    if (to == NULL) {
        return out->err;
    }
    if (count > UINT32_MAX) {
        return HM_INVALID;
    }
    len = ZDICT_trainFromBuffer(to, bytes_max, samples.data, sizes, (unsigned)count);
    if (ZDICT_isError(len)) {
        return err_from_zstd(len) == HM_NOMEM ? HM_NOMEM : HM_INVALID;
    }
    hm_buf_commit(out, len);
    return HM_OK;
}
