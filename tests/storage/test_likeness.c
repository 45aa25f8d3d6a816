/* Two registrations of one family are found, also by those who wrote neither. */
#include <stdio.h>
#include <string.h>

#include "storage/likeness.h"
#include "tests/support/village.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static struct hm_village v;
static struct hm_village_node *a;
static struct hm_village_node *b;

static void begin(void)
{
    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 3);
}

/* A household with a phone and one member, born in a year. NULL and 0: without. */
static struct hm_household_id family(struct hm_village_node *n, unsigned hamlet,
                                     const char *phone, const char *name,
                                     const char *year)
{
    struct hm_save_result made = hm_village_new(&v, n, hamlet, "head", 0);
    struct hm_save_result member;
    struct hm_household_id id = made.household;

    if (phone != NULL) {
        (void)hm_village_put(&v, n, &id, v.phone, phone);
    }
    if (name != NULL) {
        member = hm_village_put_member(&v, n, &id, NULL, v.member_name, name);
        if (year != NULL) {
            (void)hm_village_put_member(&v, n, &id, &member.items[0], v.birth_year,
                                        year);
        }
    }
    return id;
}

static size_t pairs(struct hm_village_node *n, unsigned *out_kinds)
{
    struct hm_likeness *list = NULL;
    struct hm_arena arena;
    size_t count = 0;
    bool cut = false;

    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin_read(n->node.store));
    CHECK_OK(hm_store_end(
        n->node.store, hm_likeness_pairs(n->node.store, &arena, &list, &count, &cut)));
    assert_false(cut);
    if (out_kinds != NULL) {
        *out_kinds = count == 0 ? 0 : list[0].kinds;
    }
    hm_arena_deinit(&arena);
    return count;
}

static const unsigned by_phone = 1U << HM_FIELD_LIKENESS_PHONE;
static const unsigned by_name = 1U << HM_FIELD_LIKENESS_NAME;

/* Two laptops, one family: each finds it when the other's has come, and so does the
 * centre. */
HM_TEST(found_at_every_node)
{
    unsigned kinds = 0;

    begin();
    (void)family(a, 0, "0905 123 456", "Nguyễn Đình  Đức", "1961");
    (void)family(b, 0, "+84905123456", "nguyen dinh duc", "1961");
    assert_int_equal(pairs(a, NULL), 0);
    hm_village_settle(&v);
    assert_int_equal(pairs(a, &kinds), 1);
    assert_int_equal(kinds, by_phone | by_name);
    assert_int_equal(pairs(b, NULL), 1);
    assert_int_equal(pairs(&v.centre, NULL), 1);
    hm_village_close(&v);
}

/* A name alone, another year, another hamlet: not the same; a phone is, anywhere. */
HM_TEST(what_is_no_likeness)
{
    unsigned kinds = 0;

    begin();
    (void)family(b, 0, "0905", "Lan", "1961");
    (void)family(b, 0, "0905", "Lan", "1962");
    (void)family(b, 1, NULL, "Lan", "1961");
    (void)family(b, 0, NULL, "Lan", NULL);
    assert_int_equal(pairs(b, NULL), 0);
    (void)family(b, 0, "0905111222", NULL, NULL);
    (void)family(b, 1, "0905111222", NULL, NULL);
    assert_int_equal(pairs(b, &kinds), 1);
    assert_int_equal(kinds, by_phone);
    hm_village_close(&v);
}

/* The index follows what is written: cleared, changed, removed. */
HM_TEST(the_index_follows)
{
    struct hm_household_id id;

    begin();
    (void)family(a, 0, "0905111222", NULL, NULL);
    id = family(a, 0, "0905111222", NULL, NULL);
    assert_int_equal(pairs(a, NULL), 1);
    (void)hm_village_put(&v, a, &id, v.phone, "0905111333");
    assert_int_equal(pairs(a, NULL), 0);
    (void)hm_village_put(&v, a, &id, v.phone, "0905111222");
    assert_int_equal(pairs(a, NULL), 1);
    (void)hm_village_put(&v, a, &id, v.phone, "");
    assert_int_equal(pairs(a, NULL), 0);
    hm_village_close(&v);
}

/* Five hundred with one name and one phone: that says nothing about any two of them,
 * and costs nothing. */
HM_TEST(a_popular_name)
{
    struct hm_likeness *list = NULL;
    struct hm_household h;
    struct hm_arena arena;
    struct hm_household_id id = {0};
    size_t count = 1;

    begin();
    for (unsigned i = 0; i < HM_LIKENESS_POPULAR; i++) {
        id = family(a, 0, "0905111222", "Lan", "1961");
    }
    assert_int_equal(pairs(a, NULL),
                     HM_LIKENESS_POPULAR * (HM_LIKENESS_POPULAR - 1) / 2);
    for (unsigned i = HM_LIKENESS_POPULAR; i < 500; i++) {
        id = family(a, 0, "0905111222", "Lan", "1961");
    }
    assert_int_equal(pairs(a, NULL), 0);
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_households_load(a->node.store, &id, &arena, &h));
    CHECK_OK(hm_likeness_of(a->node.store, &h, &arena, &list, &count));
    assert_int_equal(count, 0);
    hm_arena_deinit(&arena);
    hm_village_close(&v);
}

HM_TEST(scores)
{
    const unsigned id = 1U << HM_FIELD_LIKENESS_ID_NUMBER;

    assert_int_equal(hm_likeness_score(by_phone), 40);
    assert_int_equal(hm_likeness_score(by_name), 60);
    assert_int_equal(hm_likeness_score(by_name | by_phone), 76);
    assert_int_equal(hm_likeness_score(id), 90);
    assert_int_equal(hm_likeness_score(id | by_name | by_phone), 98);
}
