#include "daemon/form_dictionary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/change.h"
#include "protocol/compress.h"
#include "protocol/form/value.h"

enum { WORDS_MAX = 4096, ROWS_MAX = 24, ARENA_BYTES_MAX = 4 * 1024 * 1024 };

static const char default_words[] =
    "Nguyễn\nTrần\nLê\nPhạm\nHoàng\nHuỳnh\nPhan\nVũ\nVõ\nĐặng\nBùi\nĐỗ\nHồ\nNgô\nDương"
    "\n"
    "Lý\nVăn\nThị\nĐình\nThanh\nXuân\nNgọc\nMinh\nHữu\nQuang\nĐức\nAnh\nBình\nCường\n"
    "Dũng\nGiang\nHà\nHải\nHạnh\nHiền\nHoa\nHòa\nHùng\nHuệ\nHương\nLan\nLinh\nLoan\n"
    "Long\nMai\nNam\nNga\nPhúc\nPhương\nPhượng\nSơn\nTâm\nThảo\nThủy\nTuấn\nVinh\n"
    "Yến\nthôn\nxóm\nsố\nđường\n";

struct maker {
    const struct hm_field_table *table;
    uint32_t form;
    struct hm_bytes words[WORDS_MAX];
    size_t word_count;
    uint64_t random;
    struct hm_arena arena; /* of one sample */
    struct hm_buf value;
    struct hm_buf why;
    struct hm_buf samples;
    size_t sizes[HM_FORM_DICTIONARY_SAMPLES];
    size_t count;
};

/* splitmix64 */
static uint64_t draw_bits(struct maker *m)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static unsigned draw(struct maker *m, size_t below)
{
    return (unsigned)(draw_bits(m) % below);
}

static void split_words(struct maker *m, struct hm_bytes text)
{
    while (text.len > 0 && m->word_count < WORDS_MAX) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.data);

        if (len > 0 && len <= 60) {
            m->words[m->word_count++] = hm_bytes_of(text.data, len);
        }
        len += end == NULL ? 0 : 1;
        text = hm_bytes_of(text.data + len, text.len - len);
    }
}

static void make_text(struct maker *m, const char *name, char out[256])
{
    unsigned count = 2 + draw(m, 3);
    size_t used = 0;

    if (strstr(name, "phone") != NULL) {
        (void)snprintf(out, 256, "09%08u", draw(m, 100000000));
        return;
    }
    if (strstr(name, "id") != NULL || strstr(name, "number") != NULL) {
        (void)snprintf(out, 256, "046%09u", draw(m, 1000000000));
        return;
    }
    out[0] = 0;
    for (unsigned i = 0; i < count && used < 180; i++) {
        struct hm_bytes word = m->words[draw(m, m->word_count)];

        used += (size_t)snprintf(out + used, 256 - used, "%s%.*s", i == 0 ? "" : " ",
                                 (int)word.len, (const char *)word.data);
    }
}

static void make_choice(struct maker *m, const struct hm_field_entry *entry,
                        char out[256])
{
    const struct hm_field_choices *list = NULL;

    out[0] = 0;
    if (entry->list >= 0) {
        list = &m->table->lists[entry->list];
    }
    if (list != NULL && list->count > 0) {
        (void)snprintf(out, 256, "%s", list->choices[draw(m, list->count)].value);
    }
}

static void make_date(struct maker *m, char out[256])
{
    (void)snprintf(out, 256, "%04u-%02u-%02u", 1940 + draw(m, 87), 1 + draw(m, 12),
                   1 + draw(m, 28));
}

/* What a person might answer; "" for nothing that we can make up. */
static void make_answer(struct maker *m, const struct hm_field_entry *entry,
                        char out[256])
{
    out[0] = 0;
    switch (entry->type) {
    case HM_FIELD_TYPE_STRING:
        make_text(m, entry->name, out);
        break;
    case HM_FIELD_TYPE_INT:
    case HM_FIELD_TYPE_DECIMAL:
        (void)snprintf(out, 256, "%u",
                       strstr(entry->name, "year") != NULL ? 1940 + draw(m, 87)
                                                           : draw(m, 12));
        break;
    case HM_FIELD_TYPE_BOOLEAN:
        (void)snprintf(out, 256, "%s", draw(m, 2) == 0 ? "true" : "false");
        break;
    case HM_FIELD_TYPE_DATE:
        make_date(m, out);
        break;
    case HM_FIELD_TYPE_TIME:
        (void)snprintf(out, 256, "%02u:%02u:00.000+07:00", draw(m, 24), draw(m, 60));
        break;
    case HM_FIELD_TYPE_DATETIME:
        make_date(m, out);
        (void)snprintf(out + 10, 240, "T%02u:%02u:00.000+07:00", draw(m, 24),
                       draw(m, 60));
        break;
    case HM_FIELD_TYPE_SELECT1:
    case HM_FIELD_TYPE_SELECT:
        make_choice(m, entry, out);
        break;
    case HM_FIELD_TYPE_GEOPOINT:
        (void)snprintf(out, 256, "16.%07u 107.%07u 0 5", draw(m, 9999999),
                       draw(m, 9999999));
        break;
    case HM_FIELD_TYPE_RANK:
    case HM_FIELD_TYPE_GEOTRACE:
    case HM_FIELD_TYPE_GEOSHAPE:
    case HM_FIELD_TYPE_BINARY:
    case HM_FIELD_TYPE_BARCODE:
    case HM_FIELD_TYPE_INTENT:
        break;
    }
}

static bool is_written(const struct hm_field_entry *entry, uint32_t repeat)
{
    return entry->kind != HM_FIELD_KIND_REPEAT &&
           entry->kind != HM_FIELD_KIND_CALCULATE && !entry->retired &&
           entry->policy != HM_FIELD_POLICY_DERIVED && entry->repeat == repeat;
}

/* Percent of the fields of a row get an answer. */
static int make_row(struct maker *m, uint32_t repeat, const struct hm_item *item,
                    unsigned percent, struct hm_row_write *out)
{
    struct hm_cell_write *cells =
        hm_arena_array(&m->arena, m->table->count, sizeof *cells);
    char text[256];

    if (cells == NULL) {
        return HM_NOMEM;
    }
    *out = (struct hm_row_write){
        .key = {.form = m->form, .repeat = repeat, .item = *item}, .cells = cells};
    for (size_t i = 0; i < m->table->count; i++) {
        const struct hm_field_entry *entry = &m->table->entries[i];

        if (!is_written(entry, repeat) || draw(m, 100) >= percent) {
            continue;
        }
        make_answer(m, entry, text);
        hm_buf_clear(&m->value);
        hm_buf_clear(&m->why);
        if (text[0] != 0 && hm_value_from_text(m->table, entry, hm_bytes_str(text),
                                               &m->value, &m->why) == HM_OK) {
            cells[out->cell_count].field = entry->number;
            if (hm_arena_copy(&m->arena, hm_buf_bytes(&m->value),
                              &cells[out->cell_count].value) != HM_OK) {
                return HM_NOMEM;
            }
            out->cell_count++;
        }
    }
    return HM_OK;
}

static int add_row(struct maker *m, struct hm_change *change, uint32_t repeat,
                   const struct hm_item *item, unsigned percent)
{
    int err;

    if (change->row_count == ROWS_MAX) {
        return HM_OK;
    }
    err = make_row(m, repeat, item, percent, &change->rows[change->row_count]);
    if (err == HM_OK && change->rows[change->row_count].cell_count > 0) {
        change->row_count++;
    }
    return err;
}

/* A new household with the rows of its repeats, or a few answers changed. */
static int make_rows(struct maker *m, const struct hm_dot *dot, bool creates,
                     struct hm_change *change)
{
    const struct hm_item none = {0};
    uint64_t k = 0;
    int err = add_row(m, change, 0, &none, creates ? 70 : 8);

    for (size_t i = 0; i < m->table->count && err == HM_OK; i++) {
        const struct hm_field_entry *entry = &m->table->entries[i];
        unsigned rows = creates ? 3 + draw(m, 3) : draw(m, 2);

        if (entry->kind != HM_FIELD_KIND_REPEAT || entry->retired) {
            continue;
        }
        for (unsigned r = 0; r < rows && err == HM_OK; r++) {
            struct hm_item item = {.incarnation = dot->incarnation, .n = dot->n};

            item.k = ++k;
            err = add_row(m, change, entry->number, &item, creates ? 70 : 15);
        }
    }
    return err;
}

static int make_sample(struct maker *m)
{
    struct hm_dot dot = {.incarnation = draw_bits(m), .n = 1 + draw(m, 2000)};
    bool creates = draw(m, 2) == 0;
    struct hm_change change = {.dt_ms = draw(m, 40000000),
                               .user = 1 + draw(m, 20),
                               .rank = 4,
                               .scope = 1 + draw(m, 400)};
    struct hm_buf bytes;
    int err;

    change.household.a = creates ? dot.incarnation : draw_bits(m);
    change.household.n = creates ? dot.n : 1 + draw(m, 2000);
    change.rows = hm_arena_array(&m->arena, ROWS_MAX, sizeof *change.rows);
    err = change.rows == NULL ? HM_NOMEM : make_rows(m, &dot, creates, &change);
    if (err != HM_OK || change.row_count == 0) {
        return err;
    }
    hm_buf_init(&bytes, HM_CHANGE_BYTES_MAX);
    hm_change_encode(&change, &dot, &bytes);
    err = bytes.err;
    if (err == HM_OK &&
        m->samples.len + bytes.len <= HM_FORM_DICTIONARY_SAMPLE_BYTES_MAX) {
        hm_buf_append(&m->samples, hm_buf_bytes(&bytes));
        m->sizes[m->count++] = bytes.len;
        err = m->samples.err;
    }
    hm_buf_deinit(&bytes);
    return err == HM_TOOBIG ? HM_OK : err; /* a giant form: others are smaller */
}

int hm_form_dictionary_train(const struct hm_field_table *table, uint32_t form,
                             struct hm_bytes words, struct hm_buf *out)
{
    struct maker *m = calloc(1, sizeof *m);
    int err = HM_OK;

    if (m == NULL) {
        return HM_NOMEM;
    }
    m->table = table;
    m->form = form;
    m->random = form;
    split_words(m, words);
    if (m->word_count == 0) {
        split_words(m, hm_bytes_str(default_words));
    }
    hm_arena_init(&m->arena, ARENA_BYTES_MAX);
    hm_buf_init(&m->value, HM_CHANGE_BYTES_MAX);
    hm_buf_init(&m->why, HM_VALUE_WHY_BYTES_MAX);
    hm_buf_init(&m->samples, HM_FORM_DICTIONARY_SAMPLE_BYTES_MAX + 1);
    for (size_t i = 0; i < HM_FORM_DICTIONARY_SAMPLES && err == HM_OK; i++) {
        err = make_sample(m);
        hm_arena_deinit(&m->arena);
    }
    if (err == HM_OK) {
        err = hm_dictionary_train(hm_buf_bytes(&m->samples), m->sizes, m->count,
                                  HM_FORM_DICTIONARY_BYTES, out);
    }
    hm_buf_deinit(&m->value);
    hm_buf_deinit(&m->why);
    hm_buf_deinit(&m->samples);
    free(m);
    return err;
}
