#include "storage/records.h"

enum { MAGIC_BYTES = 4 };

static const uint8_t magic[MAGIC_BYTES] = {'H', 'M', 'R', '1'};

static struct hm_hash record_hash(uint8_t kind, struct hm_bytes body)
{
    const uint8_t head[5] = {kind, (uint8_t)(body.len >> 24), (uint8_t)(body.len >> 16),
                             (uint8_t)(body.len >> 8), (uint8_t)body.len};

    return hm_hash_of(hm_bytes_of(head, sizeof head), body);
}

void hm_records_append(struct hm_buf *buf, enum hm_record_kind kind,
                       struct hm_bytes body)
{
    struct hm_hash hash = record_hash((uint8_t)kind, body);

    hm_buf_append(buf, hm_bytes_of(magic, sizeof magic));
    hm_buf_append_u8(buf, (uint8_t)kind);
    hm_buf_append_uint(buf, body.len, 4);
    hm_buf_append(buf, hm_hash_bytes(&hash));
    hm_buf_append(buf, body);
}

/* A record at the very start of bytes. */
static bool read_record(struct hm_bytes bytes, struct hm_record *out)
{
    struct hm_reader r = {.left = bytes};
    struct hm_bytes start = hm_reader_take(&r, sizeof magic);
    uint8_t kind = (uint8_t)hm_reader_uint(&r, 1);
    uint64_t len = hm_reader_uint(&r, 4);
    struct hm_bytes hash = hm_reader_take(&r, HM_HASH_BYTES);
    struct hm_bytes body = hm_reader_take(&r, len);
    struct hm_hash actual;

    if (r.err != HM_OK || len > HM_RECORD_BODY_BYTES_MAX ||
        memcmp(start.data, magic, sizeof magic) != 0) {
        return false;
    }
    actual = record_hash(kind, body);
    if (!hm_bytes_equal(hm_hash_bytes(&actual), hash)) {
        return false;
    }
    *out = (struct hm_record){
        .kind = (enum hm_record_kind)kind,
        .hash = actual,
        .body = body,
        .whole = hm_bytes_of(bytes.data, HM_RECORD_HEADER_BYTES + body.len)};
    return true;
}

bool hm_records_next(struct hm_bytes *left, struct hm_record *out, uint64_t *skipped)
{
    while (left->len > 0) {
        const uint8_t *at;
        size_t past;

        if (read_record(*left, out)) {
            left->data += out->whole.len;
            left->len -= out->whole.len;
            return true;
        }
        /* To the next byte that a record may begin with. */
        at = memchr(left->data + 1, magic[0], left->len - 1);
        past = at == NULL ? left->len : (size_t)(at - left->data);
        left->data += past;
        left->len -= past;
        *skipped += past;
    }
    return false;
}
