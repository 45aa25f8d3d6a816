#include "protocol/form/field_type.h"

#define ARRAY_COUNT(array) (sizeof(array) / sizeof(array)[0])

struct row {
    uint64_t number;
    const char *name;
};

#define ROW(name, number, text) {(number), (text)},
static const struct row types[] = {HM_FIELD_TYPE_TABLE(ROW)};
static const struct row policies[] = {HM_FIELD_POLICY_TABLE(ROW)};
static const struct row fills[] = {HM_FORM_FILL_TABLE(ROW)};
#undef ROW

static const struct row *by_number(const struct row *rows, size_t count,
                                   uint64_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].number == number) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool same_name(const char *name, struct hm_bytes text)
{
    if (strlen(name) != text.len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (name[i] != (text.data[i] == ' ' ? '-' : (char)text.data[i])) {
            return false;
        }
    }
    return true;
}

static const struct row *by_name(const struct row *rows, size_t count,
                                 struct hm_bytes text)
{
    for (size_t i = 0; i < count; i++) {
        if (same_name(rows[i].name, text)) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *hm_field_type_name(enum hm_field_type type)
{
    const struct row *row = by_number(types, ARRAY_COUNT(types), type);

    return row == NULL ? "?" : row->name;
}

const char *hm_field_policy_name(enum hm_field_policy policy)
{
    const struct row *row = by_number(policies, ARRAY_COUNT(policies), policy);

    return row == NULL ? "?" : row->name;
}

const char *hm_form_fill_name(enum hm_form_fill fill)
{
    const struct row *row = by_number(fills, ARRAY_COUNT(fills), fill);

    return row == NULL ? "?" : row->name;
}

bool hm_field_type_of_number(uint64_t number, enum hm_field_type *out)
{
    if (by_number(types, ARRAY_COUNT(types), number) == NULL) {
        return false;
    }
    *out = (enum hm_field_type)number;
    return true;
}

bool hm_field_policy_of_number(uint64_t number, enum hm_field_policy *out)
{
    if (by_number(policies, ARRAY_COUNT(policies), number) == NULL) {
        return false;
    }
    *out = (enum hm_field_policy)number;
    return true;
}

bool hm_field_type_parse(struct hm_bytes text, enum hm_field_type *out)
{
    const uint8_t *colon = text.len == 0 ? NULL : memchr(text.data, ':', text.len);
    const struct row *row;

    if (colon != NULL) {
        size_t prefix_len = (size_t)(colon - text.data) + 1;

        text = hm_bytes_of(colon + 1, text.len - prefix_len);
    }
    if (hm_bytes_equal(text, hm_bytes_str("integer"))) {
        text = hm_bytes_str("int");
    }
    row = by_name(types, ARRAY_COUNT(types), text);
    if (row == NULL) {
        return false;
    }
    *out = (enum hm_field_type)row->number;
    return true;
}

bool hm_field_policy_parse(struct hm_bytes text, enum hm_field_policy *out)
{
    const struct row *row = by_name(policies, ARRAY_COUNT(policies), text);

    if (row == NULL) {
        return false;
    }
    *out = (enum hm_field_policy)row->number;
    return true;
}

bool hm_field_likeness_parse(struct hm_bytes text, enum hm_field_likeness *out)
{
    static const char *const names[] = {"", "id-number", "phone", "name", "birth-year"};

    for (unsigned i = 1; i < ARRAY_COUNT(names); i++) {
        if (hm_bytes_equal(text, hm_bytes_str(names[i]))) {
            *out = (enum hm_field_likeness)i;
            return true;
        }
    }
    return false;
}

bool hm_form_fill_parse(struct hm_bytes text, enum hm_form_fill *out)
{
    const struct row *row = by_name(fills, ARRAY_COUNT(fills), text);

    if (row == NULL) {
        return false;
    }
    *out = (enum hm_form_fill)row->number;
    return true;
}

static bool is_one_text(enum hm_field_type type)
{
    return type == HM_FIELD_TYPE_STRING || type == HM_FIELD_TYPE_SELECT1 ||
           type == HM_FIELD_TYPE_BARCODE;
}

bool hm_field_type_fits(enum hm_field_type from, enum hm_field_type to)
{
    return from == to || (is_one_text(from) && is_one_text(to)) ||
           (from == HM_FIELD_TYPE_INT && to == HM_FIELD_TYPE_DECIMAL);
}
