#include "protocol/id.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int hm_dot_compare(const struct hm_dot *a, const struct hm_dot *b)
{
    int by = order(a->incarnation, b->incarnation);

    return by != 0 ? by : order(a->n, b->n);
}

int hm_household_id_compare(const struct hm_household_id *a,
                            const struct hm_household_id *b)
{
    int by = order(a->a, b->a);

    return by != 0 ? by : order(a->n, b->n);
}

int hm_item_compare(const struct hm_item *a, const struct hm_item *b)
{
    int by = order(a->incarnation, b->incarnation);

    if (by == 0) {
        by = order(a->n, b->n);
    }
    return by != 0 ? by : order(a->k, b->k);
}

int hm_row_key_compare(const struct hm_row_key *a, const struct hm_row_key *b)
{
    int by = order(a->form, b->form);

    if (by == 0) {
        by = order(a->round, b->round);
    }
    if (by == 0) {
        by = order(a->repeat, b->repeat);
    }
    return by != 0 ? by : hm_item_compare(&a->item, &b->item);
}

static void pair_to_text(uint64_t a, uint64_t n, char out[HM_ID_TEXT_MAX])
{
    (void)snprintf(out, HM_ID_TEXT_MAX, "%016" PRIx64 ".%" PRIu64, a, n);
}

void hm_dot_to_text(const struct hm_dot *dot, char out[HM_ID_TEXT_MAX])
{
    pair_to_text(dot->incarnation, dot->n, out);
}

void hm_household_id_to_text(const struct hm_household_id *id, char out[HM_ID_TEXT_MAX])
{
    pair_to_text(id->a, id->n, out);
}

void hm_item_to_text(const struct hm_item *item, char out[HM_ID_TEXT_MAX])
{
    if (hm_item_is_none(item)) {
        out[0] = 0;
        return;
    }
    (void)snprintf(out, HM_ID_TEXT_MAX, "%016" PRIx64 ".%" PRIu64 ".%" PRIu64,
                   item->incarnation, item->n, item->k);
}

static const char *read_hex(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    int digits = 0;

    for (; isxdigit((unsigned char)*text); text++, digits++) {
        int c = tolower((unsigned char)*text);

        value = (value << 4) | (uint64_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
    }
    *out = value;
    return digits >= 1 && digits <= 16 ? text : NULL;
}

/* "." and a decimal number without leading zeros. */
static const char *read_number(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    if (text == NULL || *text++ != '.' || !isdigit((unsigned char)*text) ||
        (text[0] == '0' && isdigit((unsigned char)text[1]))) {
        return NULL;
    }
    for (; isdigit((unsigned char)*text); text++) {
        uint64_t digit = (uint64_t)(*text - '0');

        if (value > (UINT64_MAX - digit) / 10) {
            return NULL;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return text;
}

static int read_pair(const char *text, uint64_t *out_a, uint64_t *out_n)
{
    uint64_t a;
    uint64_t n;
    const char *end = read_hex(text, &a);

    end = read_number(end, &n);
    if (end == NULL || *end != 0) {
        return HM_MALFORMED;
    }
    *out_a = a;
    *out_n = n;
    return HM_OK;
}

int hm_dot_from_text(const char *text, struct hm_dot *out)
{
    struct hm_dot dot;
    int err = read_pair(text, &dot.incarnation, &dot.n);

    if (err == HM_OK && dot.n == 0) {
        err = HM_MALFORMED; /* a birth */
    }
    if (err == HM_OK) {
        *out = dot;
    }
    return err;
}

int hm_household_id_from_text(const char *text, struct hm_household_id *out)
{
    return read_pair(text, &out->a, &out->n);
}

int hm_item_from_text(const char *text, struct hm_item *out)
{
    struct hm_item item;
    const char *end = read_hex(text, &item.incarnation);

    end = read_number(end, &item.n);
    end = read_number(end, &item.k);
    if (end == NULL || *end != 0 || item.n == 0 || item.k == 0) {
        return HM_MALFORMED;
    }
    *out = item;
    return HM_OK;
}
