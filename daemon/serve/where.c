#include "daemon/serve/where.h"

#include <ctype.h>
#include <stdlib.h>

#include "daemon/serve/cells.h"
#include "daemon/serve/household_json.h"
#include "protocol/fold.h"

enum target { TARGET_FIELD, TARGET_MEMBERS, TARGET_CONFLICTS, TARGET_FINDINGS };
enum operation { OP_EQUAL, OP_UNEQUAL, OP_CONTAINS, OP_MORE, OP_LESS };

struct condition {
    enum target target;
    uint32_t form;
    uint32_t repeat;
    uint32_t field;
    enum operation operation;
    const char *value; /* folded for OP_CONTAINS */
};

struct hm_where {
    struct condition conditions[HM_WHERE_CONDITIONS_MAX];
    size_t count;
};

/* -- Parsing -- */

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

/* A root field, in a form that is filled once before all others; or repeat.field. */
static bool find_in_form(const struct hm_call_form *form, const char *name,
                         struct condition *out)
{
    const struct hm_field_entry *entry = NULL;
    const struct hm_field_entry *repeat = NULL;
    const char *point = strrchr(name, '.');

    if (form->table == NULL) {
        return false;
    }
    if (point == NULL) {
        entry = hm_field_table_by_name(form->table, 0, name);
    } else {
        for (size_t i = 0; i < form->table->count && repeat == NULL; i++) {
            const struct hm_field_entry *next = &form->table->entries[i];

            if (next->kind == HM_FIELD_KIND_REPEAT &&
                strlen(next->name) == (size_t)(point - name) &&
                memcmp(next->name, name, (size_t)(point - name)) == 0) {
                repeat = next;
            }
        }
        entry = repeat == NULL
                    ? NULL
                    : hm_field_table_by_name(form->table, repeat->number, point + 1);
    }
    if (entry == NULL) {
        return false;
    }
    out->form = form->item.number;
    out->repeat = repeat == NULL ? 0 : repeat->number;
    out->field = entry->number;
    return true;
}

static int find_target(struct hm_call *call, const char *name, struct condition *out)
{
    if (strcmp(name, "members") == 0) {
        out->target = TARGET_MEMBERS;
        return HM_OK;
    }
    if (strcmp(name, "conflicts") == 0) {
        out->target = TARGET_CONFLICTS;
        return HM_OK;
    }
    if (strcmp(name, "findings") == 0) {
        out->target = TARGET_FINDINGS;
        return HM_OK;
    }
    out->target = TARGET_FIELD;
    for (int once = 1; once >= 0; once--) {
        for (size_t i = 0; i < call->form_count; i++) {
            if ((call->forms[i].item.fill == HM_FORM_FILL_ONCE) == (once == 1) &&
                find_in_form(&call->forms[i], name, out)) {
                return HM_OK;
            }
        }
    }
    return hm_call_fail(call, HM_INVALID, "where: there is no field %s", name);
}

static int read_operation(struct hm_call *call, const char **at, struct condition *out)
{
    const char *c = skip_blanks(*at);

    switch (*c) {
    case '=':
        out->operation = OP_EQUAL;
        break;
    case '~':
        out->operation = OP_CONTAINS;
        break;
    case '>':
        out->operation = OP_MORE;
        break;
    case '<':
        out->operation = OP_LESS;
        break;
    case '!':
        if (c[1] == '=') {
            out->operation = OP_UNEQUAL;
            c++;
            break;
        }
        /* fall through */
    default:
        return hm_call_fail(call, HM_INVALID,
                            "where: one of = != ~ > < is missing before \"%.40s\"", c);
    }
    *at = skip_blanks(c + 1);
    return HM_OK;
}

/* A text in quotes, or everything up to " and ". */
static int read_value(struct hm_call *call, const char **at, struct hm_bytes *out)
{
    const char *start = *at;
    const char *end;

    if (*start == '"') {
        end = strchr(start + 1, '"');
        if (end == NULL) {
            return hm_call_fail(call, HM_INVALID, "where: a quote is not closed");
        }
        *out = hm_bytes_of(start + 1, (size_t)(end - start - 1));
        *at = skip_blanks(end + 1);
        return HM_OK;
    }
    end = strstr(start, " and ");
    end = end == NULL ? start + strlen(start) : end;
    *at = skip_blanks(end);
    while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *out = hm_bytes_of(start, (size_t)(end - start));
    return HM_OK;
}

static bool is_number(const char *text)
{
    char *end;

    (void)strtod(text, &end);
    return text[0] != 0 && *end == 0 && !isspace((unsigned char)text[0]);
}

static int read_condition(struct hm_call *call, const char **at, struct condition *out)
{
    const char *start = skip_blanks(*at);
    size_t len = strcspn(start, " \t=!~<>");
    const char *name = hm_arena_text(&call->arena, hm_bytes_of(start, len));
    struct hm_bytes value = {0};
    int err;

    if (name == NULL) {
        return HM_NOMEM;
    }
    if (len == 0) {
        return hm_call_fail(call, HM_INVALID, "where: a condition is missing");
    }
    *at = start + len;
    err = find_target(call, name, out);
    if (err == HM_OK) {
        err = read_operation(call, at, out);
    }
    if (err == HM_OK) {
        err = read_value(call, at, &value);
    }
    if (err != HM_OK) {
        return err;
    }
    out->value = out->operation == OP_CONTAINS ? hm_fold(value, &call->arena)
                                               : hm_arena_text(&call->arena, value);
    if (out->value == NULL) {
        return HM_NOMEM;
    }
    if ((out->operation == OP_MORE || out->operation == OP_LESS ||
         out->target != TARGET_FIELD) &&
        (!is_number(out->value) || out->operation == OP_CONTAINS)) {
        return hm_call_fail(call, HM_INVALID, "where: %s is compared with numbers",
                            name);
    }
    return HM_OK;
}

int hm_where_parse(struct hm_call *call, const char *text, struct hm_where **out_where)
{
    struct hm_where *where = hm_arena_alloc(&call->arena, sizeof *where);
    const char *at = text;
    int err = where == NULL ? HM_NOMEM : hm_call_forms(call);

    while (err == HM_OK) {
        if (where->count == HM_WHERE_CONDITIONS_MAX) {
            return hm_call_fail(call, HM_INVALID, "where: at most %d conditions",
                                HM_WHERE_CONDITIONS_MAX);
        }
        err = read_condition(call, &at, &where->conditions[where->count++]);
        if (err != HM_OK || *at == 0) {
            break;
        }
        if (strncmp(at, "and ", 4) != 0) {
            return hm_call_fail(call, HM_INVALID,
                                "where: \"and\" is missing before \"%.40s\"", at);
        }
        at += 4;
    }
    if (err == HM_OK) {
        *out_where = where;
    }
    return err;
}

/* -- Matching -- */

static bool compare_numbers(enum operation operation, double left, double right)
{
    switch (operation) {
    case OP_EQUAL:
        return left == right;
    case OP_UNEQUAL:
        return left != right;
    case OP_MORE:
        return left > right;
    case OP_LESS:
        return left < right;
    case OP_CONTAINS:
        break;
    }
    return false;
}

static int fits(const struct condition *condition, struct hm_bytes value,
                struct hm_arena *arena, bool *out_fits)
{
    struct hm_buf buf;
    const char *text;
    int err;

    hm_buf_init(&buf, HM_HOUSEHOLD_BYTES_MAX);
    hm_cells_value_text(value, &buf);
    err = buf.err;
    text = err == HM_OK ? hm_buf_str(&buf) : NULL;
    err = text == NULL && err == HM_OK ? HM_NOMEM : err;
    if (err == HM_OK && condition->operation == OP_CONTAINS) {
        const char *folded = hm_fold(hm_buf_bytes(&buf), arena);

        *out_fits = folded != NULL && strstr(folded, condition->value) != NULL;
        err = folded == NULL ? HM_NOMEM : HM_OK;
    } else if (err == HM_OK && condition->operation == OP_EQUAL) {
        *out_fits = strcmp(text, condition->value) == 0;
    } else if (err == HM_OK && condition->operation == OP_UNEQUAL) {
        *out_fits = strcmp(text, condition->value) != 0;
    } else if (err == HM_OK) {
        *out_fits =
            is_number(text) && compare_numbers(condition->operation, strtod(text, NULL),
                                               strtod(condition->value, NULL));
    }
    hm_buf_deinit(&buf);
    return err;
}

/* In whatever round; a field without a row is blank. */
static int field_matches(struct hm_call *call, const struct condition *condition,
                         const struct hm_household *h, struct hm_arena *arena,
                         bool *out_matches)
{
    struct hm_bytes value = {0};
    bool any = false;
    int err = HM_OK;

    *out_matches = false;
    for (size_t i = 0; i < h->row_count && err == HM_OK && !*out_matches; i++) {
        const struct hm_row *row = &h->rows[i];

        if (row->key.form != condition->form || row->key.repeat != condition->repeat ||
            hm_policy_row_state(row) == HM_ROW_REMOVED) {
            continue;
        }
        any = true;
        err = hm_household_view(call, h, row, condition->field, arena, &value);
        if (err == HM_OK) {
            err = fits(condition, value, arena, out_matches);
        }
    }
    if (err == HM_OK && !any && condition->repeat == 0) {
        err = hm_household_view(call, h, NULL, condition->field, arena, &value);
        if (err == HM_OK) {
            err = fits(condition, value, arena, out_matches);
        }
    }
    return err;
}

int hm_where_matches(struct hm_call *call, const struct hm_where *where,
                     const struct hm_household *h, const struct hm_where_counts *counts,
                     struct hm_arena *arena, bool *out_matches)
{
    int err = HM_OK;

    *out_matches = true;
    for (size_t i = 0; i < where->count && err == HM_OK && *out_matches; i++) {
        const struct condition *condition = &where->conditions[i];
        uint64_t number = 0;

        switch (condition->target) {
        case TARGET_FIELD:
            err = field_matches(call, condition, h, arena, out_matches);
            continue;
        case TARGET_MEMBERS:
            number = counts->members;
            break;
        case TARGET_CONFLICTS:
            number = counts->conflicts;
            break;
        case TARGET_FINDINGS:
            number = counts->findings;
            break;
        }
        *out_matches = compare_numbers(condition->operation, (double)number,
                                       strtod(condition->value, NULL));
    }
    return err;
}
