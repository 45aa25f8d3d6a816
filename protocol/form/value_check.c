/* Values as cells hold them: do they fit a field, and how are they written as text. */
#include "protocol/form/value_parts.h"
#include "protocol/guard.h"
#include "protocol/pack.h"

/* ---- reading --------------------------------------------------------------------- */

static int64_t read_number(struct hm_reader *r, bool *out_known)
{
    *out_known = !hm_unpack_nil(r);
    return *out_known ? hm_unpack_int(r) : 0;
}

/* An array of four at the start of r. */
static bool read_point(struct hm_reader *r, struct hm_value_point *point)
{
    hm_unpack_array_exact(r, 4);
    point->latitude = hm_unpack_int(r);
    point->longitude = hm_unpack_int(r);
    point->altitude_mm = read_number(r, &point->has_altitude);
    point->accuracy_mm = read_number(r, &point->has_accuracy);
    return r->err == HM_OK && hm_value_point_in_range(point);
}

static bool read_points(struct hm_reader *r)
{
    size_t count = hm_unpack_array(r, HM_VALUE_ITEMS_MAX);
    bool good = count > 0;

    for (size_t i = 0; i < count && good; i++) {
        struct hm_value_point point;

        good = read_point(r, &point);
    }
    return good;
}

static bool is_word(struct hm_bytes text)
{
    struct hm_bytes left = text;

    return text.len > 0 && hm_value_word(&left).len == text.len;
}

/* Unique because they rise. */
static bool read_set(struct hm_reader *r)
{
    size_t count = hm_unpack_array(r, HM_VALUE_ITEMS_MAX);
    struct hm_bytes before = {0};
    bool good = count > 0;

    for (size_t i = 0; i < count && good; i++) {
        struct hm_bytes word = hm_unpack_str(r);

        good = is_word(word) && hm_bytes_compare(before, word) < 0;
        before = word;
    }
    return good;
}

static bool read_ranking(struct hm_reader *r)
{
    struct hm_reader again = *r;
    size_t count = hm_unpack_array(r, HM_VALUE_ITEMS_MAX);

    for (size_t i = 0; i < count; i++) {
        struct hm_bytes word = hm_unpack_str(r);
        struct hm_reader others = again;

        (void)hm_unpack_array(&others, HM_VALUE_ITEMS_MAX);
        for (size_t k = 0; k < i; k++) {
            if (hm_bytes_equal(hm_unpack_str(&others), word)) {
                return false;
            }
        }
        if (!is_word(word)) {
            return false;
        }
    }
    return count > 0;
}

static bool read_decimal(struct hm_reader *r)
{
    struct hm_value_decimal decimal;
    struct hm_bytes text;

    if (hm_unpack_peek(r) != HM_PACK_STR) {
        (void)hm_unpack_int(r); /* of the time when the field was an int */
        return r->err == HM_OK;
    }
    text = hm_unpack_str(r);
    return hm_value_parse_decimal(text, &decimal) == HM_VALUE_NUMBER_OK &&
           hm_bytes_equal(text, hm_bytes_str(decimal.text));
}

static bool read_file(struct hm_reader *r)
{
    if (hm_unpack_peek(r) == HM_PACK_ARRAY) {
        hm_unpack_array_exact(r, 2);
        if (hm_unpack_bin(r).len != HM_VALUE_HASH_BYTES) {
            return false;
        }
    }
    return hm_value_is_file_name(hm_unpack_str(r));
}

/* ---- check ----------------------------------------------------------------------- */

static bool fits(enum hm_field_type type, struct hm_reader *r)
{
    struct hm_value_point point;

    switch (type) {
    case HM_FIELD_TYPE_STRING:
    case HM_FIELD_TYPE_SELECT1:
    case HM_FIELD_TYPE_BARCODE:
    case HM_FIELD_TYPE_INTENT:
        return hm_unpack_str(r).len > 0;
    case HM_FIELD_TYPE_INT:
        (void)hm_unpack_int(r);
        return true;
    case HM_FIELD_TYPE_DECIMAL:
        return read_decimal(r);
    case HM_FIELD_TYPE_BOOLEAN:
        (void)hm_unpack_bool(r);
        return true;
    case HM_FIELD_TYPE_DATE:
        return hm_value_is_date(hm_unpack_str(r));
    case HM_FIELD_TYPE_TIME:
        return hm_value_is_time(hm_unpack_str(r));
    case HM_FIELD_TYPE_DATETIME:
        return hm_value_is_datetime(hm_unpack_str(r));
    case HM_FIELD_TYPE_SELECT:
        return read_set(r);
    case HM_FIELD_TYPE_RANK:
        return read_ranking(r);
    case HM_FIELD_TYPE_GEOPOINT:
        return read_point(r, &point);
    case HM_FIELD_TYPE_GEOTRACE:
    case HM_FIELD_TYPE_GEOSHAPE:
        return read_points(r);
    case HM_FIELD_TYPE_BINARY:
        return read_file(r);
    }
    return false;
}

int hm_value_check(const struct hm_field_entry *entry, struct hm_bytes value,
                   struct hm_buf *why)
{
    struct hm_reader r = {.left = value};

    hm_buf_clear(why);
    if (hm_guard_check(value) != HM_OK) {
        hm_value_why_start(why, entry);
        hm_buf_append_str(why, "the value is not in its canonical form");
    } else if (entry->kind == HM_FIELD_KIND_REPEAT) {
        hm_value_why_start(why, entry);
        hm_buf_append_str(why, "a repeat has no value");
    } else if (hm_unpack_nil(&r) || (fits(entry->type, &r) && r.err == HM_OK)) {
        return HM_OK;
    } else {
        hm_value_why_start(why, entry);
        hm_buf_printf(why, "the value does not fit the type %s",
                      hm_field_type_name(entry->type));
    }
    return why->err == HM_OK ? HM_INVALID : why->err;
}

/* ---- to text --------------------------------------------------------------------- */

static void points_print(struct hm_reader *r, size_t count, struct hm_buf *out)
{
    for (size_t i = 0; i < count && r->err == HM_OK; i++) {
        struct hm_value_point point;

        if (!read_point(r, &point)) {
            r->err = HM_MALFORMED;
            return;
        }
        hm_buf_append_str(out, i == 0 ? "" : "; ");
        hm_value_print_point(&point, out);
    }
}

static void words_print(struct hm_reader *r, size_t count, struct hm_buf *out)
{
    for (size_t i = 0; i < count && r->err == HM_OK; i++) {
        hm_buf_append_str(out, i == 0 ? "" : " ");
        hm_buf_append(out, hm_unpack_str(r));
    }
}

/* What the first element is tells a point, a line, a file and a set apart. */
static void array_print(struct hm_reader *r, struct hm_buf *out)
{
    struct hm_reader inside = *r;
    size_t count = hm_unpack_array(&inside, HM_VALUE_ITEMS_MAX);
    enum hm_pack_kind first = hm_unpack_peek(&inside);

    if (count > 0 && (first == HM_PACK_UINT || first == HM_PACK_INT)) {
        points_print(r, 1, out);
        return;
    }
    (void)hm_unpack_array(r, HM_VALUE_ITEMS_MAX);
    if (count > 0 && first == HM_PACK_ARRAY) {
        points_print(r, count, out);
    } else if (count == 2 && first == HM_PACK_BIN) {
        (void)hm_unpack_bin(r);
        hm_buf_append(out, hm_unpack_str(r));
    } else {
        words_print(r, count, out);
    }
}

int hm_value_to_text(struct hm_bytes value, struct hm_buf *out)
{
    struct hm_reader r = {.left = value};
    size_t before = out->len;
    int err = hm_guard_check(value) == HM_OK ? HM_OK : HM_MALFORMED;

    if (err != HM_OK || hm_unpack_nil(&r)) {
        return err;
    }
    switch (hm_unpack_peek(&r)) {
    case HM_PACK_BOOL:
        hm_buf_append_str(out, hm_unpack_bool(&r) ? "true" : "false");
        break;
    case HM_PACK_UINT:
    case HM_PACK_INT:
        hm_buf_printf(out, "%lld", (long long)hm_unpack_int(&r));
        break;
    case HM_PACK_STR:
        hm_buf_append(out, hm_unpack_str(&r));
        break;
    case HM_PACK_ARRAY:
        array_print(&r, out);
        break;
    case HM_PACK_NIL:
    case HM_PACK_F64:
    case HM_PACK_BIN:
    case HM_PACK_MAP:
        r.err = HM_MALFORMED;
        break;
    }
    err = r.err != HM_OK ? HM_MALFORMED : out->err;
    if (err != HM_OK) {
        out->len = before;
    }
    return err;
}
