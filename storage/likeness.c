#include "storage/likeness.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/fold.h"
#include "protocol/form/value.h"
#include "storage/forms.h"
#include "storage/households.h"

enum {
    MARKS_MAX = 400, /* of one household */
    MARK_BYTES_MAX = 300,
    DIGITS_MIN = 8,
    DIGITS_MAX = 20,
    ARENA_BYTES_MAX = 8 * 1024 * 1024
};

struct mark {
    unsigned kind; /* enum hm_field_likeness */
    const char *text;
};

struct marking {
    struct hm_store *s;
    const struct hm_household *h;
    struct hm_arena *arena;
    struct mark *marks; /* sorted and unique in the end */
    size_t count;
};

/* -- Marks ------------------------------------------------------------------------ */

static int compare_marks(const void *a, const void *b)
{
    const struct mark *x = a;
    const struct mark *y = b;

    return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind)
                              : strcmp(x->text, y->text);
}

static int add_mark(struct marking *m, enum hm_field_likeness kind, const char *text)
{
    if (text == NULL) {
        return HM_NOMEM;
    }
    if (m->count < MARKS_MAX && strlen(text) <= MARK_BYTES_MAX) {
        m->marks[m->count++] = (struct mark){(unsigned)kind, text};
    }
    return HM_OK;
}

/* Digits alone; the country code of Vietnam as 0, as people write it at home. */
static int add_number(struct marking *m, enum hm_field_likeness kind, const char *text)
{
    char digits[DIGITS_MAX + 1] = "";
    size_t count = 0;
    const char *from = digits;

    for (const char *at = text; *at != 0; at++) {
        if (*at >= '0' && *at <= '9') {
            if (count == DIGITS_MAX) {
                return HM_OK; /* no such number */
            }
            digits[count++] = *at;
        }
    }
    digits[count] = 0;
    if (kind == HM_FIELD_LIKENESS_PHONE && text[0] == '+' &&
        strncmp(digits, "84", 2) == 0) {
        digits[1] = '0';
        from = digits + 1;
    }
    return strlen(from) < DIGITS_MIN
               ? HM_OK
               : add_mark(m, kind, hm_arena_text(m->arena, hm_bytes_str(from)));
}

/* Letters of a folded name with one blank between its parts. */
static char *squeeze(struct hm_arena *arena, const char *folded)
{
    char *out = hm_arena_alloc(arena, strlen(folded) + 1);
    size_t count = 0;

    for (const char *at = folded; out != NULL && *at != 0; at++) {
        bool blank = *at == ' ' || *at == '\t' || *at == '.' || *at == ',';

        if (!blank) {
            out[count++] = *at;
        } else if (count > 0 && out[count - 1] != ' ') {
            out[count++] = ' ';
        }
    }
    if (out != NULL) {
        count -= count > 0 && out[count - 1] == ' ' ? 1 : 0;
        out[count] = 0;
    }
    return out;
}

static int add_name(struct marking *m, const char *name, const char *year)
{
    const char *folded = hm_fold(hm_bytes_str(name), m->arena);
    char *clean = folded == NULL ? NULL : squeeze(m->arena, folded);
    char *text;

    if (clean == NULL) {
        return HM_NOMEM;
    }
    if (clean[0] == 0) {
        return HM_OK;
    }
    text = hm_arena_alloc(m->arena, strlen(clean) + strlen(year) + 32);
    if (text != NULL) {
        (void)sprintf(text, "%s|%s|%u", clean, year,
                      (unsigned)hm_fact_shown_scope(m->h));
    }
    return add_mark(m, HM_FIELD_LIKENESS_NAME, text);
}

static const char *text_of(struct marking *m, struct hm_bytes value)
{
    struct hm_buf buf;
    const char *text = "";
    int err;

    hm_buf_init(&buf, HM_CHANGE_BYTES_MAX);
    err = hm_value_to_text(value, &buf);
    if (err == HM_OK && buf.len > 0) {
        text = hm_arena_text(m->arena, hm_buf_bytes(&buf));
    }
    hm_buf_deinit(&buf);
    return text;
}

/* Every value that lives counts: which one is right is not known yet. */
static int mark_numbers(struct marking *m, enum hm_field_likeness kind,
                        const struct hm_cell *cell)
{
    int err = HM_OK;

    for (size_t i = 0; i < cell->sibling_count && err == HM_OK; i++) {
        const char *text = text_of(m, cell->siblings[i].value);

        err = text == NULL ? HM_NOMEM : add_number(m, kind, text);
    }
    return err;
}

static int mark_names(struct marking *m, const struct hm_cell *names,
                      const struct hm_cell *years)
{
    int err = HM_OK;

    for (size_t i = 0; i < names->sibling_count && err == HM_OK; i++) {
        const char *name = text_of(m, names->siblings[i].value);

        for (size_t j = 0; j < years->sibling_count && err == HM_OK; j++) {
            const char *year = text_of(m, years->siblings[j].value);

            if (name == NULL || year == NULL) {
                err = HM_NOMEM;
            } else if (year[0] != 0) {
                err = add_name(m, name, year);
            }
        }
    }
    return err;
}

static int mark_row(struct marking *m, const struct hm_field_table *table,
                    const struct hm_row *row)
{
    const struct hm_cell *names = NULL;
    const struct hm_cell *years = NULL;
    int err = HM_OK;

    for (size_t i = 0; i < row->cell_count && err == HM_OK; i++) {
        const struct hm_cell *cell = &row->cells[i];
        const struct hm_field_entry *entry =
            hm_field_table_by_number(table, cell->field);

        switch (entry == NULL ? HM_FIELD_LIKENESS_NONE : entry->likeness) {
        case HM_FIELD_LIKENESS_NONE:
            break;
        case HM_FIELD_LIKENESS_ID_NUMBER:
        case HM_FIELD_LIKENESS_PHONE:
            err = mark_numbers(m, entry->likeness, cell);
            break;
        case HM_FIELD_LIKENESS_NAME:
            names = cell;
            break;
        case HM_FIELD_LIKENESS_BIRTH_YEAR:
            years = cell;
            break;
        }
    }
    return err == HM_OK && names != NULL && years != NULL ? mark_names(m, names, years)
                                                          : err;
}

static int mark_household(struct marking *m)
{
    struct hm_forms *forms = hm_store_forms(m->s);
    struct hm_household_id into;
    size_t unique = 0;
    int err = HM_OK;

    m->marks = hm_arena_array(m->arena, MARKS_MAX, sizeof m->marks[0]);
    if (m->marks == NULL) {
        return HM_NOMEM;
    }
    if (hm_fact_state(m->h) == HM_ROW_REMOVED || hm_fact_merged_into(m->h, &into)) {
        return HM_OK;
    }
    for (size_t i = 0; i < m->h->row_count && err == HM_OK; i++) {
        const struct hm_row *row = &m->h->rows[i];
        const struct hm_field_table *table = NULL;

        if (row->key.form == HM_FORM_HOUSEHOLD ||
            hm_policy_row_state(row) == HM_ROW_REMOVED) {
            continue;
        }
        err = hm_forms_load_table(forms, row->key.form, &table);
        if (err == HM_OK) {
            err = mark_row(m, table, row);
        } else if (err == HM_NOTFOUND || err == HM_VERSION) {
            err = HM_OK; /* it is indexed when the form has come */
        }
    }
    qsort(m->marks, m->count, sizeof m->marks[0], compare_marks);
    for (size_t i = 0; i < m->count; i++) {
        if (unique == 0 || compare_marks(&m->marks[unique - 1], &m->marks[i]) != 0) {
            m->marks[unique++] = m->marks[i];
        }
    }
    m->count = unique;
    return err;
}

/* -- The index -------------------------------------------------------------------- */

static int keyed(struct hm_store *s, const char *sql, const struct hm_household_id *id,
                 struct hm_stmt **out_stmt)
{
    int err = hm_db_stmt(hm_store_db(s), sql, out_stmt);

    if (err == HM_OK) {
        hm_stmt_bind_u64(*out_stmt, 1, id->a);
        hm_stmt_bind_u64(*out_stmt, 2, id->n);
    }
    return err;
}

int hm_likeness_drop(struct hm_store *s, const struct hm_household_id *id)
{
    struct hm_stmt *stmt;
    int err = keyed(s, "DELETE FROM likeness WHERE a = $1 AND n = $2", id, &stmt);

    return err == HM_OK ? hm_stmt_run(stmt) : err;
}

/* Is the index right as it is? Most saves change none of these values. */
static int is_kept(struct marking *m, bool *out_kept)
{
    struct hm_stmt *stmt;
    size_t count = 0;
    bool row = false;
    int err = keyed(m->s,
                    "SELECT kind, mark FROM likeness WHERE a = $1 AND n = $2 "
                    "ORDER BY kind, mark",
                    &m->h->id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    *out_kept = true;
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row && *out_kept) {
        struct hm_bytes text = hm_stmt_text(stmt, 1);

        *out_kept = count < m->count &&
                    (int64_t)m->marks[count].kind == hm_stmt_int(stmt, 0) &&
                    hm_bytes_equal(text, hm_bytes_str(m->marks[count].text));
        count++;
    }
    hm_stmt_reset(stmt);
    *out_kept = *out_kept && count == m->count;
    return err;
}

static int insert(struct marking *m, const struct mark *mark)
{
    struct hm_stmt *stmt;
    int err =
        keyed(m->s, "INSERT INTO likeness (a, n, kind, mark) VALUES ($1, $2, $3, $4)",
              &m->h->id, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 3, mark->kind);
    hm_stmt_bind_text(stmt, 4, hm_bytes_str(mark->text));
    return hm_stmt_run(stmt);
}

int hm_likeness_keep(struct hm_store *s, const struct hm_household *h)
{
    struct hm_arena arena;
    struct marking m = {.s = s, .h = h, .arena = &arena};
    bool kept = true;
    int err = HM_OK;

    if (hm_store_forms(s) == NULL) {
        return HM_OK;
    }
    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = mark_household(&m);
    if (err == HM_OK) {
        err = is_kept(&m, &kept);
    }
    if (err == HM_OK && !kept) {
        err = hm_likeness_drop(s, &h->id);
    }
    for (size_t i = 0; !kept && i < m.count && err == HM_OK; i++) {
        err = insert(&m, &m.marks[i]);
    }
    hm_arena_deinit(&arena);
    return err;
}

/* -- Pairs ------------------------------------------------------------------------ */

unsigned hm_likeness_score(unsigned kinds)
{
    static const struct {
        enum hm_field_likeness kind;
        unsigned percent;
    } weights[] = {{HM_FIELD_LIKENESS_ID_NUMBER, 90},
                   {HM_FIELD_LIKENESS_NAME, 60},
                   {HM_FIELD_LIKENESS_PHONE, 40}};
    unsigned doubt = 1000000;

    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++) {
        if ((kinds & 1U << weights[i].kind) != 0) {
            doubt = doubt / 100 * (100 - weights[i].percent);
        }
    }
    return 100 - doubt / 10000;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct hm_likeness *x = a;
    const struct hm_likeness *y = b;
    int order = hm_household_id_compare(&x->a, &y->a);

    return order != 0 ? order : hm_household_id_compare(&x->b, &y->b);
}

struct pairs {
    struct hm_arena *arena;
    struct hm_likeness *list;
    size_t count;
    size_t room;
    bool cut;
};

static int add_pair(struct pairs *pairs, const struct hm_household_id *x,
                    const struct hm_household_id *y, unsigned kind)
{
    bool swapped = hm_household_id_compare(x, y) > 0;

    if (pairs->count == HM_LIKENESS_PAIRS_MAX) {
        pairs->cut = true;
        return HM_OK;
    }
    if (pairs->count == pairs->room) {
        size_t room = 2 * pairs->room + 64;

        pairs->list = hm_arena_grow(pairs->arena, pairs->list, pairs->count, room,
                                    sizeof pairs->list[0]);
        if (pairs->list == NULL) {
            return HM_NOMEM;
        }
        pairs->room = room;
    }
    pairs->list[pairs->count++] = (struct hm_likeness){
        .a = swapped ? *y : *x, .b = swapped ? *x : *y, .kinds = 1U << kind};
    return HM_OK;
}

/* A pair that is alike in several ways is one. */
static void unite(struct pairs *pairs)
{
    size_t kept = 0;

    if (pairs->count > 0) {
        qsort(pairs->list, pairs->count, sizeof pairs->list[0], compare_pairs);
    }
    for (size_t i = 0; i < pairs->count; i++) {
        if (kept > 0 && compare_pairs(&pairs->list[kept - 1], &pairs->list[i]) == 0) {
            pairs->list[kept - 1].kinds |= pairs->list[i].kinds;
        } else {
            pairs->list[kept++] = pairs->list[i];
        }
    }
    pairs->count = kept;
}

/* The households with one mark; *out_count is above HM_LIKENESS_POPULAR for too many.
 */
static int with_mark(struct hm_store *s, const struct mark *mark,
                     struct hm_household_id ids[HM_LIKENESS_POPULAR + 1],
                     size_t *out_count)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT a, n FROM likeness WHERE kind = $1 AND mark = $2 "
                         "LIMIT $3",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, mark->kind);
    hm_stmt_bind_text(stmt, 2, hm_bytes_str(mark->text));
    hm_stmt_bind_int(stmt, 3, HM_LIKENESS_POPULAR + 1);
    *out_count = 0;
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        ids[(*out_count)++] =
            (struct hm_household_id){hm_stmt_u64(stmt, 0), hm_stmt_u64(stmt, 1)};
    }
    hm_stmt_reset(stmt);
    return err;
}

bool hm_likeness_apart(const struct hm_household *a, const struct hm_household *b)
{
    const struct hm_household *sides[] = {a, b};
    struct hm_household_id ids[HM_FACT_APART_MAX];

    for (size_t i = 0; i < 2; i++) {
        size_t count = hm_fact_apart(sides[i], ids, HM_FACT_APART_MAX);

        for (size_t j = 0; j < count && j < HM_FACT_APART_MAX; j++) {
            if (hm_household_id_compare(&ids[j], &sides[1 - i]->id) == 0) {
                return true;
            }
        }
    }
    return false;
}

static int drop_apart(struct hm_store *s, const struct hm_household *h,
                      struct pairs *pairs)
{
    size_t kept = 0;
    int err = HM_OK;

    for (size_t i = 0; i < pairs->count && err == HM_OK; i++) {
        const struct hm_likeness *pair = &pairs->list[i];
        const struct hm_household_id *id =
            hm_household_id_compare(&pair->a, &h->id) == 0 ? &pair->b : &pair->a;
        struct hm_household other;
        struct hm_arena arena;

        hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
        err = hm_households_load(s, id, &arena, &other);
        if (err == HM_OK && !hm_likeness_apart(h, &other)) {
            pairs->list[kept++] = *pair;
        }
        err = err == HM_NOTFOUND ? HM_OK : err;
        hm_arena_deinit(&arena);
    }
    pairs->count = kept;
    return err;
}

int hm_likeness_of(struct hm_store *s, const struct hm_household *h,
                   struct hm_arena *arena, struct hm_likeness **out, size_t *out_count)
{
    struct marking m = {.s = s, .h = h, .arena = arena};
    struct pairs pairs = {.arena = arena};
    int err = hm_store_forms(s) == NULL ? HM_OK : mark_household(&m);

    for (size_t i = 0; i < m.count && err == HM_OK; i++) {
        struct hm_household_id ids[HM_LIKENESS_POPULAR + 1];
        size_t count = 0;

        err = with_mark(s, &m.marks[i], ids, &count);
        for (size_t j = 0; count <= HM_LIKENESS_POPULAR && j < count && err == HM_OK;
             j++) {
            if (hm_household_id_compare(&ids[j], &h->id) != 0) {
                err = add_pair(&pairs, &h->id, &ids[j], m.marks[i].kind);
            }
        }
    }
    unite(&pairs);
    if (pairs.count > HM_LIKENESS_OTHERS_MAX) {
        pairs.count = HM_LIKENESS_OTHERS_MAX;
    }
    if (err == HM_OK) {
        err = drop_apart(s, h, &pairs);
    }
    if (err == HM_OK) {
        *out = pairs.list;
        *out_count = pairs.count;
    }
    return err;
}

static int pairs_with(struct hm_store *s, const struct mark *mark, struct pairs *pairs)
{
    struct hm_household_id ids[HM_LIKENESS_POPULAR + 1];
    size_t count = 0;
    int err = with_mark(s, mark, ids, &count);

    for (size_t i = 0; count <= HM_LIKENESS_POPULAR && i < count; i++) {
        for (size_t j = i + 1; j < count && err == HM_OK; j++) {
            err = add_pair(pairs, &ids[i], &ids[j], mark->kind);
        }
    }
    return err;
}

int hm_likeness_pairs(struct hm_store *s, struct hm_arena *arena,
                      struct hm_likeness **out, size_t *out_count, bool *out_cut)
{
    struct pairs pairs = {.arena = arena};
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT kind, mark FROM likeness GROUP BY kind, mark "
                         "HAVING COUNT(*) > 1 AND COUNT(*) <= $1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, HM_LIKENESS_POPULAR);
    while (!pairs.cut && (err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct mark mark = {(unsigned)hm_stmt_int(stmt, 0),
                            hm_arena_text(arena, hm_stmt_text(stmt, 1))};

        err = mark.text == NULL ? HM_NOMEM : pairs_with(s, &mark, &pairs);
        if (err != HM_OK) {
            break;
        }
    }
    hm_stmt_reset(stmt);
    unite(&pairs);
    if (err == HM_OK) {
        *out = pairs.list;
        *out_count = pairs.count;
        *out_cut = pairs.cut;
    }
    return err;
}
