#include <stdio.h>
#include <string.h>

#include "protocol/message.h"
#include "storage/blobs.h"
#include "storage/log.h"
#include "tests/support/build.h"
#include "tests/support/store.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, PARENT = 77 };

static struct hm_test_node node;
static struct hm_arena arena;

static void begin(void)
{
    hm_arena_init(&arena, ARENA_BYTES);
    hm_test_node_open(&node, "laptop", HM_NODE_LAPTOP);
}

static void end(void)
{
    hm_test_node_close(&node);
    hm_arena_deinit(&arena);
}

/* A change of a household of its own with a text of its own, and where it went. */
static struct hm_dot append_text(const char *text)
{
    struct hm_author author;
    struct hm_household_id id;
    struct hm_build b;
    struct hm_dot dot;

    node.now_ms += 1000;
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_log_next_own(node.store, &dot, &author));
    id = (struct hm_household_id){dot.incarnation, dot.n};
    hm_build_begin(&b, &arena, dot, id, 17);
    b.change.dt_ms = node.now_ms - author.base_wall_ms;
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    hm_build_text(&b, 16, text);
    CHECK_OK(hm_log_append_own(node.store, &dot, hm_build_bytes(&b), &id, 17));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    return dot;
}

static void append_many(size_t count, size_t bytes)
{
    static char text[4001];

    assert_true(bytes < sizeof text);
    for (size_t i = 0; i < count; i++) {
        uint64_t random = i + 1;

        for (size_t j = 0; j < bytes; j++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            text[j] = (char)('a' + (random >> 40) % 26);
        }
        text[bytes] = 0;
        (void)append_text(text);
    }
}

static bool seal(const struct hm_dictionary *dictionaries, size_t count, size_t bytes)
{
    bool more = true;

    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_store_end(node.store,
                          hm_log_seal(node.store, dictionaries, count, bytes, &more)));
    return more;
}

static struct hm_log log_of(uint64_t incarnation)
{
    struct hm_log log;

    CHECK_OK(hm_log_get(node.store, incarnation, &log));
    return log;
}

static struct hm_bytes entry(uint64_t incarnation, uint64_t n)
{
    struct hm_bytes bytes;
    int verdict = -1;

    CHECK_OK(hm_log_entry(node.store, incarnation, n, &arena, &bytes, &verdict));
    assert_int_equal(verdict, HM_OK);
    return bytes;
}

static struct hm_birth birth_of(uint64_t incarnation)
{
    struct hm_birth birth;

    CHECK_OK(hm_birth_decode(entry(incarnation, 0), &birth));
    return birth;
}

/* Each opening writes under a name of its own, whose birth names where the one before
 * ended: so that a copied disk is seen for what it is. */
HM_TEST(births_name_their_parents)
{
    struct hm_dot first;
    struct hm_dot second;
    struct hm_dot third;
    struct hm_birth birth;
    struct hm_log log;

    begin();
    first = append_text("a");
    first = append_text("b");
    assert_int_equal(first.n, 2);
    assert_int_equal(birth_of(first.incarnation).parent_incarnation, 0);
    hm_test_node_restart(&node);
    hm_test_node_restart(&node); /* nothing written: no birth */
    second = append_text("c");
    hm_test_node_restart(&node);
    third = append_text("d");
    assert_int_not_equal(second.incarnation, first.incarnation);
    assert_int_equal(second.n, 1);
    birth = birth_of(second.incarnation);
    log = log_of(first.incarnation);
    assert_int_equal(birth.device, node.device);
    assert_int_equal(birth.parent_incarnation, first.incarnation);
    assert_int_equal(birth.parent_n, 2);
    assert_memory_equal(&birth.parent_chain, &log.chain, sizeof log.chain);
    assert_int_equal(birth_of(third.incarnation).parent_incarnation,
                     second.incarnation);
    assert_int_equal(birth_of(third.incarnation).parent_n, 1);
    assert_true(log.own);
    end();
}

/* The clock's class in a birth: unknown until a parent was asked, off by more than a
 * day, or checked. */
HM_TEST(births_label_the_clock)
{
    static const struct {
        int64_t offset_ms;
        enum hm_clock_class is;
    } cases[] = {{5000, HM_CLOCK_CHECKED},
                 {-86400000, HM_CLOCK_CHECKED},
                 {86400001, HM_CLOCK_OFF},
                 {-86400001, HM_CLOCK_OFF}};

    begin();
    assert_int_equal(birth_of(append_text("a").incarnation).clock_class,
                     HM_CLOCK_UNKNOWN);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hm_birth birth;

        hm_test_node_restart(&node);
        CHECK_OK(hm_store_begin(node.store));
        CHECK_OK(
            hm_store_set_number(node.store, HM_META_CLOCK_OFFSET, cases[i].offset_ms));
        CHECK_OK(hm_store_end(node.store, HM_OK));
        birth = birth_of(append_text("b").incarnation);
        assert_int_equal(birth.clock_class, cases[i].is);
        assert_int_equal(birth.clock_offset_ms, cases[i].offset_ms);
    }
    end();
}

/* The segments of a log: their bounds without holes, and no larger than allowed. */
static size_t check_segments(uint64_t incarnation, uint64_t sealed)
{
    size_t count = 0;

    for (uint64_t n = 0; n < sealed; count++) {
        struct hm_stored_segment stored;
        struct hm_segment segment;

        CHECK_OK(hm_log_segment_with(node.store, incarnation, n, &arena, &stored));
        assert_int_equal(stored.first_n, n);
        CHECK_OK(hm_segment_open(stored.bytes, &segment));
        CHECK_OK(hm_segment_verify(&segment, node.public_key));
        assert_int_equal(segment.count, stored.last_n - n + 1);
        assert_true(segment.count <= HM_SEGMENT_ENTRIES_MAX);
        n = stored.last_n + 1;
    }
    return count;
}

/* At most 256 entries a segment; everything is sealed when there is room. */
HM_TEST(a_segment_has_256_entries)
{
    struct hm_dot last;
    struct hm_stored_segment first;

    begin();
    append_many(600, 3);
    last = append_text("x");
    assert_false(seal(NULL, 0, 1024 * 1024));
    assert_int_equal(log_of(last.incarnation).sealed, 602);
    assert_int_equal(check_segments(last.incarnation, 602), 3);
    CHECK_OK(hm_log_segment_with(node.store, last.incarnation, 0, &arena, &first));
    assert_int_equal(first.last_n, 255);
    end();
}

/* At most 64 kB of entries a segment. */
HM_TEST(a_segment_has_64_kilobytes)
{
    struct hm_dot last;

    begin();
    append_many(60, 4000);
    last = append_text("x");
    assert_false(seal(NULL, 0, 1024 * 1024));
    assert_int_equal(log_of(last.incarnation).sealed, 62);
    assert_int_equal(check_segments(last.incarnation, 62), 4);
    end();
}

/* A budget is kept, but one entry always goes, however large it is; the rest is told
 * and sealed the next time. */
HM_TEST(a_budget_is_kept)
{
    struct hm_dot last;

    begin();
    append_many(9, 1000);
    last = append_text("x");
    assert_true(seal(NULL, 0, 1));
    assert_int_equal(log_of(last.incarnation).sealed, 1); /* the birth */
    assert_true(seal(NULL, 0, 1));
    assert_int_equal(log_of(last.incarnation).sealed, 2);
    assert_true(seal(NULL, 0, 3200));
    assert_int_equal(log_of(last.incarnation).sealed, 5);
    while (seal(NULL, 0, 3200)) {
    }
    assert_int_equal(log_of(last.incarnation).sealed, 11);
    (void)check_segments(last.incarnation, 11);
    end();
}

/* A birth alone tells nobody anything. */
HM_TEST(a_birth_alone_is_not_sealed)
{
    struct hm_author author;
    struct hm_dot dot;

    begin();
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_log_next_own(node.store, &dot, &author));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    assert_false(seal(NULL, 0, 1024));
    assert_int_equal(log_of(dot.incarnation).sealed, 0);
    end();
}

static struct hm_dictionary learn(const char *text, size_t len)
{
    struct hm_dictionary out;
    uint8_t hash[HM_CONTENT_HASH_BYTES];

    out.bytes = hm_bytes_of((const uint8_t *)text, len);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_blobs_put(node.store, out.bytes, hash));
    CHECK_OK(hm_blobs_add_dictionary(node.store, hash, &out.id));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    return out;
}

/* Of no dictionary, a useless one and a good one, the good one is taken, wherever it
 * stands; with useless ones only, none. Entries read the same before and after. */
HM_TEST(sealing_takes_the_smallest)
{
    static const char good[] = "Nguyễn Thị Lan, thôn Bản Cheo, xã Sơn Vĩ; mái tôn, "
                               "nền đất, nước suối, không có điện lưới quốc gia";
    static const char bad[] = "0123456789 lorem ipsum dolor sit amet consectetur";
    struct hm_dictionary dictionaries[2];
    struct hm_stored_segment stored;
    struct hm_segment segment;
    struct hm_bytes before;
    struct hm_dot dot;

    begin();
    dictionaries[0] = learn(bad, sizeof bad);
    dictionaries[1] = learn(good, sizeof good);
    for (int round = 0; round < 3; round++) {
        static const uint64_t none = 0;
        uint64_t expected = round == 2 ? none : dictionaries[1].id;
        struct hm_dictionary turned[2] = {dictionaries[1], dictionaries[0]};

        hm_test_node_restart(&node);
        dot = append_text(round == 2 ? "zqxj wvkp" : good);
        before = entry(dot.incarnation, 1);
        assert_false(round == 0   ? seal(dictionaries, 2, 65536)
                     : round == 1 ? seal(turned, 2, 65536)
                                  : seal(dictionaries, 1, 65536));
        CHECK_OK(hm_log_segment_with(node.store, dot.incarnation, 1, &arena, &stored));
        CHECK_OK(hm_segment_open(stored.bytes, &segment));
        assert_int_equal(segment.dictionary, expected);
        assert_true(hm_bytes_equal(entry(dot.incarnation, 1), before));
        (void)birth_of(dot.incarnation);
    }
    end();
}

/* What is sealed and what is not yet, what is receipted and what is not: counted as
 * people count it, without births. */
HM_TEST(unsent_changes_are_counted)
{
    struct hm_unsent unsent;
    struct hm_dot first;
    struct hm_dot second;
    int64_t first_ms;
    int64_t third_ms;
    uint64_t entries = 9;
    unsigned level = 9;

    begin();
    first = append_text("a");
    first_ms = node.now_ms;
    first = append_text("b");
    hm_test_node_restart(&node);
    second = append_text("c");
    third_ms = node.now_ms;
    CHECK_OK(hm_log_unsent(node.store, PARENT, &unsent));
    assert_int_equal(unsent.changes, 3);
    assert_int_equal(unsent.oldest_utc_ms, first_ms);
    assert_true(unsent.bytes > 0);
    assert_int_equal(unsent.at_hub, 0);

    assert_false(seal(NULL, 0, 65536));
    CHECK_OK(hm_log_receipt(node.store, PARENT, first.incarnation, &entries, &level));
    assert_int_equal(entries, 0);
    assert_int_equal(level, 0);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(
        hm_log_set_receipt(node.store, PARENT, first.incarnation, 2, HM_LEVEL_HUB));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    CHECK_OK(hm_log_unsent(node.store, PARENT, &unsent));
    assert_int_equal(unsent.changes, 2);
    assert_int_equal(unsent.oldest_utc_ms, first_ms + 1000);
    assert_int_equal(unsent.at_hub, 1);
    assert_int_equal(unsent.at_centre, 0);

    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(
        hm_log_set_receipt(node.store, PARENT, first.incarnation, 3, HM_LEVEL_CENTRE));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    CHECK_OK(hm_log_unsent(node.store, PARENT, &unsent));
    assert_int_equal(unsent.changes, 1);
    assert_int_equal(unsent.oldest_utc_ms, third_ms);
    assert_int_equal(unsent.at_centre, 2);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(
        hm_log_set_receipt(node.store, PARENT, second.incarnation, 2, HM_LEVEL_CENTRE));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    CHECK_OK(hm_log_unsent(node.store, PARENT, &unsent));
    assert_int_equal(unsent.changes, 0);
    assert_int_equal(unsent.bytes, 0);
    assert_int_equal(unsent.oldest_utc_ms, 0);

    /* Another parent has said nothing; a forgotten one nothing any more. */
    CHECK_OK(hm_log_unsent(node.store, PARENT + 1, &unsent));
    assert_int_equal(unsent.changes, 3);
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_log_forget_receipts(node.store, PARENT));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    CHECK_OK(hm_log_unsent(node.store, PARENT, &unsent));
    assert_int_equal(unsent.changes, 3);
    end();
}

/* A database file that was swapped under the running program is noticed before a
 * number is used twice. */
HM_TEST(a_swapped_store_is_noticed)
{
    struct hm_author author;
    struct hm_stmt *stmt;
    struct hm_dot dot;

    begin();
    (void)append_text("a");
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_db_stmt(hm_store_db(node.store),
                        "UPDATE incarnation SET entries = entries + 1", &stmt));
    CHECK_OK(hm_stmt_run(stmt));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    CHECK_OK(hm_store_begin(node.store));
    /* As a failed device: the process begins anew, with what is there. */
    assert_int_equal(hm_log_next_own(node.store, &dot, &author), HM_IO);
    assert_int_equal(hm_store_end(node.store, HM_IO), HM_IO);
    end();
}

/* Which changes touch a household, in a fixed order; noted twice they are there once.
 */
HM_TEST(a_history_lists_the_changes)
{
    struct hm_dot *dots = NULL;
    size_t count = 0;
    struct hm_dot dot;
    struct hm_household_id id;

    begin();
    dot = append_text("a");
    id = (struct hm_household_id){dot.incarnation, dot.n};
    CHECK_OK(hm_store_begin(node.store));
    CHECK_OK(hm_log_add_history(node.store, &dot, &id, 17));
    CHECK_OK(hm_log_add_history(node.store, &(struct hm_dot){1, 9}, &id, 17));
    CHECK_OK(hm_store_end(node.store, HM_OK));
    CHECK_OK(hm_log_history(node.store, 17, &id, &arena, &dots, &count));
    assert_int_equal(count, 2);
    end();
}
