/* A field table in canonical msgpack.
 *
 *   table = {1: format, 2: form id, 3: next number, 4: [entry ...], 5: [list ...]}
 *   entry = {1: number, 2: repeat, 3: kind, 4: type, 5: policy, 6: required, 7: flags,
 *            8: name, 9: path, 10: [language, text, ...], 11: list, 12: likeness}
 *           11 and 12 if it has one
 *   list  = [value, label, flags, ...]
 *
 * flags: bit 0 retired, bit 1 (entries) its choices are open. */
#include "protocol/form/field_table_build.h"
#include "protocol/guard.h"
#include "protocol/pack.h"

enum { FORMAT = 1, FLAG_RETIRED = 1, FLAG_OPEN = 2 };

/* ---- encode ---------------------------------------------------------------------- */

static void text_encode(struct hm_buf *out, const char *text)
{
    hm_pack_str(out, hm_bytes_str(text));
}

static void pair_uint(struct hm_buf *out, unsigned key, uint64_t value)
{
    hm_pack_uint(out, key);
    hm_pack_uint(out, value);
}

static void entry_encode(const struct hm_field_entry *entry, struct hm_buf *out)
{
    unsigned flags =
        (entry->retired ? FLAG_RETIRED : 0U) | (entry->choices_open ? FLAG_OPEN : 0U);

    hm_pack_map(out, 10U + (entry->list < 0 ? 0U : 1U) +
                         (entry->likeness == HM_FIELD_LIKENESS_NONE ? 0U : 1U));
    pair_uint(out, 1, entry->number);
    pair_uint(out, 2, entry->repeat);
    pair_uint(out, 3, entry->kind);
    pair_uint(out, 4, entry->type);
    pair_uint(out, 5, entry->policy);
    pair_uint(out, 6, entry->required);
    pair_uint(out, 7, flags);
    hm_pack_uint(out, 8);
    text_encode(out, entry->name);
    hm_pack_uint(out, 9);
    text_encode(out, entry->path);
    hm_pack_uint(out, 10);
    hm_pack_array(out, entry->label_count * 2);
    for (size_t i = 0; i < entry->label_count; i++) {
        text_encode(out, entry->labels[i].language);
        text_encode(out, entry->labels[i].text);
    }
    if (entry->list >= 0) {
        pair_uint(out, 11, (uint64_t)entry->list);
    }
    if (entry->likeness != HM_FIELD_LIKENESS_NONE) {
        pair_uint(out, 12, entry->likeness);
    }
}

void hm_field_table_encode(const struct hm_field_table *table, struct hm_buf *out)
{
    hm_pack_map(out, 5);
    pair_uint(out, 1, FORMAT);
    hm_pack_uint(out, 2);
    text_encode(out, table->form);
    pair_uint(out, 3, table->next_number);
    hm_pack_uint(out, 4);
    hm_pack_array(out, table->count);
    for (size_t i = 0; i < table->count; i++) {
        entry_encode(&table->entries[i], out);
    }
    hm_pack_uint(out, 5);
    hm_pack_array(out, table->list_count);
    for (size_t i = 0; i < table->list_count; i++) {
        const struct hm_field_choices *list = &table->lists[i];

        hm_pack_array(out, list->count * 3);
        for (size_t k = 0; k < list->count; k++) {
            text_encode(out, list->choices[k].value);
            text_encode(out, list->choices[k].label);
            hm_pack_uint(out, list->choices[k].retired ? FLAG_RETIRED : 0U);
        }
    }
}

/* ---- decode ---------------------------------------------------------------------- */

/* A reader whose error also covers memory and limits. */
struct decode {
    struct hm_reader r;
    struct hm_arena *arena;
    struct hm_field_table *table;
};

static void *decode_array(struct decode *d, size_t count, size_t size)
{
    void *data = d->r.err == HM_OK ? hm_arena_array(d->arena, count, size) : NULL;

    if (data == NULL && d->r.err == HM_OK) {
        bool full = count > (d->arena->bytes_max - d->arena->used) / size;

        d->r.err = full ? HM_TOOBIG : HM_NOMEM;
    }
    return data;
}

static const char *decode_text(struct decode *d)
{
    struct hm_bytes text = hm_unpack_str(&d->r);
    char *copy = decode_array(d, text.len + 1, 1);

    if (copy != NULL && text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    return copy;
}

/* A number of a table that may have grown since this version. */
static uint32_t decode_small(struct decode *d, uint64_t min, uint64_t max)
{
    uint64_t value = hm_unpack_uint(&d->r);

    if (d->r.err == HM_OK && (value < min || value > max)) {
        d->r.err = HM_VERSION;
    }
    return d->r.err == HM_OK ? (uint32_t)value : 0;
}

static void decode_type(struct decode *d, struct hm_field_entry *entry)
{
    uint64_t number = hm_unpack_uint(&d->r);

    if (d->r.err == HM_OK && !hm_field_type_of_number(number, &entry->type)) {
        d->r.err = HM_VERSION;
    }
}

static void decode_policy(struct decode *d, struct hm_field_entry *entry)
{
    uint64_t number = hm_unpack_uint(&d->r);

    if (d->r.err == HM_OK && !hm_field_policy_of_number(number, &entry->policy)) {
        d->r.err = HM_VERSION;
    }
}

static void decode_labels(struct decode *d, struct hm_field_entry *entry)
{
    size_t count = hm_unpack_array(&d->r, 2 * (size_t)HM_XFORM_LANGUAGES_MAX);

    if (d->r.err == HM_OK && count % 2 != 0) {
        d->r.err = HM_MALFORMED;
    }
    entry->labels = decode_array(d, count / 2, sizeof *entry->labels);
    for (size_t i = 0; i < count / 2 && d->r.err == HM_OK; i++) {
        entry->labels[i].language = decode_text(d);
        entry->labels[i].text = decode_text(d);
        entry->label_count++;
    }
}

static void decode_flags(struct decode *d, struct hm_field_entry *entry)
{
    uint64_t flags = hm_unpack_uint(&d->r);

    entry->retired = (flags & FLAG_RETIRED) != 0;
    entry->choices_open = (flags & FLAG_OPEN) != 0;
}

static void decode_pair(struct decode *d, struct hm_field_entry *entry)
{
    switch (hm_unpack_uint(&d->r)) {
    case 1:
        entry->number = (uint32_t)hm_unpack_uint_max(&d->r, HM_FIELD_NUMBER_MAX);
        break;
    case 2:
        entry->repeat = (uint32_t)hm_unpack_uint_max(&d->r, HM_FIELD_NUMBER_MAX);
        break;
    case 3:
        entry->kind = decode_small(d, HM_FIELD_KIND_QUESTION, HM_FIELD_KIND_REPEAT);
        break;
    case 4:
        decode_type(d, entry);
        break;
    case 5:
        decode_policy(d, entry);
        break;
    case 6:
        entry->required = decode_small(d, 0, HM_FIELD_REQUIRED_SOMETIMES);
        break;
    case 7:
        decode_flags(d, entry);
        break;
    case 8:
        entry->name = decode_text(d);
        break;
    case 9:
        entry->path = decode_text(d);
        break;
    case 10:
        decode_labels(d, entry);
        break;
    case 11:
        entry->list = (int)hm_unpack_uint_max(&d->r, HM_FIELD_TABLE_LISTS_MAX);
        break;
    case 12:
        entry->likeness =
            decode_small(d, HM_FIELD_LIKENESS_ID_NUMBER, HM_FIELD_LIKENESS_BIRTH_YEAR);
        break;
    default:
        (void)hm_unpack_raw(&d->r); /* of a newer version */
        break;
    }
}

static void decode_entries(struct decode *d)
{
    size_t count = hm_unpack_array(&d->r, HM_FIELD_NUMBER_MAX);

    d->table->entries = decode_array(d, count, sizeof *d->table->entries);
    for (size_t i = 0; i < count && d->r.err == HM_OK; i++) {
        size_t pairs = hm_unpack_map(&d->r, 64);

        d->table->entries[i].list = -1;
        d->table->count++;
        for (size_t k = 0; k < pairs && d->r.err == HM_OK; k++) {
            decode_pair(d, &d->table->entries[i]);
        }
    }
}

static void decode_list(struct decode *d, struct hm_field_choices *list)
{
    size_t count = hm_unpack_array(&d->r, HM_FIELD_TABLE_BYTES_MAX);

    if (d->r.err == HM_OK && count % 3 != 0) {
        d->r.err = HM_MALFORMED;
    }
    list->choices = decode_array(d, count / 3, sizeof *list->choices);
    for (size_t i = 0; i < count / 3 && d->r.err == HM_OK; i++) {
        list->choices[i].value = decode_text(d);
        list->choices[i].label = decode_text(d);
        list->choices[i].retired = (hm_unpack_uint(&d->r) & FLAG_RETIRED) != 0;
        list->count++;
    }
}

static void decode_lists(struct decode *d)
{
    size_t count = hm_unpack_array(&d->r, HM_FIELD_TABLE_LISTS_MAX);

    d->table->lists = decode_array(d, count, sizeof *d->table->lists);
    for (size_t i = 0; i < count && d->r.err == HM_OK; i++) {
        d->table->list_count++;
        decode_list(d, &d->table->lists[i]);
    }
}

static void decode_table(struct decode *d)
{
    size_t pairs = hm_unpack_map(&d->r, 64);

    for (size_t i = 0; i < pairs && d->r.err == HM_OK; i++) {
        switch (hm_unpack_uint(&d->r)) {
        case 1:
            (void)decode_small(d, FORMAT, FORMAT);
            break;
        case 2:
            d->table->form = decode_text(d);
            break;
        case 3:
            d->table->next_number =
                (uint32_t)hm_unpack_uint_max(&d->r, HM_FIELD_NUMBER_MAX + 1);
            break;
        case 4:
            decode_entries(d);
            break;
        case 5:
            decode_lists(d);
            break;
        default:
            (void)hm_unpack_raw(&d->r); /* of a newer version */
            break;
        }
    }
    if (d->r.err == HM_OK) {
        d->r.err = hm_unpack_end(&d->r);
    }
}

/* What every reader of a table relies on. */
static bool is_sound(const struct hm_field_table *table)
{
    if (table->form == NULL || table->next_number < HM_FIELD_NUMBER_FIRST) {
        return false;
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct hm_field_entry *entry = &table->entries[i];
        const struct hm_field_entry *repeat;

        if (entry->number < HM_FIELD_NUMBER_FIRST ||
            entry->number >= table->next_number ||
            (i > 0 && entry->number <= table->entries[i - 1].number) ||
            entry->kind == 0 || entry->type == 0 || entry->policy == 0 ||
            entry->name == NULL || entry->path == NULL ||
            entry->list >= (int)table->list_count) {
            return false;
        }
        if (entry->repeat == 0) {
            continue;
        }
        repeat = hm_field_table_by_number(table, entry->repeat);
        if (repeat == NULL || repeat->kind != HM_FIELD_KIND_REPEAT ||
            repeat->number >= entry->number) {
            return false;
        }
    }
    return true;
}

int hm_field_table_decode(struct hm_bytes bytes, struct hm_field_table **out_table)
{
    struct hm_field_table_owned *owned;
    struct decode d = {.r = {.left = bytes}};
    int err = bytes.len > HM_FIELD_TABLE_BYTES_MAX ? HM_TOOBIG : hm_guard_check(bytes);

    if (err != HM_OK) {
        return err;
    }
    owned = hm_field_table_build_create();
    if (owned == NULL) {
        return HM_NOMEM;
    }
    d.arena = &owned->arena;
    d.table = &owned->table;
    decode_table(&d);
    if (d.r.err == HM_OK && !is_sound(d.table)) {
        d.r.err = HM_MALFORMED;
    }
    if (d.r.err != HM_OK) {
        hm_field_table_destroy(d.table);
        return d.r.err;
    }
    *out_table = d.table;
    return HM_OK;
}
