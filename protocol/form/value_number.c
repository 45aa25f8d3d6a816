/* Numbers without floating point: what was written is what is kept. */
#include "protocol/form/value_parts.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

enum hm_value_number hm_value_parse_int(struct hm_bytes text, int64_t *out)
{
    bool negative = text.len > 0 && text.data[0] == '-';
    uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    uint64_t value = 0;

    if (text.len == (negative ? 1 : 0)) {
        return HM_VALUE_NUMBER_BAD;
    }
    for (size_t i = negative ? 1 : 0; i < text.len; i++) {
        if (!is_digit(text.data[i])) {
            return HM_VALUE_NUMBER_BAD;
        }
    }
    for (size_t i = negative ? 1 : 0; i < text.len; i++) {
        unsigned digit = text.data[i] - '0';

        if (value > (max - digit) / 10) {
            return HM_VALUE_NUMBER_LARGE;
        }
        value = value * 10 + digit;
    }
    *out = !negative                          ? (int64_t)value
           : value == (uint64_t)INT64_MAX + 1 ? INT64_MIN
                                              : -(int64_t)value;
    return HM_VALUE_NUMBER_OK;
}

/* Digits with a point somewhere, or far outside them: 0.digits times 10^point. */
struct parts {
    bool negative;
    char digits[2 * HM_VALUE_DIGITS_MAX];
    int count;
    int point;
};

static enum hm_value_number digits_take(struct hm_bytes *left, struct parts *parts)
{
    while (left->len > 0 && is_digit(left->data[0])) {
        if (parts->count == (int)sizeof parts->digits) {
            return HM_VALUE_NUMBER_LARGE;
        }
        parts->digits[parts->count++] = (char)left->data[0];
        *left = hm_bytes_of(left->data + 1, left->len - 1);
    }
    return HM_VALUE_NUMBER_OK;
}

static enum hm_value_number exponent_take(struct hm_bytes left, struct parts *parts)
{
    int64_t exponent;
    enum hm_value_number result;

    if (left.len > 0 && left.data[0] == '+') {
        left = hm_bytes_of(left.data + 1, left.len - 1);
        if (left.len > 0 && left.data[0] == '-') {
            return HM_VALUE_NUMBER_BAD;
        }
    }
    result = hm_value_parse_int(left, &exponent);
    if (result != HM_VALUE_NUMBER_OK) {
        return result;
    }
    if (exponent > HM_VALUE_DIGITS_MAX || exponent < -HM_VALUE_DIGITS_MAX) {
        return HM_VALUE_NUMBER_LARGE;
    }
    parts->point += (int)exponent;
    return HM_VALUE_NUMBER_OK;
}

static enum hm_value_number parts_parse(struct hm_bytes left, struct parts *parts)
{
    enum hm_value_number result;

    if (left.len > 0 && (left.data[0] == '-' || left.data[0] == '+')) {
        parts->negative = left.data[0] == '-';
        left = hm_bytes_of(left.data + 1, left.len - 1);
    }
    while (left.len > 1 && left.data[0] == '0' && is_digit(left.data[1])) {
        left = hm_bytes_of(left.data + 1, left.len - 1);
    }
    result = digits_take(&left, parts);
    parts->point = parts->count;
    if (result == HM_VALUE_NUMBER_OK && left.len > 0 && left.data[0] == '.') {
        left = hm_bytes_of(left.data + 1, left.len - 1);
        result = digits_take(&left, parts);
    }
    if (result != HM_VALUE_NUMBER_OK) {
        return result;
    }
    if (parts->count > 0 && left.len > 0 &&
        (left.data[0] == 'e' || left.data[0] == 'E')) {
        return exponent_take(hm_bytes_of(left.data + 1, left.len - 1), parts);
    }
    return parts->count > 0 && left.len == 0 ? HM_VALUE_NUMBER_OK : HM_VALUE_NUMBER_BAD;
}

/* The digit of weight 10^(point - 1 - index); 0 outside of what was written. */
static char digit_at(const struct parts *parts, int index)
{
    return index >= 0 && index < parts->count ? parts->digits[index] : '0';
}

enum hm_value_number hm_value_parse_decimal(struct hm_bytes text,
                                            struct hm_value_decimal *out)
{
    struct parts parts = {0};
    enum hm_value_number result = parts_parse(text, &parts);
    int start = 0; /* index of the first digit that is written */
    int end;       /* index behind the last */
    bool zero = true;
    size_t len = 0;

    if (result != HM_VALUE_NUMBER_OK) {
        return result;
    }
    while (start < parts.point - 1 && digit_at(&parts, start) == '0') {
        start++;
    }
    start = start < parts.point - 1 ? start : parts.point - 1;
    end = parts.count > parts.point ? parts.count : parts.point;
    if (parts.point - start > HM_VALUE_DIGITS_MAX ||
        end - parts.point > HM_VALUE_DIGITS_MAX) {
        return HM_VALUE_NUMBER_LARGE;
    }
    for (int i = 0; i < parts.count; i++) {
        zero &= parts.digits[i] == '0';
    }
    if (parts.negative && !zero) {
        out->text[len++] = '-';
    }
    for (int i = start; i < end; i++) {
        if (i == parts.point) {
            out->text[len++] = '.';
        }
        out->text[len++] = digit_at(&parts, i);
    }
    out->text[len] = 0;
    return HM_VALUE_NUMBER_OK;
}

/* ---- points ---------------------------------------------------------------------- */

enum {
    DEGREE_PLACES = 7,
    METRE_PLACES = 3,
    ALTITUDE_MM_MAX = 100 * 1000 * 1000,
    ACCURACY_MM_MAX = 2000 * 1000 * 1000
};

static const int64_t degree = 10000000;

/* text times 10^places, rounded half away from zero. */
static bool parse_scaled(struct hm_bytes text, int places, int64_t *out)
{
    struct hm_value_decimal decimal;
    const char *at = decimal.text;
    bool negative;
    int64_t value = 0;
    int after = -1; /* digits behind the point so far; -1: before it */

    if (hm_value_parse_decimal(text, &decimal) != HM_VALUE_NUMBER_OK ||
        strcspn(at, ".") > 11) {
        return false;
    }
    negative = *at == '-';
    for (at += negative; *at != 0 && after < places; at++) {
        if (*at == '.') {
            after = 0;
            continue;
        }
        value = value * 10 + (*at - '0');
        after += after >= 0;
    }
    if (after == places && *at >= '5') {
        value++;
    }
    for (after = after < 0 ? 0 : after; after < places; after++) {
        value *= 10;
    }
    *out = negative ? -value : value;
    return true;
}

struct hm_bytes hm_value_word(struct hm_bytes *left)
{
    struct hm_bytes word = *left;
    size_t skip = 0;
    size_t len = 0;

    while (skip < word.len && strchr(" \t\r\n", word.data[skip]) != NULL &&
           word.data[skip] != 0) {
        skip++;
    }
    word = hm_bytes_of(word.data + skip, word.len - skip);
    while (len < word.len &&
           (word.data[len] == 0 || strchr(" \t\r\n", word.data[len]) == NULL)) {
        len++;
    }
    *left = hm_bytes_of(word.data + len, word.len - len);
    return hm_bytes_of(word.data, len);
}

bool hm_value_point_in_range(const struct hm_value_point *point)
{
    return point->latitude >= -90 * degree && point->latitude <= 90 * degree &&
           point->longitude >= -180 * degree && point->longitude <= 180 * degree &&
           (!point->has_altitude || (point->altitude_mm >= -ALTITUDE_MM_MAX &&
                                     point->altitude_mm <= ALTITUDE_MM_MAX)) &&
           (!point->has_accuracy ||
            (point->accuracy_mm >= 0 && point->accuracy_mm <= ACCURACY_MM_MAX));
}

bool hm_value_parse_point(struct hm_bytes text, struct hm_value_point *out)
{
    struct hm_value_point point = {0};
    struct hm_bytes latitude = hm_value_word(&text);
    struct hm_bytes longitude = hm_value_word(&text);
    struct hm_bytes altitude = hm_value_word(&text);
    struct hm_bytes accuracy = hm_value_word(&text);

    point.has_altitude = altitude.len > 0;
    point.has_accuracy = accuracy.len > 0;
    if (hm_value_word(&text).len > 0 ||
        !parse_scaled(latitude, DEGREE_PLACES, &point.latitude) ||
        !parse_scaled(longitude, DEGREE_PLACES, &point.longitude) ||
        (point.has_altitude &&
         !parse_scaled(altitude, METRE_PLACES, &point.altitude_mm)) ||
        (point.has_accuracy &&
         !parse_scaled(accuracy, METRE_PLACES, &point.accuracy_mm)) ||
        !hm_value_point_in_range(&point)) {
        return false;
    }
    *out = point;
    return true;
}

/* value / 10^places without zeros at the end. */
static void print_scaled(int64_t value, int places, struct hm_buf *out)
{
    uint64_t left = value < 0 ? (uint64_t)-value : (uint64_t)value;
    char digits[24] = {0};
    int end = places;
    uint64_t unit = 1;

    for (int i = 0; i < places; i++) {
        unit *= 10;
    }
    hm_buf_printf(out, "%s%llu", value < 0 ? "-" : "",
                  (unsigned long long)(left / unit));
    left %= unit;
    for (int i = places - 1; i >= 0; i--) {
        digits[i] = (char)('0' + left % 10);
        left /= 10;
    }
    while (end > 0 && digits[end - 1] == '0') {
        digits[--end] = 0;
    }
    if (end > 0) {
        hm_buf_printf(out, ".%s", digits);
    }
}

void hm_value_print_point(const struct hm_value_point *point, struct hm_buf *out)
{
    print_scaled(point->latitude, DEGREE_PLACES, out);
    hm_buf_append_str(out, " ");
    print_scaled(point->longitude, DEGREE_PLACES, out);
    if (point->has_altitude || point->has_accuracy) {
        /* Forms have no word for an accuracy without altitude; they write 0. */
        hm_buf_append_str(out, " ");
        print_scaled(point->has_altitude ? point->altitude_mm : 0, METRE_PLACES, out);
    }
    if (point->has_accuracy) {
        hm_buf_append_str(out, " ");
        print_scaled(point->accuracy_mm, METRE_PLACES, out);
    }
}
