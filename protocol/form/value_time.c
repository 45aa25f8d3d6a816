/* Dates and times as forms write them: checked, never rewritten. */
#include "protocol/form/value_parts.h"

/* Takes exactly count digits; -1 when they are not there. */
static int digits(struct hm_reader *r, unsigned count)
{
    struct hm_bytes text = hm_reader_take(r, count);
    int value = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return -1;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    return text.len == count ? value : -1;
}

static bool next_is(const struct hm_reader *r, char c)
{
    return r->left.len > 0 && r->left.data[0] == (uint8_t)c;
}

static bool take(struct hm_reader *r, char c)
{
    if (!next_is(r, c)) {
        return false;
    }
    (void)hm_reader_take(r, 1);
    return true;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

static bool date_take(struct hm_reader *r)
{
    int year = digits(r, 4);
    bool first = take(r, '-');
    int month = digits(r, 2);
    bool second = take(r, '-');
    int day = digits(r, 2);

    return first && second && year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
           day <= month_days(year, month);
}

/* Nothing, "Z", "+07", "+07:00" or "+0700". */
static bool zone_take(struct hm_reader *r)
{
    int hours;
    int minutes = 0;

    if (r->left.len == 0 || take(r, 'Z')) {
        return true;
    }
    if (!take(r, '+') && !take(r, '-')) {
        return false;
    }
    hours = digits(r, 2);
    if (r->left.len > 0) {
        (void)take(r, ':');
        minutes = digits(r, 2);
    }
    return hours >= 0 && minutes >= 0 && minutes < 60 &&
           hours * 60 + minutes <= 14 * 60;
}

/* "12:30", "12:30:05", "12:30:05.123", each with or without zone. */
static bool time_take(struct hm_reader *r)
{
    int hour = digits(r, 2);
    bool colon = take(r, ':');
    int minute = digits(r, 2);
    int second = 0;

    if (take(r, ':')) {
        second = digits(r, 2);
        if (take(r, '.')) {
            size_t count = 0;

            while (r->left.len > 0 && digits(&(struct hm_reader){r->left, 0}, 1) >= 0) {
                (void)hm_reader_take(r, 1);
                count++;
            }
            if (count == 0 || count > 9) {
                return false;
            }
        }
    }
    return colon && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 &&
           second >= 0 && second < 60 && zone_take(r);
}

bool hm_value_is_date(struct hm_bytes text)
{
    struct hm_reader r = {.left = text};

    return date_take(&r) && r.err == HM_OK && r.left.len == 0;
}

bool hm_value_is_time(struct hm_bytes text)
{
    struct hm_reader r = {.left = text};

    return time_take(&r) && r.err == HM_OK && r.left.len == 0;
}

bool hm_value_is_datetime(struct hm_bytes text)
{
    struct hm_reader r = {.left = text};

    return date_take(&r) && take(&r, 'T') && time_take(&r) && r.err == HM_OK &&
           r.left.len == 0;
}
