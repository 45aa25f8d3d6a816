#include "tests/support/commune_csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "tests/support/commune_random.h"

enum {
    PURPOSE_HAMLET = 11,
    PURPOSE_MESS = 12,
    PURPOSE_WEIGHT = 13,
    CELL_BYTES = 256,
    WEIGHT_MIN = 60,
    WEIGHT_MAX = 140
};

/* What is wrong with one line. The first three must be rejected. */
enum trouble {
    TROUBLE_SCOPE,
    TROUBLE_SEX,
    TROUBLE_DATE,
    TROUBLE_BLANKS,
    TROUBLE_DECOMPOSED,
    TROUBLE_NO_ZEROS,
    TROUBLE_LINE_BREAK,
    TROUBLE_NONE
};

struct line {
    const struct hm_commune_csv *csv;
    struct hm_buf *out;
    enum trouble trouble;
    unsigned variant; /* of the trouble */
    bool begun;
};

static void put_quoted(struct line *line, const char *text)
{
    char separator = line->csv->messy ? ';' : ',';
    size_t len = strlen(text);
    bool quote = len > 0 &&
                 (strpbrk(text, "\"\r\n") != NULL || strchr(text, separator) != NULL ||
                  text[0] == ' ' || text[len - 1] == ' ');

    if (line->begun) {
        hm_buf_append_u8(line->out, (uint8_t)separator);
    }
    line->begun = true;
    if (!quote) {
        hm_buf_append_str(line->out, text);
        return;
    }
    hm_buf_append_u8(line->out, '"');
    for (; *text != 0; text++) {
        if (*text == '"') {
            hm_buf_append_u8(line->out, '"');
        }
        hm_buf_append_u8(line->out, (uint8_t)*text);
    }
    hm_buf_append_u8(line->out, '"');
}

static void put_decomposed(struct line *line, const char *text)
{
    utf8proc_uint8_t *nfd = utf8proc_NFD((const utf8proc_uint8_t *)text);

    put_quoted(line, nfd == NULL ? text : (const char *)nfd);
    free(nfd);
}

static void put_text(struct line *line, const char *text)
{
    char cell[CELL_BYTES];

    if (line->trouble == TROUBLE_DECOMPOSED) {
        put_decomposed(line, text);
    } else if (line->trouble == TROUBLE_BLANKS && text[0] != 0) {
        (void)snprintf(cell, sizeof cell, "%s%s ", line->variant % 2 == 0 ? " " : "",
                       text);
        put_quoted(line, cell);
    } else {
        put_quoted(line, text);
    }
}

/* A spreadsheet takes it for a number. */
static void put_digits(struct line *line, const char *digits)
{
    while (line->trouble == TROUBLE_NO_ZEROS && *digits == '0') {
        digits++;
    }
    put_quoted(line, digits);
}

static void put_number(struct line *line, int number)
{
    char cell[16] = "";

    if (number != 0) {
        (void)snprintf(cell, sizeof cell, "%d", number);
    }
    put_quoted(line, cell);
}

static void put_member(struct line *line, const struct hm_commune_member *member,
                       size_t position)
{
    static const char *const bad_sex[] = {"3", "9", "?"};
    static const char *const bad_date[] = {"1990-02-30", "31/02/1990", "khoảng 1960"};

    put_text(line, member->name);
    if (line->trouble == TROUBLE_SEX && position == 0) {
        put_quoted(line, bad_sex[line->variant % 3]);
    } else {
        put_number(line, member->sex);
    }
    put_number(line, member->birth_year);
    if (line->trouble == TROUBLE_DATE && position == 0) {
        put_quoted(line, bad_date[line->variant % 3]);
    } else {
        put_quoted(line, member->birth_date);
    }
    put_digits(line, member->id_number);
    put_quoted(line, member->relation);
    put_quoted(line, member->ethnic);
    put_quoted(line, member->school);
    put_text(line, member->job);
    put_quoted(line, member->health_insurance);
    put_quoted(line, member->disability);
    put_text(line, member->note);
}

static const char *const member_fields[] = {
    "name",   "sex",    "birth_year", "birth_date",       "id_number",  "relation",
    "ethnic", "school", "job",        "health_insurance", "disability", "note"};

enum { MEMBER_FIELDS = sizeof member_fields / sizeof *member_fields };

static void end_line(struct line *line)
{
    hm_buf_append_str(line->out, line->csv->messy ? "\r\n" : "\n");
}

void hm_commune_csv_header(const struct hm_commune_csv *csv, struct hm_buf *out)
{
    static const char *const fields[] = {"scope",   "head_name", "phone",
                                         "address", "ethnic",    "house_number"};
    struct line line = {csv, out, TROUBLE_NONE, 0, false};
    char cell[CELL_BYTES];

    if (csv->messy) {
        hm_buf_append_str(out, "\xef\xbb\xbf");
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        put_quoted(&line, fields[i]);
    }
    for (size_t i = 0; i < csv->member_columns; i++) {
        for (size_t field = 0; field < MEMBER_FIELDS; field++) {
            (void)snprintf(cell, sizeof cell, "members[%zu].%s", i + 1,
                           member_fields[field]);
            put_quoted(&line, cell);
        }
    }
    end_line(&line);
}

/* Hamlets differ in size: draws are refused more often for a small one. */
static const char *hamlet_of(const struct hm_commune_csv *csv, uint64_t index)
{
    struct hm_commune_random random =
        hm_commune_random_of(csv->seed, index, PURPOSE_HAMLET);

    for (;;) {
        unsigned at = hm_commune_random_below(&random, (unsigned)csv->hamlet_count);
        struct hm_commune_random size =
            hm_commune_random_of(csv->seed, at, PURPOSE_WEIGHT);
        int weight = hm_commune_random_from(&size, WEIGHT_MIN, WEIGHT_MAX);

        if ((int)hm_commune_random_below(&random, WEIGHT_MAX) < weight) {
            return csv->hamlets[at];
        }
    }
}

static void draw_trouble(const struct hm_commune_csv *csv, uint64_t index,
                         struct line *line)
{
    struct hm_commune_random random =
        hm_commune_random_of(csv->seed, index, PURPOSE_MESS);
    bool troubled = hm_commune_random_chance(&random, 200);

    if (csv->messy && troubled) {
        line->trouble =
            (enum trouble)hm_commune_random_below(&random, (unsigned)TROUBLE_NONE);
        line->variant = hm_commune_random_below(&random, 6);
    }
}

static void put_household(struct line *line, const char *hamlet,
                          const struct hm_commune_household *household)
{
    static const char *const bad_scope[] = {"19885999", "00000000", "thôn 3"};
    char address[CELL_BYTES];

    put_quoted(line,
               line->trouble == TROUBLE_SCOPE ? bad_scope[line->variant % 3] : hamlet);
    put_text(line, household->head_name);
    put_digits(line, household->phone);
    if (line->trouble == TROUBLE_LINE_BREAK) {
        (void)snprintf(address, sizeof address, "%s\n\"nhà mới\"; ngói",
                       household->address);
        put_quoted(line, address);
    } else {
        put_text(line, household->address);
    }
    put_quoted(line, household->ethnic);
    put_text(line, household->house_number);
}

const char *hm_commune_csv_line(const struct hm_commune_csv *csv, uint64_t index,
                                struct hm_buf *out)
{
    static const char *const broken[] = {
        [TROUBLE_SCOPE] = "scope",     [TROUBLE_SEX] = "sex",
        [TROUBLE_DATE] = "birth_date", [TROUBLE_BLANKS] = NULL,
        [TROUBLE_DECOMPOSED] = NULL,   [TROUBLE_NO_ZEROS] = NULL,
        [TROUBLE_LINE_BREAK] = NULL,   [TROUBLE_NONE] = NULL};
    struct line line = {csv, out, TROUBLE_NONE, 0, false};
    struct hm_commune_household household;
    uint64_t at = index;

    hm_commune_household(csv->seed, index, &household);
    /* A family is mostly written twice in one hamlet, else in two. */
    if (household.duplicate_of >= 0 && index % 7 != 0) {
        at = (uint64_t)household.duplicate_of;
    }
    draw_trouble(csv, index, &line);
    put_household(&line, hamlet_of(csv, at), &household);
    for (size_t i = 0; i < csv->member_columns; i++) {
        if (i < household.member_count) {
            put_member(&line, &household.members[i], i);
            continue;
        }
        for (size_t field = 0; field < MEMBER_FIELDS; field++) {
            put_quoted(&line, "");
        }
    }
    end_line(&line);
    return broken[line.trouble];
}
