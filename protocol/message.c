#include "protocol/message.h"

#include "protocol/guard.h"
#include "protocol/pack.h"

enum { LENGTH_BYTES_MAX = 4, ITEM_BYTES_MAX = 64 * 1024 };

bool hm_frame_read(struct hm_reader *r, struct hm_frame *out)
{
    uint64_t len = 0;
    unsigned type;

    if (r->err != HM_OK || r->left.len == 0) {
        return false;
    }
    type = (unsigned)hm_reader_uint(r, 1);
    for (unsigned i = 0;; i++) {
        uint8_t byte = (uint8_t)hm_reader_uint(r, 1);

        if (r->err != HM_OK) {
            return false;
        }
        len |= (uint64_t)(byte & 0x7fU) << (7 * i);
        if ((byte & 0x80U) == 0) {
            if (byte == 0 && i > 0) {
                r->err = HM_NONCANONICAL;
            }
            break;
        }
        if (i + 1 == LENGTH_BYTES_MAX) {
            r->err = HM_NONCANONICAL;
            break;
        }
    }
    out->type = type;
    out->payload = hm_reader_take(r, len);
    return r->err == HM_OK;
}

static void write_head(struct hm_buf *buf, enum hm_frame_type type, size_t len)
{
    hm_buf_append_u8(buf, (uint8_t)type);
    while (len >= 0x80) {
        hm_buf_append_u8(buf, (uint8_t)(len | 0x80U));
        len >>= 7;
    }
    hm_buf_append_u8(buf, (uint8_t)len);
}

void hm_frame_write(struct hm_buf *buf, enum hm_frame_type type,
                    struct hm_bytes payload)
{
    if (payload.len >= 1U << (7 * LENGTH_BYTES_MAX)) {
        buf->err = buf->err == HM_OK ? HM_TOOBIG : buf->err;
        return;
    }
    write_head(buf, type, payload.len);
    hm_buf_append(buf, payload);
}

/* A frame whose payload is one item and then raw bytes. */
static void write_item(struct hm_buf *buf, enum hm_frame_type type, struct hm_buf *item,
                       struct hm_bytes raw)
{
    if (item->err != HM_OK) {
        buf->err = buf->err == HM_OK ? item->err : buf->err;
    } else {
        write_head(buf, type, item->len + raw.len);
        hm_buf_append(buf, hm_buf_bytes(item));
        hm_buf_append(buf, raw);
    }
    hm_buf_deinit(item);
}

static const struct hm_bytes nothing;

/* Reads a payload that is one item and nothing else. */
static int open_item(struct hm_bytes payload, struct hm_reader *r)
{
    int err = hm_guard_check(payload);

    *r = (struct hm_reader){.left = payload};
    return err;
}

/* Reads a payload that is one item followed by raw bytes. */
static int open_item_and_raw(struct hm_bytes payload, struct hm_reader *r,
                             struct hm_bytes *raw)
{
    struct hm_bytes item = {0};
    int err = hm_guard_first(payload, &item);

    if (err == HM_OK) {
        *r = (struct hm_reader){.left = item};
        *raw = hm_bytes_of(payload.data + item.len, payload.len - item.len);
    }
    return err;
}

static struct hm_bytes read_text(struct hm_reader *r)
{
    struct hm_bytes text = hm_unpack_str(r);

    if (r->err == HM_OK && text.len > HM_MESSAGE_TEXT_MAX) {
        r->err = HM_TOOBIG;
    }
    return text;
}

static uint32_t read_u32(struct hm_reader *r)
{
    return (uint32_t)hm_unpack_uint_max(r, UINT32_MAX);
}

static enum hm_level read_level(struct hm_reader *r)
{
    uint64_t level = hm_unpack_uint(r);

    if (r->err == HM_OK && level != HM_LEVEL_HUB && level != HM_LEVEL_CENTRE) {
        r->err = HM_MALFORMED;
    }
    return level == HM_LEVEL_CENTRE ? HM_LEVEL_CENTRE : HM_LEVEL_HUB;
}

void hm_hello_write(struct hm_buf *buf, const struct hm_hello *hello)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 7);
    hm_pack_uint(&item, hello->version_min);
    hm_pack_uint(&item, hello->version_max);
    hm_pack_uint(&item, hello->device);
    hm_pack_int(&item, hello->wall_ms);
    hm_pack_uint(&item, hello->reply_bytes);
    hm_pack_str(&item, hello->program);
    hm_pack_array(&item, hello->dictionary_count);
    for (size_t i = 0; i < hello->dictionary_count; i++) {
        hm_pack_uint(&item, hello->dictionaries[i]);
    }
    write_item(buf, HM_FRAME_HELLO, &item, nothing);
}

int hm_hello_read(struct hm_bytes payload, struct hm_arena *arena, struct hm_hello *out)
{
    struct hm_reader r;
    struct hm_hello hello = {0};
    uint64_t *dictionaries;
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    /* A newer peer may say more behind what we know. */
    if (hm_unpack_array(&r, 64) < 7 && r.err == HM_OK) {
        return HM_MALFORMED;
    }
    hello.version_min = hm_unpack_uint(&r);
    hello.version_max = hm_unpack_uint(&r);
    hello.device = hm_unpack_uint(&r);
    hello.wall_ms = hm_unpack_int(&r);
    hello.reply_bytes = hm_unpack_uint(&r);
    hello.program = read_text(&r);
    hello.dictionary_count = hm_unpack_array(&r, HM_MESSAGE_DICTIONARIES_MAX);
    dictionaries = hm_arena_array(arena, hello.dictionary_count, sizeof *dictionaries);
    if (dictionaries == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < hello.dictionary_count; i++) {
        dictionaries[i] = hm_unpack_uint(&r);
    }
    hello.dictionaries = dictionaries;
    if (r.err == HM_OK) {
        *out = hello;
    }
    return r.err;
}

void hm_logs_write(struct hm_buf *buf, const struct hm_log_offer *logs, size_t count)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, count);
    for (size_t i = 0; i < count; i++) {
        hm_pack_array(&item, 3);
        hm_pack_uint(&item, logs[i].incarnation);
        hm_pack_uint(&item, logs[i].upto);
        hm_pack_bin(&item, hm_hash_bytes(&logs[i].chain));
    }
    write_item(buf, HM_FRAME_LOGS, &item, nothing);
}

int hm_logs_read(struct hm_bytes payload, struct hm_arena *arena,
                 struct hm_log_offer **out_logs, size_t *out_count)
{
    struct hm_reader r;
    struct hm_log_offer *logs;
    size_t count;
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    count = hm_unpack_array(&r, HM_MESSAGE_LOGS_MAX);
    logs = hm_arena_array(arena, count, sizeof *logs);
    if (logs == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < count && r.err == HM_OK; i++) {
        hm_unpack_array_exact(&r, 3);
        logs[i].incarnation = hm_unpack_uint(&r);
        logs[i].upto = hm_unpack_uint(&r);
        hm_unpack_bin_exact(&r, logs[i].chain.bytes, HM_HASH_BYTES);
    }
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out_logs = logs;
        *out_count = count;
    }
    return err;
}

void hm_at_centre_write(struct hm_buf *buf, const struct hm_at_centre *logs,
                        size_t count)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, count);
    for (size_t i = 0; i < count; i++) {
        hm_pack_array(&item, 2);
        hm_pack_uint(&item, logs[i].incarnation);
        hm_pack_uint(&item, logs[i].count);
    }
    write_item(buf, HM_FRAME_AT_CENTRE, &item, nothing);
}

int hm_at_centre_read(struct hm_bytes payload, struct hm_arena *arena,
                      struct hm_at_centre **out_logs, size_t *out_count)
{
    struct hm_reader r;
    struct hm_at_centre *logs;
    size_t count;
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    count = hm_unpack_array(&r, HM_MESSAGE_LOGS_MAX);
    logs = hm_arena_array(arena, count, sizeof *logs);
    if (logs == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < count && r.err == HM_OK; i++) {
        hm_unpack_array_exact(&r, 2);
        logs[i].incarnation = hm_unpack_uint(&r);
        logs[i].count = hm_unpack_uint_max(&r, INT64_MAX);
    }
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out_logs = logs;
        *out_count = count;
    }
    return err;
}

void hm_heard_write(struct hm_buf *buf, enum hm_frame_type type,
                    const struct hm_heard *heard)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 4);
    hm_pack_uint(&item, heard->timeline);
    hm_pack_uint(&item, heard->position);
    hm_pack_uint(&item, heard->items_timeline);
    hm_pack_uint(&item, heard->items_position);
    write_item(buf, type, &item, nothing);
}

int hm_heard_read(struct hm_bytes payload, struct hm_heard *out)
{
    struct hm_reader r;
    struct hm_heard heard;
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, 4);
    heard.timeline = hm_unpack_uint(&r);
    heard.position = hm_unpack_uint_max(&r, INT64_MAX);
    heard.items_timeline = hm_unpack_uint(&r);
    heard.items_position = hm_unpack_uint_max(&r, INT64_MAX);
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = heard;
    }
    return err;
}

void hm_cursor_write(struct hm_buf *buf, const struct hm_cursor *cursor)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 5);
    hm_pack_uint(&item, cursor->scope);
    hm_pack_uint(&item, cursor->timeline);
    hm_pack_uint(&item, cursor->position);
    hm_pack_uint(&item, cursor->salt);
    hm_pack_bin(&item, hm_hash_bytes(&cursor->digest));
    write_item(buf, HM_FRAME_CURSOR, &item, nothing);
}

int hm_cursor_read(struct hm_bytes payload, struct hm_cursor *out)
{
    struct hm_reader r;
    struct hm_cursor cursor = {0};
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, 5);
    cursor.scope = read_u32(&r);
    cursor.timeline = hm_unpack_uint(&r);
    cursor.position = hm_unpack_uint(&r);
    cursor.salt = hm_unpack_uint(&r);
    hm_unpack_bin_exact(&r, cursor.digest.bytes, HM_HASH_BYTES);
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = cursor;
    }
    return err;
}

void hm_hash_list_write(struct hm_buf *buf, enum hm_frame_type type,
                        const struct hm_hash_list *list)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_uint(&item, list->scope);
    write_item(buf, type, &item, list->prefixes);
}

int hm_hash_list_read(struct hm_bytes payload, struct hm_hash_list *out)
{
    struct hm_reader r = {0};
    struct hm_hash_list list = {0};
    int err = open_item_and_raw(payload, &r, &list.prefixes);

    if (err != HM_OK) {
        return err;
    }
    list.scope = read_u32(&r);
    err = hm_unpack_end(&r);
    if (err == HM_OK && list.prefixes.len % HM_HASH_PREFIX_BYTES != 0) {
        err = HM_MALFORMED;
    }
    for (size_t i = HM_HASH_PREFIX_BYTES; i < list.prefixes.len && err == HM_OK;
         i += HM_HASH_PREFIX_BYTES) {
        if (memcmp(list.prefixes.data + i - HM_HASH_PREFIX_BYTES,
                   list.prefixes.data + i, HM_HASH_PREFIX_BYTES) > 0) {
            err = HM_NONCANONICAL;
        }
    }
    if (err == HM_OK) {
        *out = list;
    }
    return err;
}

void hm_want_write(struct hm_buf *buf, const struct hm_want *want)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 2);
    hm_pack_bin(&item, hm_bytes_of(want->hash, sizeof want->hash));
    hm_pack_uint(&item, want->offset);
    write_item(buf, HM_FRAME_WANT, &item, nothing);
}

int hm_want_read(struct hm_bytes payload, struct hm_want *out)
{
    struct hm_reader r;
    struct hm_want want = {0};
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, 2);
    hm_unpack_bin_exact(&r, want.hash, sizeof want.hash);
    want.offset = hm_unpack_uint(&r);
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = want;
    }
    return err;
}

void hm_time_write(struct hm_buf *buf, const struct hm_time *time)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 7);
    hm_pack_int(&item, time->received_ms);
    hm_pack_int(&item, time->sent_ms);
    hm_pack_uint(&item, time->version);
    hm_pack_uint(&item, time->level);
    hm_pack_uint(&item, time->device);
    hm_pack_uint(&item, time->retry_after_s);
    hm_pack_str(&item, time->text);
    write_item(buf, HM_FRAME_TIME, &item, nothing);
}

int hm_time_read(struct hm_bytes payload, struct hm_time *out)
{
    struct hm_reader r;
    struct hm_time time = {0};
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    if (hm_unpack_array(&r, 64) < 7 && r.err == HM_OK) {
        return HM_MALFORMED;
    }
    time.received_ms = hm_unpack_int(&r);
    time.sent_ms = hm_unpack_int(&r);
    time.version = hm_unpack_uint(&r);
    time.level = read_level(&r);
    time.device = hm_unpack_uint(&r);
    time.retry_after_s = hm_unpack_uint(&r);
    time.text = read_text(&r);
    if (r.err == HM_OK) {
        *out = time;
    }
    return r.err;
}

void hm_receipt_write(struct hm_buf *buf, const struct hm_receipt *receipt)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 3);
    hm_pack_uint(&item, receipt->incarnation);
    hm_pack_uint(&item, receipt->count);
    hm_pack_uint(&item, receipt->level);
    write_item(buf, HM_FRAME_RECEIPT, &item, nothing);
}

int hm_receipt_read(struct hm_bytes payload, struct hm_receipt *out)
{
    struct hm_reader r;
    struct hm_receipt receipt = {0};
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, 3);
    receipt.incarnation = hm_unpack_uint(&r);
    receipt.count = hm_unpack_uint(&r);
    receipt.level = read_level(&r);
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = receipt;
    }
    return err;
}

void hm_quarantined_write(struct hm_buf *buf, const struct hm_quarantined *notice)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 4);
    hm_pack_uint(&item, notice->dot.incarnation);
    hm_pack_uint(&item, notice->dot.n);
    hm_pack_int(&item, notice->reason);
    hm_pack_str(&item, notice->text);
    write_item(buf, HM_FRAME_QUARANTINED, &item, nothing);
}

int hm_quarantined_read(struct hm_bytes payload, struct hm_quarantined *out)
{
    struct hm_reader r;
    struct hm_quarantined notice = {0};
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, 4);
    notice.dot.incarnation = hm_unpack_uint(&r);
    notice.dot.n = hm_unpack_uint(&r);
    notice.reason = hm_unpack_int(&r);
    notice.text = read_text(&r);
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = notice;
    }
    return err;
}

void hm_blob_piece_write(struct hm_buf *buf, const struct hm_blob_piece *piece)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 3);
    hm_pack_bin(&item, hm_bytes_of(piece->hash, sizeof piece->hash));
    hm_pack_uint(&item, piece->offset);
    hm_pack_uint(&item, piece->size);
    write_item(buf, HM_FRAME_BLOB, &item, piece->bytes);
}

int hm_blob_piece_read(struct hm_bytes payload, struct hm_blob_piece *out)
{
    struct hm_reader r = {0};
    struct hm_blob_piece piece = {0};
    int err = open_item_and_raw(payload, &r, &piece.bytes);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, 3);
    hm_unpack_bin_exact(&r, piece.hash, sizeof piece.hash);
    piece.offset = hm_unpack_uint(&r);
    piece.size = hm_unpack_uint(&r);
    err = hm_unpack_end(&r);
    if (err == HM_OK &&
        (piece.offset > piece.size || piece.bytes.len > piece.size - piece.offset)) {
        err = HM_MALFORMED;
    }
    if (err == HM_OK) {
        *out = piece;
    }
    return err;
}
