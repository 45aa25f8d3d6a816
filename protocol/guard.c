#include "protocol/guard.h"

#include <utf8proc.h>

#include "protocol/pack.h"

/* A canonical decomposition has at most 4 code points for a character of 2 bytes. */
enum { CODE_POINTS_MAX = 2 * HM_GUARD_TEXT_BYTES_MAX };

static bool is_plain_ascii(struct hm_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c >= 0x7f || (c < 0x20 && c != '\t' && c != '\n')) {
            return false;
        }
    }
    return true;
}

/* U+0000 .. U+001F but tab and line feed, U+007F .. U+009F. */
static bool is_control(utf8proc_int32_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n') || (c >= 0x7f && c <= 0x9f);
}

int hm_guard_text(struct hm_bytes text)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    utf8proc_int32_t points[CODE_POINTS_MAX + 1];
    utf8proc_ssize_t count;
    utf8proc_ssize_t len;

    if (text.len > HM_GUARD_TEXT_BYTES_MAX) {
        return HM_TOOBIG;
    }
    if (is_plain_ascii(text)) {
        return HM_OK;
    }
    count = utf8proc_decompose(text.data, (utf8proc_ssize_t)text.len, points,
                               CODE_POINTS_MAX, options);
    if (count < 0 || count > CODE_POINTS_MAX) {
        return HM_MALFORMED;
    }
    for (utf8proc_ssize_t i = 0; i < count; i++) {
        if (is_control(points[i])) {
            return HM_MALFORMED;
        }
    }
    len = utf8proc_reencode(points, count, options); /* in place: points become UTF-8 */
    if (len < 0) {
        return HM_MALFORMED;
    }
    if (!hm_bytes_equal(text, hm_bytes_of(points, (size_t)len))) {
        return HM_NONCANONICAL;
    }
    return HM_OK;
}

/* What is open: an array or a map, how many elements are still to come, and for a map
 * the key before. */
struct level {
    uint64_t left;
    uint64_t last_key;
    bool is_map;
    bool has_key; /* a key was seen in this map before */
};

static void check_key(struct hm_reader *r, struct level *map,
                      const struct hm_pack_head *key)
{
    if (key->kind != HM_PACK_UINT || (map->has_key && key->bits <= map->last_key)) {
        r->err = HM_NONCANONICAL;
    }
    map->last_key = key->bits;
    map->has_key = true;
}

static void check_f64(struct hm_reader *r, uint64_t bits)
{
    bool is_nan = (bits & 0x7fffffffffffffffU) > 0x7ff0000000000000U;

    if (is_nan) {
        r->err = HM_NONCANONICAL;
    }
}

static void check_payload(struct hm_reader *r, const struct hm_pack_head *head)
{
    struct hm_bytes payload = hm_reader_take(r, head->count);

    if (r->err != HM_OK) {
        return;
    }
    if (head->kind == HM_PACK_STR) {
        r->err = hm_guard_text(payload);
    } else if (payload.len > HM_GUARD_BIN_BYTES_MAX) {
        r->err = HM_TOOBIG;
    }
}

/* An element is at least one byte, a pair two: more can't be there. */
static void check_count(struct hm_reader *r, const struct hm_pack_head *head,
                        size_t depth)
{
    uint64_t least = head->kind == HM_PACK_MAP ? 2 : 1;

    if (head->count > r->left.len / least) {
        r->err = HM_TRUNCATED;
    } else if (depth >= HM_GUARD_DEPTH_MAX) {
        r->err = HM_TOOBIG;
    }
}

static void scan(struct hm_reader *r)
{
    struct level levels[HM_GUARD_DEPTH_MAX + 1] = {{.left = 1}};
    size_t depth = 0;

    while (r->err == HM_OK) {
        struct level *level = &levels[depth];
        struct hm_pack_head head;

        if (level->left == 0) {
            if (depth == 0) {
                return;
            }
            depth--;
            continue;
        }
        head = hm_pack_head_read(r);
        if (r->err != HM_OK) {
            return;
        }
        if (level->is_map && level->left % 2 == 0) {
            check_key(r, level, &head);
            if (r->err != HM_OK) {
                return; /* the first error is the one that is told */
            }
        }
        level->left--;
        if (head.kind == HM_PACK_STR || head.kind == HM_PACK_BIN) {
            check_payload(r, &head);
        } else if (head.kind == HM_PACK_F64) {
            check_f64(r, head.bits);
        } else if (head.kind == HM_PACK_ARRAY || head.kind == HM_PACK_MAP) {
            check_count(r, &head, depth);
            if (r->err == HM_OK) {
                bool is_map = head.kind == HM_PACK_MAP;

                levels[++depth] = (struct level){
                    .left = is_map ? 2 * head.count : head.count, .is_map = is_map};
            }
        }
    }
}

int hm_guard_first(struct hm_bytes bytes, struct hm_bytes *out_item)
{
    struct hm_reader r = {.left = bytes};

    scan(&r);
    if (r.err == HM_OK) {
        *out_item = hm_bytes_of(bytes.data, bytes.len - r.left.len);
    }
    return r.err;
}

int hm_guard_check(struct hm_bytes bytes)
{
    struct hm_bytes item;
    int err = hm_guard_first(bytes, &item);

    if (err == HM_OK && item.len != bytes.len) {
        err = HM_MALFORMED;
    }
    return err;
}

size_t hm_guard_depth(struct hm_bytes item)
{
    uint64_t left[HM_GUARD_DEPTH_MAX + 1] = {1};
    struct hm_reader r = {.left = item};
    size_t depth = 0;
    size_t deepest = 0;

    while (r.err == HM_OK) {
        struct hm_pack_head head;

        while (depth > 0 && left[depth] == 0) {
            depth--;
        }
        if (left[depth] == 0) {
            break;
        }
        left[depth]--;
        head = hm_pack_head_read(&r);
        if (head.kind == HM_PACK_STR || head.kind == HM_PACK_BIN) {
            (void)hm_reader_take(&r, head.count);
        } else if (head.kind == HM_PACK_ARRAY || head.kind == HM_PACK_MAP) {
            if (depth == HM_GUARD_DEPTH_MAX) {
                return HM_GUARD_DEPTH_MAX + 1; /* was never accepted */
            }
            left[++depth] = head.kind == HM_PACK_MAP ? 2 * head.count : head.count;
            deepest = depth > deepest ? depth : deepest;
        }
    }
    return deepest;
}
