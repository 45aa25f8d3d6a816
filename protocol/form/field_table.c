#include "protocol/form/field_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "protocol/form/field_table_build.h"

struct hm_field_table_owned *hm_field_table_build_create(void)
{
    struct hm_field_table_owned *owned = calloc(1, sizeof *owned);

    if (owned != NULL) {
        hm_arena_init(&owned->arena, HM_FIELD_TABLE_MEMORY_MAX);
    }
    return owned;
}

void hm_field_table_destroy(struct hm_field_table *table)
{
    struct hm_field_table_owned *owned =
        (struct hm_field_table_owned *)table; /* first */

    if (owned != NULL) {
        hm_arena_deinit(&owned->arena);
        free(owned);
    }
}

/* ---- looking up ------------------------------------------------------------------ */

static int compare_number(const void *key, const void *element)
{
    uint32_t number = *(const uint32_t *)key;
    const struct hm_field_entry *entry = element;

    return (number > entry->number) - (number < entry->number);
}

const struct hm_field_entry *
hm_field_table_by_number(const struct hm_field_table *table, uint32_t number)
{
    return table->count == 0 ? NULL
                             : bsearch(&number, table->entries, table->count,
                                       sizeof *table->entries, compare_number);
}

const struct hm_field_entry *hm_field_table_by_name(const struct hm_field_table *table,
                                                    uint32_t repeat, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct hm_field_entry *entry = &table->entries[i];

        if (entry->kind != HM_FIELD_KIND_REPEAT && entry->repeat == repeat &&
            strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

const struct hm_field_entry *hm_field_table_repeat(const struct hm_field_table *table,
                                                   const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].kind == HM_FIELD_KIND_REPEAT &&
            strcmp(table->entries[i].name, name) == 0) {
            return &table->entries[i];
        }
    }
    return NULL;
}

const char *hm_field_entry_label(const struct hm_field_entry *entry,
                                 const char *language)
{
    for (size_t i = 0; i < entry->label_count; i++) {
        if (strcmp(entry->labels[i].language, language) == 0) {
            return entry->labels[i].text;
        }
    }
    return entry->label_count > 0 ? entry->labels[0].text : entry->name;
}

size_t hm_form_check_required(const struct hm_field_table *table, uint32_t repeat,
                              const uint32_t *answered, size_t answered_count,
                              uint32_t *missing, size_t missing_max)
{
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        const struct hm_field_entry *entry = &table->entries[i];
        size_t at = 0;

        if (entry->kind == HM_FIELD_KIND_REPEAT || entry->retired ||
            entry->repeat != repeat || entry->required != HM_FIELD_REQUIRED_ALWAYS) {
            continue;
        }
        while (at < answered_count && answered[at] != entry->number) {
            at++;
        }
        if (at < answered_count) {
            continue;
        }
        if (count < missing_max) {
            missing[count] = entry->number;
        }
        count++;
    }
    return count;
}

/* ---- growing --------------------------------------------------------------------- */

struct grow {
    const struct hm_field_table *old; /* NULL: none */
    const struct hm_xform *form;
    struct hm_field_table *table;
    struct hm_arena *arena;
    struct hm_field_error *error;
    bool *old_taken;          /* per entry of old: it lives on in the new form */
    uint32_t *repeat_numbers; /* per repeat of the form */
    int *list_from_new;       /* per list of the table: the form's list, */
    int *list_from_old;       /* and the old table's; -1 for none */
    int err;
};

static void fail(struct grow *g, int err, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void fail(struct grow *g, int err, const char *field, const char *format, ...)
{
    va_list args;

    if (g->err != HM_OK) {
        return;
    }
    g->err = err;
    (void)snprintf(g->error->field, sizeof g->error->field, "%s", field);
    va_start(args, format);
    (void)vsnprintf(g->error->reason, sizeof g->error->reason, format, args);
    va_end(args);
}

static void *grow_array(struct grow *g, size_t count, size_t size)
{
    void *data;

    if (g->err != HM_OK) {
        return NULL;
    }
    data = hm_arena_array(g->arena, count, size);
    if (data == NULL) {
        bool full = count * size > g->arena->bytes_max - g->arena->used;

        fail(g, full ? HM_TOOBIG : HM_NOMEM, "",
             full ? "the field table needs too much memory" : "out of memory");
    }
    return data;
}

/* A cell's text of at most max bytes: NFC, no control characters, an expression shown
 * as "...". Cut at a character. */
static const char *clean_text(struct grow *g, const char *text, size_t max)
{
    utf8proc_uint8_t *nfc = NULL;
    char *plain = malloc(strlen(text) * 3 + 1);
    size_t len = 0;
    char *copy = NULL;

    if (plain == NULL) {
        fail(g, HM_NOMEM, "", "out of memory");
        return NULL;
    }
    for (const char *at = text; *at != 0; at++) {
        if (*at == HM_XFORM_OUTPUT_BEGIN) {
            const char *end = strchr(at, HM_XFORM_OUTPUT_END);

            at = end == NULL ? at : end;
            memcpy(plain + len, "...", 3);
            len += 3;
        } else {
            plain[len++] = *at == '\n' || *at == '\t' || *at == '\r' ? ' ' : *at;
        }
    }
    /* XML allows C1 controls in texts, cells do not. */
    if (utf8proc_map((const utf8proc_uint8_t *)plain, (utf8proc_ssize_t)len, &nfc,
                     UTF8PROC_COMPOSE | UTF8PROC_STABLE | UTF8PROC_STRIPCC) < 0) {
        fail(g, HM_NOMEM, "", "out of memory");
        goto out;
    }
    len = strlen((const char *)nfc);
    if (len > max) {
        len = max;
        while (len > 0 && (nfc[len] & 0xC0) == 0x80) {
            len--;
        }
    }
    copy = grow_array(g, len + 1, 1);
    if (copy != NULL) {
        memcpy(copy, nfc, len);
    }
out:
    free(nfc);
    free(plain);
    return copy;
}

/* Names and values are keys: what would be cut is refused. */
static const char *key_text(struct grow *g, const char *text)
{
    const char *copy = clean_text(g, text, HM_FIELD_TABLE_TEXT_BYTES_MAX);

    if (copy != NULL && strlen(text) > HM_FIELD_TABLE_TEXT_BYTES_MAX) {
        fail(g, HM_TOOBIG, copy, "a name, path or choice is longer than %d bytes",
             HM_FIELD_TABLE_TEXT_BYTES_MAX);
    }
    return copy;
}

/* "Tiếng Việt (vi)" -> "vi"; a name without brackets is its own code. */
static const char *language_code(struct grow *g, const char *name)
{
    const char *open = strrchr(name, '(');
    size_t len = open == NULL ? 0 : strcspn(open + 1, ")");
    char code[64];

    if (open == NULL || len == 0 || len >= sizeof code) {
        return clean_text(g, name, 64);
    }
    (void)snprintf(code, sizeof code, "%.*s", (int)len, open + 1);
    return clean_text(g, code, 64);
}

static void label_add(struct grow *g, struct hm_field_entry *entry,
                      hm_xform_texts texts, size_t language)
{
    const char *code = language_code(g, g->form->languages[language]);
    bool first = language == g->form->default_language;

    if (code == NULL || texts[language] == NULL) {
        return;
    }
    if (!first && strcmp(code, "vi") != 0 && strcmp(code, "en") != 0) {
        return;
    }
    for (size_t i = 0; i < entry->label_count; i++) {
        if (strcmp(entry->labels[i].language, code) == 0) {
            return; /* two languages with one code: the first stays */
        }
    }
    entry->labels[entry->label_count++] = (struct hm_field_label){
        code, clean_text(g, texts[language], HM_FIELD_TABLE_LABEL_BYTES_MAX)};
}

static void labels_add(struct grow *g, struct hm_field_entry *entry,
                       hm_xform_texts texts)
{
    entry->label_count = 0;
    entry->labels = NULL;
    if (texts == NULL) {
        return;
    }
    entry->labels = grow_array(g, g->form->language_count, sizeof *entry->labels);
    if (entry->labels == NULL) {
        return;
    }
    label_add(g, entry, texts, g->form->default_language);
    for (size_t i = 0; i < g->form->language_count; i++) {
        if (i != g->form->default_language) {
            label_add(g, entry, texts, i);
        }
    }
}

/* ---- choices --------------------------------------------------------------------- */

static int compare_texts(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The values of a list, sorted: a list of all communes has ten thousand. */
static const char **values_sorted(struct grow *g, const struct hm_field_choices *list)
{
    const char **values = grow_array(g, list->count, sizeof *values);

    for (size_t i = 0; values != NULL && i < list->count; i++) {
        values[i] = list->choices[i].value;
    }
    if (values != NULL && list->count > 1) {
        qsort(values, list->count, sizeof *values, compare_texts);
    }
    return values;
}

static const char *label_of(struct grow *g, hm_xform_texts texts)
{
    return clean_text(g, hm_xform_text(g->form, texts, g->form->default_language),
                      HM_FIELD_TABLE_LABEL_BYTES_MAX);
}

static void choices_fill(struct grow *g, struct hm_field_choices *list,
                         const struct hm_xform_list *from,
                         const struct hm_field_choices *before)
{
    size_t new_count = from == NULL ? 0 : from->count;
    const char **values;

    list->choices = grow_array(g, new_count + (before == NULL ? 0 : before->count),
                               sizeof *list->choices);
    for (size_t i = 0; i < new_count && g->err == HM_OK; i++) {
        list->choices[list->count++] =
            (struct hm_field_choice){key_text(g, from->choices[i].value),
                                     label_of(g, from->choices[i].label), false};
    }
    values = before == NULL ? NULL : values_sorted(g, list);
    for (size_t i = 0; before != NULL && i < before->count && g->err == HM_OK; i++) {
        const struct hm_field_choice *choice = &before->choices[i];

        if (bsearch(&choice->value, values, new_count, sizeof *values, compare_texts) ==
            NULL) {
            list->choices[list->count++] = (struct hm_field_choice){
                key_text(g, choice->value),
                clean_text(g, choice->label, HM_FIELD_TABLE_LABEL_BYTES_MAX), true};
        }
    }
}

/* The table's list that stands for the form's list and the old table's, either -1. */
static int list_of(struct grow *g, int from_new, int from_old)
{
    size_t count = g->table->list_count;

    if (from_new < 0 && from_old < 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (g->list_from_new[i] == from_new && g->list_from_old[i] == from_old) {
            return (int)i;
        }
    }
    g->list_from_new[count] = from_new;
    g->list_from_old[count] = from_old;
    choices_fill(g, &g->table->lists[count],
                 from_new < 0 ? NULL : &g->form->lists[from_new],
                 from_old < 0 ? NULL : &g->old->lists[from_old]);
    g->table->list_count++;
    return (int)count;
}

/* ---- entries --------------------------------------------------------------------- */

/* The entry of old that lives on under this name, or under this path when its own name
 * is gone from the form. */
static const struct hm_field_entry *
old_field(const struct grow *g, const struct hm_xform_field *field, uint32_t repeat)
{
    const struct hm_field_entry *entry;

    if (g->old == NULL) {
        return NULL;
    }
    entry = hm_field_table_by_name(g->old, repeat, field->name);
    for (size_t i = 0; entry == NULL && i < g->old->count; i++) {
        const struct hm_field_entry *other = &g->old->entries[i];
        bool named = false;

        if (other->kind == HM_FIELD_KIND_REPEAT || other->repeat != repeat ||
            strcmp(other->path, field->row_path) != 0) {
            continue;
        }
        for (size_t k = 0; k < g->form->field_count; k++) {
            named |= g->form->fields[k].repeat == field->repeat &&
                     strcmp(g->form->fields[k].name, other->name) == 0;
        }
        entry = named ? NULL : other;
    }
    return entry;
}

/* A place for a known entry, or the next number. */
static struct hm_field_entry *
entry_place(struct grow *g, const struct hm_field_entry *known, const char *name)
{
    struct hm_field_entry *entry;

    if (known != NULL) {
        size_t index = (size_t)(known - g->old->entries);

        g->old_taken[index] = true;
        return &g->table->entries[index];
    }
    if (g->table->next_number > HM_FIELD_NUMBER_MAX) {
        fail(g, HM_TOOBIG, name, "all %d field numbers of this form are used up",
             HM_FIELD_NUMBER_MAX);
        return NULL;
    }
    entry = &g->table->entries[g->table->count++];
    entry->number = g->table->next_number++;
    return entry;
}

static void repeat_grow(struct grow *g, size_t index)
{
    const struct hm_xform_repeat *repeat = &g->form->repeats[index];
    uint32_t parent = repeat->parent < 0 ? 0 : g->repeat_numbers[repeat->parent];
    const struct hm_field_entry *known =
        g->old == NULL ? NULL : hm_field_table_repeat(g->old, repeat->name);
    struct hm_field_entry *entry;

    if (known != NULL && known->repeat != parent) {
        fail(g, HM_INVALID, repeat->name,
             "the repeat moved into or out of another repeat, so its rows would lose "
             "their place; give the moved repeat a new name");
        return;
    }
    entry = entry_place(g, known, repeat->name);
    if (entry == NULL) {
        return;
    }
    g->repeat_numbers[index] = entry->number;
    entry->repeat = parent;
    entry->kind = HM_FIELD_KIND_REPEAT;
    entry->type = HM_FIELD_TYPE_STRING;
    entry->policy = HM_FIELD_POLICY_ASK;
    entry->list = -1;
    entry->name = key_text(g, repeat->name);
    entry->path = entry->name;
    labels_add(g, entry, repeat->label);
}

static enum hm_field_kind kind_of(enum hm_xform_kind kind)
{
    switch (kind) {
    case HM_XFORM_KIND_QUESTION:
        return HM_FIELD_KIND_QUESTION;
    case HM_XFORM_KIND_CALCULATE:
        return HM_FIELD_KIND_CALCULATE;
    case HM_XFORM_KIND_META:
        return HM_FIELD_KIND_META;
    case HM_XFORM_KIND_HIDDEN:
        break;
    }
    return HM_FIELD_KIND_HIDDEN;
}

static enum hm_field_required required_of(const struct hm_xform_field *field)
{
    if (!field->required && field->required_expr == NULL) {
        return HM_FIELD_REQUIRED_NO;
    }
    return field->required && !field->conditional ? HM_FIELD_REQUIRED_ALWAYS
                                                  : HM_FIELD_REQUIRED_SOMETIMES;
}

static void field_grow(struct grow *g, const struct hm_xform_field *field)
{
    uint32_t repeat = field->repeat < 0 ? 0 : g->repeat_numbers[field->repeat];
    const struct hm_field_entry *known = old_field(g, field, repeat);
    struct hm_field_entry *entry;

    if (known != NULL && !hm_field_type_fits(known->type, field->type)) {
        fail(g, HM_INVALID, field->name,
             "its type was %s and cannot become %s, because answers are kept as %s; "
             "keep the type, or use a new name for the new question",
             hm_field_type_name(known->type), hm_field_type_name(field->type),
             hm_field_type_name(known->type));
        return;
    }
    entry = entry_place(g, known, field->name);
    if (entry == NULL) {
        return;
    }
    entry->repeat = repeat;
    entry->kind = kind_of(field->kind);
    entry->type = field->type;
    entry->policy = field->policy;
    entry->required = required_of(field);
    entry->likeness = field->likeness;
    entry->choices_open = field->choices_open;
    entry->name = key_text(g, field->name);
    entry->path = key_text(g, field->row_path);
    entry->list = list_of(g, field->list, known == NULL ? -1 : known->list);
    labels_add(g, entry, field->label);
}

/* An entry of old that the form no longer has. */
static void entry_retire(struct grow *g, size_t index)
{
    const struct hm_field_entry *from = &g->old->entries[index];
    struct hm_field_entry *entry = &g->table->entries[index];

    *entry = *from;
    entry->retired = true;
    entry->name = key_text(g, from->name);
    entry->path = key_text(g, from->path);
    entry->list = list_of(g, -1, from->list);
    entry->labels = grow_array(g, from->label_count, sizeof *entry->labels);
    for (size_t i = 0; i < from->label_count && g->err == HM_OK; i++) {
        entry->labels[i] = (struct hm_field_label){
            clean_text(g, from->labels[i].language, 64),
            clean_text(g, from->labels[i].text, HM_FIELD_TABLE_LABEL_BYTES_MAX)};
    }
}

static void tables_make(struct grow *g)
{
    size_t old_count = g->old == NULL ? 0 : g->old->count;
    size_t count_max = old_count + g->form->field_count + g->form->repeat_count;

    g->table->form = key_text(g, g->form->id);
    g->table->next_number =
        g->old == NULL ? HM_FIELD_NUMBER_FIRST : g->old->next_number;
    g->table->entries = grow_array(g, count_max, sizeof *g->table->entries);
    g->table->lists = grow_array(g, count_max, sizeof *g->table->lists);
    g->list_from_new = grow_array(g, count_max, sizeof *g->list_from_new);
    g->list_from_old = grow_array(g, count_max, sizeof *g->list_from_old);
    g->old_taken = grow_array(g, old_count, sizeof *g->old_taken);
    g->repeat_numbers = grow_array(g, g->form->repeat_count, sizeof *g->repeat_numbers);
    g->table->count = old_count;
    for (size_t i = 0; i < old_count && g->err == HM_OK; i++) {
        g->table->entries[i].number = g->old->entries[i].number;
    }
}

/* Document order gives each repeat a smaller number than its own fields. */
static void entries_grow(struct grow *g)
{
    for (size_t i = 0; i < g->form->repeat_count && g->err == HM_OK; i++) {
        repeat_grow(g, i);
    }
    for (size_t i = 0; i < g->form->field_count && g->err == HM_OK; i++) {
        field_grow(g, &g->form->fields[i]);
    }
    for (size_t i = 0; g->old != NULL && i < g->old->count && g->err == HM_OK; i++) {
        if (!g->old_taken[i]) {
            entry_retire(g, i);
        }
    }
}

int hm_field_table_grow(const struct hm_field_table *old, const struct hm_xform *form,
                        struct hm_field_table **out_table, struct hm_field_error *error)
{
    struct hm_field_table_owned *owned = hm_field_table_build_create();
    struct grow g = {.old = old, .form = form, .error = error};

    *error = (struct hm_field_error){{0}, {0}};
    if (owned == NULL) {
        return HM_NOMEM;
    }
    g.table = &owned->table;
    g.arena = &owned->arena;
    tables_make(&g);
    if (g.err == HM_OK && old != NULL && strcmp(old->form, g.table->form) != 0) {
        fail(&g, HM_INVALID, "", "the table is of the form \"%.80s\", not \"%.80s\"",
             old->form, g.table->form);
    }
    if (g.err == HM_OK) {
        entries_grow(&g);
    }
    if (g.err != HM_OK) {
        hm_field_table_destroy(g.table);
        return g.err;
    }
    *out_table = g.table;
    return HM_OK;
}
