#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/form/value.h"
#include "storage/log.h"
#include "tests/support/child.h"
#include "tests/support/commune.h"
#include "tests/support/village.h"

/* What a sync of the bundled register costs in bytes, both ways, all frames: on 2G
 * each one counts. Another zstd may differ by a little. And what saving costs. */

enum {
    BATCH = 30,
    MEMBERS = 4,
    SAMPLES = 2000,
    DICTIONARY_BYTES = 32 * 1024,
    CELLS_MAX = 16,
    ARENA_BYTES = 64 * 1024 * 1024,
    SEED_LEARNT = 7, /* communes: the one that the dictionary knows, another one */
    SEED_MEASURED = 8,
    NEW_HOUSEHOLD_BYTES = 260, /* budgets, a household each, and for a sync */
    UPDATE_BYTES = 40,
    QUIET_BYTES = 1500
};

static struct hm_village v;
static struct hm_field_table *table;
static struct hm_form_item form = {.form_id = "register",
                                   .version = "1",
                                   .title = "Register",
                                   .fill = HM_FORM_FILL_ONCE};
static uint32_t form_number;
static uint32_t members;

struct filling {
    struct hm_arena arena;
    struct hm_save save;
    struct hm_save_row rows[1 + HM_COMMUNE_MEMBERS_MAX];
    struct hm_save_cell cells[1 + HM_COMMUNE_MEMBERS_MAX][CELLS_MAX];
};
static struct filling f;

static void begin_filling(unsigned hamlet)
{
    hm_arena_init(&f.arena, ARENA_BYTES);
    f.save = (struct hm_save){.scope = v.hamlets[hamlet], .rank = 4, .rows = f.rows};
}

static void add_row(uint32_t repeat)
{
    struct hm_save_row *row = &f.rows[f.save.row_count];

    *row = (struct hm_save_row){
        .form = form_number, .repeat = repeat, .cells = f.cells[f.save.row_count]};
    f.save.row_count++;
}

static void add_cell(const char *name, const char *text)
{
    struct hm_save_row *row = &f.rows[f.save.row_count - 1];
    const struct hm_field_entry *entry =
        hm_field_table_by_name(table, row->repeat, name);
    struct hm_save_cell *cell = &row->cells[row->cell_count];
    struct hm_buf value;
    struct hm_buf why;

    if (text[0] == 0) {
        return; /* a missing answer */
    }
    assert_non_null(entry);
    assert_true(row->cell_count < CELLS_MAX);
    hm_buf_init(&value, 4200);
    hm_buf_init(&why, HM_VALUE_WHY_BYTES_MAX);
    if (hm_value_from_text(table, entry, hm_bytes_str(text), &value, &why) != HM_OK) {
        fail_msg("%s: %s", name, hm_buf_str(&why));
    }
    *cell = (struct hm_save_cell){.field = entry->number};
    CHECK_OK(hm_arena_copy(&f.arena, hm_buf_bytes(&value), &cell->value));
    row->cell_count++;
    hm_buf_deinit(&value);
    hm_buf_deinit(&why);
}

static void add_number(const char *name, int number)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%d", number);
    add_cell(name, number == 0 ? "" : text);
}

static void add_member(const struct hm_commune_member *m)
{
    add_row(members);
    add_cell("name", m->name);
    add_number("sex", m->sex);
    add_cell("birth_date", m->birth_date);
    add_number("birth_year", m->birth_year);
    add_cell("id_number", m->id_number);
    add_cell("relation", m->relation);
    add_cell("ethnic", m->ethnic);
    add_cell("school", m->school);
    add_cell("job", m->job);
    add_cell("health_insurance", m->health_insurance);
    add_cell("disability", m->disability);
    add_cell("note", m->note);
}

static void fill_household(const struct hm_commune_household *h, unsigned hamlet)
{
    begin_filling(hamlet);
    f.save.creates = true;
    add_row(0);
    add_cell("head_name", h->head_name);
    add_cell("phone", h->phone);
    add_cell("address", h->address);
    add_cell("ethnic", h->ethnic);
    add_cell("house_number", h->house_number);
    add_cell("note", h->note);
    for (size_t i = 0; i < h->member_count; i++) {
        add_member(&h->members[i]);
    }
}

/* In a transaction of the caller; ends the filling. Minutes pass between saves. */
static void save(struct hm_village_node *n, struct hm_household_id *out_id,
                 struct hm_item *out_item, struct hm_dot *out_dot)
{
    struct hm_save_result out;
    int err;

    n->node.now_ms += 240000 + (int64_t)(n->node.prng % 600000);
    err = hm_save_run(n->node.store, &f.save, hm_forms_policy_of, n->forms, &f.arena,
                      &out);
    if (err != HM_OK) {
        fail_msg("%s", hm_store_errmsg(n->node.store));
    }
    *out_id = out.household;
    *out_dot = out.dot;
    if (out.item_count > 0) {
        *out_item = out.items[out.item_count - 1];
    }
    hm_arena_deinit(&f.arena);
}

static struct hm_bytes read_register(void)
{
    static char xml[512 * 1024];
    const char *programmes = getenv("HM_PROGRAMMES");
    char path[600];
    FILE *file;
    size_t len;

    assert_non_null(programmes);
    (void)snprintf(path, sizeof path, "%s/vn-poverty/forms/register.xml", programmes);
    file = fopen(path, "rb");
    assert_non_null(file);
    len = fread(xml, 1, sizeof xml, file);
    assert_int_equal(fclose(file), 0);
    assert_true(len > 0 && len < sizeof xml);
    return hm_bytes_of(xml, len);
}

static void publish(struct hm_store *s)
{
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_forms_put(s, &form, &form_number));
    CHECK_OK(hm_store_end(s, HM_OK));
}

static void publish_register(void)
{
    struct hm_store *s = v.centre.node.store;
    struct hm_bytes xml = read_register();
    struct hm_xform_error xerror;
    struct hm_field_error error;
    struct hm_xform *xform;
    struct hm_buf bytes;

    CHECK_OK(hm_xform_parse(xml, &xform, &xerror));
    CHECK_OK(hm_field_table_grow(NULL, xform, &table, &error));
    hm_xform_destroy(xform);
    members = hm_field_table_repeat(table, "members")->number;
    hm_buf_init(&bytes, 1024 * 1024);
    hm_field_table_encode(table, &bytes);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_blobs_put(s, hm_buf_bytes(&bytes), form.table));
    CHECK_OK(hm_blobs_put(s, xml, form.xform));
    CHECK_OK(hm_store_end(s, HM_OK));
    publish(s);
    hm_buf_deinit(&bytes);
}

/* Trained from registers as they are saved; nothing of them stays. */
static void publish_dictionary(void)
{
    static size_t sizes[SAMPLES];
    struct hm_store *s = v.centre.node.store;
    struct hm_buf samples;
    struct hm_buf dictionary;

    hm_buf_init(&samples, 16 * 1024 * 1024);
    hm_buf_init(&dictionary, DICTIONARY_BYTES);
    CHECK_OK(hm_store_begin(s));
    for (uint64_t i = 0; i < SAMPLES; i++) {
        struct hm_commune_household h;
        struct hm_household_id id;
        struct hm_arena arena;
        struct hm_bytes bytes;
        struct hm_item item;
        struct hm_dot dot;
        int verdict;

        hm_commune_household(SEED_LEARNT, i, &h);
        fill_household(&h, 0);
        save(&v.centre, &id, &item, &dot);
        hm_arena_init(&arena, 1024 * 1024);
        CHECK_OK(hm_log_entry(s, dot.incarnation, dot.n, &arena, &bytes, &verdict));
        hm_buf_append(&samples, bytes);
        sizes[i] = bytes.len;
        hm_arena_deinit(&arena);
    }
    assert_int_equal(hm_store_end(s, HM_AGAIN), HM_AGAIN);
    CHECK_OK(samples.err);
    CHECK_OK(hm_dictionary_train(hm_buf_bytes(&samples), sizes, SAMPLES,
                                 DICTIONARY_BYTES, &dictionary));
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_blobs_put(s, hm_buf_bytes(&dictionary), form.dictionary));
    CHECK_OK(hm_blobs_add_dictionary(s, form.dictionary, &form.dictionary_id));
    CHECK_OK(hm_store_end(s, HM_OK));
    form.has_dictionary = true;
    form.version = "2";
    publish(s);
    hm_buf_deinit(&samples);
    hm_buf_deinit(&dictionary);
}

static uint64_t exchange_bytes(struct hm_village_node *n)
{
    (void)hm_village_exchange(&v, n, false, NULL);
    return v.up_bytes + v.down_bytes;
}

HM_TEST(a_sync_keeps_its_budget)
{
    struct hm_commune_household families[BATCH];
    struct hm_household_id ids[BATCH];
    struct hm_item items[BATCH];
    struct hm_village_node *a;
    struct hm_dot dot;
    uint64_t index = 0;
    uint64_t quiet;
    uint64_t created;
    uint64_t updated;

    hm_village_open(&v);
    publish_register();
    publish_dictionary();
    a = hm_village_add(&v, "a", 3);
    quiet = exchange_bytes(a);

    CHECK_OK(hm_store_begin(a->node.store));
    for (size_t i = 0; i < BATCH; i++) {
        do {
            hm_commune_household(SEED_MEASURED, index++, &families[i]);
        } while (families[i].member_count != MEMBERS);
        fill_household(&families[i], 0);
        save(a, &ids[i], &items[i], &dot);
    }
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    created = exchange_bytes(a);
    assert_int_equal(hm_village_households(&v.centre), BATCH);
    print_message("quiet, 2 hamlets: %lu B\nnew household: %lu B\n",
                  (unsigned long)quiet, (unsigned long)((created - quiet) / BATCH));
    quiet = exchange_bytes(a);

    CHECK_OK(hm_store_begin(a->node.store));
    for (size_t i = 0; i < BATCH; i++) {
        const struct hm_commune_member *m = &families[i].members[MEMBERS - 1];

        begin_filling(0);
        f.save.household = ids[i];
        add_row(members);
        f.rows[0].item = items[i];
        add_cell("school",
                 strcmp(m->school, "primary") == 0 ? "lower_secondary" : "primary");
        add_cell("job", m->job[0] != 0 && i % 2 == 0 ? "nghỉ việc" : "làm nông");
        add_cell("health_insurance",
                 strcmp(m->health_insurance, "yes") == 0 ? "no" : "yes");
        save(a, &ids[i], &items[i], &dot);
    }
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    updated = exchange_bytes(a);
    print_message("update of 3 fields: %lu B\n",
                  (unsigned long)((updated - quiet) / BATCH));
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    assert_true(created - quiet <= NEW_HOUSEHOLD_BYTES * BATCH);
    assert_true(updated - quiet <= UPDATE_BYTES * BATCH);
    assert_true(quiet <= QUIET_BYTES);
    hm_field_table_destroy(table);
    hm_village_close(&v);
}

/* How fast a store saves and a centre takes changes in; printed for people, with a
 * bound that only a fault of its order of growth would miss. */
HM_TEST(a_commune_is_saved_in_seconds)
{
    enum { HOUSEHOLDS = 2000, A_TRANSACTION = 500 };
    const char *text = getenv("HM_TEST_LONG");
    uint64_t households = text != NULL && text[0] == '1' ? 10 * HOUSEHOLDS : HOUSEHOLDS;
    double start;
    double took;

    hm_village_open(&v);
    publish_register();
    start = hm_child_clock();
    for (uint64_t i = 0; i < households; i += A_TRANSACTION) {
        CHECK_OK(hm_store_begin(v.centre.node.store));
        for (uint64_t j = i; j < i + A_TRANSACTION; j++) {
            struct hm_commune_household h;
            struct hm_household_id id;
            struct hm_item item;
            struct hm_dot dot;

            hm_commune_household(SEED_MEASURED, j, &h);
            fill_household(&h, (unsigned)(j % HM_VILLAGE_HAMLETS));
            save(&v.centre, &id, &item, &dot);
        }
        CHECK_OK(hm_store_end(v.centre.node.store, HM_OK));
    }
    took = hm_child_clock() - start;
    print_message("%lu households in %.1f s: %.0f/s\n", (unsigned long)households, took,
                  (double)households / took);
    assert_true(took < (double)households / 50);
    hm_field_table_destroy(table);
    hm_village_close(&v);
}
