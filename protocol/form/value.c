#include "protocol/form/value.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "protocol/form/value_parts.h"
#include "protocol/guard.h"
#include "protocol/pack.h"

/* ---- why ------------------------------------------------------------------------- */

enum { QUOTE_BYTES_MAX = 60, CHOICES_SHOWN = 5 };

/* At most max bytes of text, cut at a character and marked as cut. */
static void append_cut(struct hm_buf *why, struct hm_bytes text, size_t max)
{
    size_t len = text.len;

    if (len > max) {
        len = max;
        while (len > 0 && (text.data[len] & 0xC0) == 0x80) {
            len--;
        }
    }
    hm_buf_append(why, hm_bytes_of(text.data, len));
    if (len < text.len) {
        hm_buf_append_str(why, "...");
    }
}

void hm_value_why_start(struct hm_buf *why, const struct hm_field_entry *entry)
{
    hm_buf_clear(why);
    if (entry->label_count > 0 && entry->labels[0].text[0] != 0) {
        hm_buf_append_str(why, "\"");
        append_cut(why, hm_bytes_str(entry->labels[0].text), 200);
        hm_buf_append_str(why, "\" (");
        append_cut(why, hm_bytes_str(entry->name), 200);
        hm_buf_append_str(why, "): ");
    } else {
        append_cut(why, hm_bytes_str(entry->name), 200);
        hm_buf_append_str(why, ": ");
    }
}

/* HM_INVALID, with a sentence: the field, the answer, what is wrong with it. */
static int refuse(struct hm_buf *why, const struct hm_field_entry *entry,
                  struct hm_bytes answer, const char *reason)
{
    hm_value_why_start(why, entry);
    if (answer.len > 0) {
        hm_buf_append_str(why, "\"");
        append_cut(why, answer, QUOTE_BYTES_MAX);
        hm_buf_append_str(why, "\" ");
    }
    hm_buf_append_str(why, reason);
    return why->err == HM_OK ? HM_INVALID : why->err;
}

/* ---- texts ----------------------------------------------------------------------- */

struct answer {
    const struct hm_field_table *table;
    const struct hm_field_entry *entry;
    struct hm_bytes text; /* NFC, without control characters, blanks cut where due */
    struct hm_buf *out;
    struct hm_buf *why;
};

static bool is_free_text(enum hm_field_type type)
{
    return type == HM_FIELD_TYPE_STRING || type == HM_FIELD_TYPE_BARCODE ||
           type == HM_FIELD_TYPE_INTENT;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct hm_bytes trimmed(struct hm_bytes text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text = hm_bytes_of(text.data + 1, text.len - 1);
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Browsers end lines of a text area with CR LF: the CR goes. */
static void drop_cr(struct hm_bytes text, struct hm_buf *lines)
{
    for (size_t i = 0; i < text.len; i++) {
        bool crlf =
            text.data[i] == '\r' && i + 1 < text.len && text.data[i + 1] == '\n';

        if (!crlf) {
            hm_buf_append_u8(lines, text.data[i]);
        }
    }
}

/* *out_nfc is the caller's to free(); empty texts give NULL. */
static int normalise(struct answer *a, struct hm_bytes text, utf8proc_uint8_t **out_nfc)
{
    struct hm_buf lines;
    utf8proc_ssize_t len;
    utf8proc_uint8_t *nfc = NULL;
    int err = HM_OK;

    hm_buf_init(&lines, HM_VALUE_TEXT_BYTES_MAX * 4);
    drop_cr(text, &lines);
    if (lines.err != HM_OK) {
        err = lines.err == HM_TOOBIG
                  ? refuse(a->why, a->entry, text, "is longer than 4096 bytes")
                  : lines.err;
        goto out;
    }
    len = lines.len == 0 ? 0
                         : utf8proc_map(lines.data, (utf8proc_ssize_t)lines.len, &nfc,
                                        UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (len == UTF8PROC_ERROR_NOMEM) {
        err = HM_NOMEM;
    } else if (len < 0) {
        /* The bytes are not shown: they would break the sentence, too. */
        err = refuse(a->why, a->entry, hm_bytes_str(NULL), "the text is not UTF-8");
    } else {
        a->text = hm_bytes_of(nfc, (size_t)len);
        *out_nfc = nfc;
        nfc = NULL;
    }
out:
    free(nfc);
    hm_buf_deinit(&lines);
    return err;
}

/* The text as a cell may hold it. */
static int text_check(struct answer *a)
{
    int err = a->text.len == 0 ? HM_OK : hm_guard_text(a->text);

    if (err == HM_TOOBIG) {
        return refuse(a->why, a->entry, a->text, "is longer than 4096 bytes");
    }
    if (err != HM_OK) {
        return refuse(a->why, a->entry, hm_bytes_str(NULL),
                      "the text has control characters; only tab and line end are "
                      "allowed");
    }
    return HM_OK;
}

/* ---- choices --------------------------------------------------------------------- */

static const struct hm_field_choices *choices_of(const struct answer *a)
{
    return a->entry->list < 0 ? NULL : &a->table->lists[a->entry->list];
}

static bool is_offered(const struct hm_field_choices *list, struct hm_bytes value)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!list->choices[i].retired &&
            hm_bytes_equal(hm_bytes_str(list->choices[i].value), value)) {
            return true;
        }
    }
    return false;
}

/* "... is not a choice; allowed are 1 (Male), 2 (Female) and 7 more" */
static int refuse_choice(const struct answer *a, struct hm_bytes value,
                         const struct hm_field_choices *list)
{
    size_t shown = 0;
    size_t offered = 0;
    int err =
        refuse(a->why, a->entry, value, "is not one of the choices; allowed are ");

    for (size_t i = 0; i < list->count; i++) {
        const struct hm_field_choice *choice = &list->choices[i];

        if (choice->retired || offered++ >= CHOICES_SHOWN) {
            continue;
        }
        hm_buf_append_str(a->why, shown++ == 0 ? "" : ", ");
        append_cut(a->why, hm_bytes_str(choice->value), QUOTE_BYTES_MAX);
        if (choice->label[0] != 0) {
            hm_buf_append_str(a->why, " (");
            append_cut(a->why, hm_bytes_str(choice->label), QUOTE_BYTES_MAX);
            hm_buf_append_str(a->why, ")");
        }
    }
    if (offered > shown) {
        hm_buf_printf(a->why, " and %zu more", offered - shown);
    }
    return a->why->err == HM_OK ? err : a->why->err;
}

static int choice_check(const struct answer *a, struct hm_bytes value)
{
    const struct hm_field_choices *list = choices_of(a);

    if (a->entry->choices_open || list == NULL || is_offered(list, value)) {
        return HM_OK;
    }
    return refuse_choice(a, value, list);
}

static int compare_words(const void *left, const void *right)
{
    return hm_bytes_compare(*(const struct hm_bytes *)left,
                            *(const struct hm_bytes *)right);
}

static bool has_word(const struct hm_bytes *words, size_t count, struct hm_bytes word)
{
    for (size_t i = 0; i < count; i++) {
        if (hm_bytes_equal(words[i], word)) {
            return true;
        }
    }
    return false;
}

static int words_take(struct answer *a, struct hm_bytes *words, size_t *out_count)
{
    struct hm_bytes left = a->text;
    struct hm_bytes word = hm_value_word(&left);
    int err = HM_OK;

    for (; word.len > 0 && err == HM_OK; word = hm_value_word(&left)) {
        if (has_word(words, *out_count, word)) {
            if (a->entry->type == HM_FIELD_TYPE_RANK) {
                return refuse(a->why, a->entry, word, "is ranked twice");
            }
            continue;
        }
        if (*out_count == HM_VALUE_ITEMS_MAX) {
            return refuse(a->why, a->entry, hm_bytes_str(NULL),
                          "more than 1000 choices are selected");
        }
        err = choice_check(a, word);
        words[(*out_count)++] = word;
    }
    return err;
}

static int from_words(struct answer *a)
{
    struct hm_bytes *words = calloc(HM_VALUE_ITEMS_MAX, sizeof *words);
    size_t count = 0;
    int err = words == NULL ? HM_NOMEM : words_take(a, words, &count);

    if (err == HM_OK) {
        if (a->entry->type == HM_FIELD_TYPE_SELECT) {
            qsort(words, count, sizeof *words, compare_words);
        }
        hm_pack_array(a->out, count);
        for (size_t i = 0; i < count; i++) {
            hm_pack_str(a->out, words[i]);
        }
    }
    free(words);
    return err;
}

/* ---- by type --------------------------------------------------------------------- */

static int from_int(struct answer *a)
{
    int64_t value = 0;

    switch (hm_value_parse_int(a->text, &value)) {
    case HM_VALUE_NUMBER_OK:
        hm_pack_int(a->out, value);
        return HM_OK;
    case HM_VALUE_NUMBER_LARGE:
        return refuse(a->why, a->entry, a->text,
                      "is out of range; whole numbers go up to 9223372036854775807");
    case HM_VALUE_NUMBER_BAD:
        break;
    }
    return refuse(a->why, a->entry, a->text,
                  "is not a whole number; write digits only, such as 12 or -3");
}

static int from_decimal(struct answer *a)
{
    struct hm_value_decimal decimal;

    switch (hm_value_parse_decimal(a->text, &decimal)) {
    case HM_VALUE_NUMBER_OK:
        hm_pack_str(a->out, hm_bytes_str(decimal.text));
        return HM_OK;
    case HM_VALUE_NUMBER_LARGE:
        return refuse(a->why, a->entry, a->text,
                      "is out of range; at most 40 digits are kept on either side of "
                      "the point");
    case HM_VALUE_NUMBER_BAD:
        break;
    }
    if (memchr(a->text.data, ',', a->text.len) != NULL) {
        return refuse(a->why, a->entry, a->text,
                      "is not a decimal number; write a point, not a comma");
    }
    return refuse(a->why, a->entry, a->text,
                  "is not a decimal number; write it such as 12.5");
}

static int from_boolean(struct answer *a)
{
    bool yes = hm_bytes_equal(a->text, hm_bytes_str("true")) ||
               hm_bytes_equal(a->text, hm_bytes_str("1"));

    if (!yes && !hm_bytes_equal(a->text, hm_bytes_str("false")) &&
        !hm_bytes_equal(a->text, hm_bytes_str("0"))) {
        return refuse(a->why, a->entry, a->text, "is neither true nor false");
    }
    hm_pack_bool(a->out, yes);
    return HM_OK;
}

static int from_moment(struct answer *a, bool valid, const char *reason)
{
    if (!valid) {
        return refuse(a->why, a->entry, a->text, reason);
    }
    hm_pack_str(a->out, a->text);
    return HM_OK;
}

static void point_pack(const struct hm_value_point *point, struct hm_buf *out)
{
    hm_pack_array(out, 4);
    hm_pack_int(out, point->latitude);
    hm_pack_int(out, point->longitude);
    if (point->has_altitude) {
        hm_pack_int(out, point->altitude_mm);
    } else {
        hm_pack_nil(out);
    }
    if (point->has_accuracy) {
        hm_pack_int(out, point->accuracy_mm);
    } else {
        hm_pack_nil(out);
    }
}

static int from_point(struct answer *a)
{
    struct hm_value_point point;

    if (!hm_value_parse_point(a->text, &point)) {
        return refuse(a->why, a->entry, a->text,
                      "is not a place; write latitude (-90 to 90), longitude (-180 to "
                      "180), and if known altitude and accuracy in metres");
    }
    point_pack(&point, a->out);
    return HM_OK;
}

/* "lat lon alt acc; lat lon alt acc; ..." */
static int from_points(struct answer *a)
{
    struct hm_bytes left = trimmed(a->text);
    size_t count = 1;

    if (left.len > 0 && left.data[left.len - 1] == ';') {
        left.len--;
    }
    for (size_t i = 0; i < left.len; i++) {
        count += left.data[i] == ';';
    }
    if (count > HM_VALUE_ITEMS_MAX) {
        return refuse(a->why, a->entry, hm_bytes_str(NULL), "more than 1000 points");
    }
    hm_pack_array(a->out, count);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *end = left.len == 0 ? NULL : memchr(left.data, ';', left.len);
        size_t len = end == NULL ? left.len : (size_t)(end - left.data);
        struct hm_bytes one = hm_bytes_of(left.data, len);
        struct hm_value_point point;

        if (!hm_value_parse_point(one, &point)) {
            return refuse(a->why, a->entry, one,
                          "is not a point of a line; each is latitude, longitude, and "
                          "if known altitude and accuracy, with ; between points");
        }
        point_pack(&point, a->out);
        len += end != NULL;
        left = hm_bytes_of(left.data + len, left.len - len);
    }
    return HM_OK;
}

bool hm_value_is_file_name(struct hm_bytes name)
{
    return name.len > 0 && name.len <= HM_VALUE_FILE_NAME_BYTES_MAX &&
           memchr(name.data, '/', name.len) == NULL &&
           memchr(name.data, '\\', name.len) == NULL &&
           memchr(name.data, '\n', name.len) == NULL &&
           memchr(name.data, '\t', name.len) == NULL &&
           !hm_bytes_equal(name, hm_bytes_str(".")) &&
           !hm_bytes_equal(name, hm_bytes_str(".."));
}

static int from_file_name(struct answer *a)
{
    if (!hm_value_is_file_name(a->text)) {
        return refuse(a->why, a->entry, a->text,
                      "is not a file name; it may have 255 bytes and no slash");
    }
    hm_pack_str(a->out, a->text);
    return HM_OK;
}

static int from_choice(struct answer *a)
{
    int err = choice_check(a, a->text);

    if (err == HM_OK) {
        hm_pack_str(a->out, a->text);
    }
    return err;
}

static int from_answer(struct answer *a)
{
    switch (a->entry->type) {
    case HM_FIELD_TYPE_STRING:
    case HM_FIELD_TYPE_BARCODE:
    case HM_FIELD_TYPE_INTENT:
        hm_pack_str(a->out, a->text);
        return HM_OK;
    case HM_FIELD_TYPE_INT:
        return from_int(a);
    case HM_FIELD_TYPE_DECIMAL:
        return from_decimal(a);
    case HM_FIELD_TYPE_BOOLEAN:
        return from_boolean(a);
    case HM_FIELD_TYPE_DATE:
        return from_moment(a, hm_value_is_date(a->text),
                           "is not a date of the calendar; write it as 2026-03-31");
    case HM_FIELD_TYPE_TIME:
        return from_moment(a, hm_value_is_time(a->text),
                           "is not a time; write it as 14:30 or 14:30:00.000+07:00");
    case HM_FIELD_TYPE_DATETIME:
        return from_moment(a, hm_value_is_datetime(a->text),
                           "is not a date with a time; write it as "
                           "2026-03-31T14:30:00.000+07:00");
    case HM_FIELD_TYPE_SELECT1:
        return from_choice(a);
    case HM_FIELD_TYPE_SELECT:
    case HM_FIELD_TYPE_RANK:
        return from_words(a);
    case HM_FIELD_TYPE_GEOPOINT:
        return from_point(a);
    case HM_FIELD_TYPE_GEOTRACE:
    case HM_FIELD_TYPE_GEOSHAPE:
        return from_points(a);
    case HM_FIELD_TYPE_BINARY:
        return from_file_name(a);
    }
    return HM_INVALID;
}

int hm_value_from_text(const struct hm_field_table *table,
                       const struct hm_field_entry *entry, struct hm_bytes text,
                       struct hm_buf *out, struct hm_buf *why)
{
    struct answer a = {.table = table, .entry = entry, .out = out, .why = why};
    utf8proc_uint8_t *nfc = NULL;
    size_t before = out->len;
    int err;

    hm_buf_clear(why);
    if (out->err != HM_OK) {
        return out->err;
    }
    if (entry->kind == HM_FIELD_KIND_REPEAT) {
        return refuse(why, entry, text, "is given for a repeat, which has no answer");
    }
    err = normalise(&a, text, &nfc);
    if (err == HM_OK) {
        a.text = is_free_text(entry->type) ? a.text : trimmed(a.text);
        err = text_check(&a);
    }
    if (err == HM_OK && a.text.len == 0) {
        hm_pack_nil(out);
    } else if (err == HM_OK) {
        err = from_answer(&a);
    }
    if (err == HM_OK) {
        err = out->err;
    }
    if (err != HM_OK) {
        out->len = before;
    }
    free(nfc);
    return err;
}

void hm_value_of_file(struct hm_bytes hash, const char *name, struct hm_buf *out)
{
    HM_ASSERT(hash.len == HM_VALUE_HASH_BYTES);
    hm_pack_array(out, 2);
    hm_pack_bin(out, hash);
    hm_pack_str(out, hm_bytes_str(name));
}
