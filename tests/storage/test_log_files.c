#include "storage/log_files.h"

#include <stdio.h>

#include "storage/facts.h"
#include "storage/log.h"
#include "tests/support/fault.h"
#include "tests/support/simfiles.h"
#include "tests/support/village.h"

enum { COVER_MAX = 8192, FEW = 3 };

static struct hm_village v;
static struct hm_simfiles sim;
static struct hm_log_files *filing;
static unsigned small_max;

static struct hm_log_files *begin_filing(void)
{
    struct hm_log_files_options options = {.files = &sim.files,
                                           .dir = "d",
                                           .secret_key = v.centre.node.secret_key,
                                           .device = v.centre.node.device,
                                           .small_max = small_max};
    struct hm_log_files *f = NULL;

    CHECK_OK(hm_log_files_create(&options, &f));
    return f;
}

/* What a start of the daemon does: all is read from the folder again. */
static void restart_filing(void)
{
    hm_log_files_destroy(filing);
    filing = begin_filing();
}

static void open_all(void)
{
    hm_village_open(&v);
    hm_simfiles_open(&sim);
    filing = begin_filing();
}

static void close_all(void)
{
    hm_log_files_destroy(filing);
    hm_simfiles_close(&sim);
    hm_village_close(&v);
}

/* The own log's entries that sound, signed segments in the files hold. */
struct cover {
    uint64_t incarnation;
    bool has[COVER_MAX];
    struct hm_hash chain[COVER_MAX];
    uint64_t items;
    uint64_t blobs;
    uint64_t segments;
};

static int cover_record(void *arg, const struct hm_record *record)
{
    struct cover *cover = arg;
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment;
    struct hm_hash chain;
    struct hm_arena arena;

    cover->items += record->kind == HM_RECORD_ITEM;
    cover->blobs +=
        record->kind == HM_RECORD_BLOB || record->kind == HM_RECORD_DICTIONARY;
    if (record->kind != HM_RECORD_SEGMENT) {
        return HM_OK;
    }
    cover->segments++;
    CHECK_OK(hm_segment_open(record->body, &segment));
    CHECK_OK(hm_segment_verify(&segment, v.centre.node.public_key));
    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &entries));
    chain = segment.prev_chain;
    for (size_t i = 0; i < segment.count; i++) {
        chain = hm_chain_next(&chain, entries[i]);
        if (segment.incarnation == cover->incarnation) {
            assert_true(segment.first_n + i < COVER_MAX);
            cover->has[segment.first_n + i] = true;
            cover->chain[segment.first_n + i] = chain;
        }
    }
    hm_arena_deinit(&arena);
    return HM_OK;
}

/* Reads the folder as repair would, and compares with the store's chain: the first
 * `entries` of the own log must all be there. */
static struct cover check_cover(uint64_t entries)
{
    struct hm_store *s = v.centre.node.store;
    static struct cover cover;

    cover = (struct cover){.incarnation = hm_store_own_log(s)->incarnation};
    CHECK_OK(hm_log_files_each(&sim.files, "d", cover_record, &cover, NULL));
    CHECK_OK(hm_store_begin_read(s));
    for (uint64_t n = 0; n < entries; n++) {
        struct hm_hash chain;

        assert_true(cover.has[n]);
        CHECK_OK(hm_log_chain_at(s, cover.incarnation, n, &chain));
        assert_true(hm_hash_equal(&chain, &cover.chain[n]));
    }
    CHECK_OK(hm_store_end(s, HM_OK));
    return cover;
}

static uint64_t own_entries(void)
{
    return hm_store_own_log(v.centre.node.store)->next_n;
}

/* All that was committed is on the disk, signed and in its chain; nothing is filed
 * twice. */
HM_TEST(files_own_entries_items_and_blobs)
{
    struct hm_log_files_stats stats;
    struct cover first;
    struct cover second;

    open_all();
    (void)hm_village_new(&v, &v.centre, 0, "Lan", 3);
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    first = check_cover(own_entries());
    assert_int_equal(own_entries(), 2); /* the birth and a change */
    assert_true(first.items > 3);
    assert_true(first.blobs > 0);
    assert_non_null(hm_simfiles_find(&sim, "d/" HM_FACTS_FILE));
    assert_int_equal(hm_log_files_entries(
                         filing, hm_store_own_log(v.centre.node.store)->incarnation),
                     2);
    stats = hm_log_files_stats(filing);
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    restart_filing();
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    second = check_cover(own_entries());
    assert_int_equal(second.items, first.items);
    assert_int_equal(second.blobs, first.blobs);
    assert_int_equal(second.segments, first.segments);
    assert_int_equal(hm_log_files_stats(filing).bytes, stats.bytes);
    assert_int_equal(hm_log_files_stats(filing).entries, stats.entries);
    close_all();
}

/* A store whose process died within the second is filed by the next one. */
HM_TEST(the_next_start_files_the_rest)
{
    uint64_t before;

    open_all();
    (void)hm_village_new(&v, &v.centre, 0, "Lan", 3);
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    (void)hm_village_new(&v, &v.centre, 1, "Mai", 1);
    before = own_entries();
    restart_filing();
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    (void)check_cover(before);
    close_all();
}

/* Many small segments become a few, and every entry stays. */
HM_TEST(compacts_small_segments)
{
    struct hm_save_result made;
    struct cover cover;

    open_all();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 3);
    for (int i = 0; i < HM_LOG_FILES_SMALL_MAX + 20; i++) {
        char text[16];

        (void)snprintf(text, sizeof text, "%d", i);
        (void)hm_village_put(&v, &v.centre, &made.household, v.phone, text);
        CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    }
    assert_int_equal(hm_log_files_stats(filing).compactions, 1);
    cover = check_cover(own_entries());
    assert_true(cover.segments < 30);
    assert_int_equal(hm_simfiles_count(&sim, ".seg"), 1);
    close_all();
}

/* A file that is large enough is left alone, and another one is begun: what is written
 * anew stays small. */
HM_TEST(begins_a_file_when_one_is_large)
{
    char text[4001];
    struct hm_save_result made;

    open_all();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 3);
    for (unsigned i = 0; i < 700; i++) {
        for (size_t k = 0; k < sizeof text - 1; k++) {
            v.centre.node.prng = v.centre.node.prng * 6364136223846793005ULL + 1;
            text[k] = (char)('!' + (v.centre.node.prng >> 33) % 90);
        }
        text[sizeof text - 1] = 0;
        (void)hm_village_put(&v, &v.centre, &made.household, v.note, text);
    }
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    assert_true(hm_simfiles_count(&sim, ".seg") >= 2);
    (void)check_cover(own_entries());
    close_all();
}

/* A torn tail is left where it is and written anew elsewhere. */
HM_TEST(a_torn_tail_is_written_anew)
{
    struct hm_buf *file;

    open_all();
    (void)hm_village_new(&v, &v.centre, 0, "Lan", 3);
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    (void)hm_village_new(&v, &v.centre, 1, "Mai", 1);
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    file = hm_simfiles_find(&sim, "d/log-segments/00000001.seg");
    assert_non_null(file);
    file->len -= 7;
    restart_filing();
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    assert_true(hm_log_files_stats(filing).torn_bytes > 0);
    assert_int_equal(hm_simfiles_count(&sim, ".seg"), 2);
    (void)check_cover(own_entries());
    close_all();
}

/* A record that rotted in the middle of a log is filed again, with what follows it. */
HM_TEST(a_rotten_record_is_filed_again)
{
    struct hm_save_result made;
    struct hm_buf *file;

    open_all();
    made = hm_village_new(&v, &v.centre, 0, "Lan", 3);
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    file = hm_simfiles_find(&sim, "d/log-segments/00000001.seg");
    file->data[HM_RECORD_HEADER_BYTES + 20] ^= 1; /* in the first segment */
    (void)hm_village_put(&v, &v.centre, &made.household, v.phone, "1");
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    restart_filing();
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    (void)check_cover(own_entries());
    close_all();
}

/* Three saves, each filed. Returns how many entries a filing that said HM_OK covered.
 */
static uint64_t save_and_file(unsigned saves, unsigned *out_errors)
{
    uint64_t promised = 0;
    struct hm_save_result made = hm_village_new(&v, &v.centre, 0, "Lan", 3);

    *out_errors = 0;
    for (unsigned i = 0; i < saves; i++) {
        char text[16];

        (void)snprintf(text, sizeof text, "%u", i);
        (void)hm_village_put(&v, &v.centre, &made.household, v.phone, text);
        if (hm_log_files_file(filing, v.centre.node.store) == HM_OK) {
            promised = own_entries();
        } else {
            ++*out_errors;
        }
    }
    return promised;
}

/* The number of changes to the disk in a run that has compacted too. */
static unsigned count_calls(unsigned saves)
{
    unsigned calls;
    unsigned errors;

    open_all();
    (void)save_and_file(saves, &errors);
    assert_int_equal(errors, 0);
    calls = sim.calls;
    close_all();
    return calls;
}

/* Whatever the disk does in any call: what a filing promised is there after the power
 * has gone, and the next start files the rest. */
static void cut_each(unsigned saves, unsigned from, unsigned calls, bool cuts)
{
    for (unsigned at = from; at <= calls; at++) {
        for (int harm = 0; harm < HM_HARMS; harm++) {
            for (int names = 0; names < 2; names++) {
                unsigned errors;
                uint64_t promised;

                hm_simfiles_close(&sim);
                hm_simfiles_open(&sim);
                restart_filing();
                sim.fail_at = at;
                sim.harm = (enum hm_simfiles_harm)harm;
                sim.cuts = cuts;
                promised = save_and_file(saves, &errors);
                assert_true(errors > 0);
                hm_simfiles_power_on(&sim, names == 1);
                (void)check_cover(promised);
                restart_filing();
                CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
                (void)check_cover(own_entries());
            }
        }
    }
}

HM_TEST(a_power_cut_in_any_call_loses_nothing)
{
    unsigned calls = count_calls(3);

    open_all();
    cut_each(3, 1, calls, true);
    close_all();
}

HM_TEST(a_failure_of_any_call_loses_nothing)
{
    unsigned calls = count_calls(3);

    open_all();
    cut_each(3, 1, calls, false);
    close_all();
}

/* The same around a compaction. */
HM_TEST(a_power_cut_in_a_compaction_loses_nothing)
{
    unsigned before;
    unsigned calls;

    before = count_calls(2 * FEW + 2);
    small_max = FEW;
    calls = count_calls(2 * FEW + 2);
    assert_true(calls > before); /* the same saves, and it was compacted */
    open_all();
    cut_each(2 * FEW + 2, 1, calls, true);
    cut_each(2 * FEW + 2, 1, calls, false);
    close_all();
}

/* A cache that shows what the disk did not take is not believed: after a failed sync
 * the entries are written again, elsewhere, while the power stays on. */
HM_TEST(a_failed_sync_is_not_believed)
{
    open_all();
    (void)hm_village_new(&v, &v.centre, 0, "Lan", 3);
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    (void)hm_village_new(&v, &v.centre, 1, "Mai", 1);
    sim.fail_at = sim.calls + 1;
    sim.harm = HM_HARM_CACHED;
    assert_int_equal(hm_log_files_file(filing, v.centre.node.store), HM_IO);
    /* Killed, not cut: a new process sees the cache. */
    restart_filing();
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store));
    hm_simfiles_power_on(&sim, true);
    (void)check_cover(own_entries());
    close_all();
}

static void file_all(void *arg)
{
    struct hm_log_files_options options = {.files = hm_files_disk(),
                                           .dir = arg,
                                           .secret_key = v.centre.node.secret_key,
                                           .device = v.centre.node.device};
    struct hm_log_files *f = NULL;
    int err = hm_log_files_create(&options, &f);

    if (err == HM_OK) {
        err = hm_log_files_file(f, v.centre.node.store);
    }
    assert_true(err == HM_NOMEM || (err == HM_OK && !hm_fault_happened()));
    hm_log_files_destroy(f);
}

HM_TEST(out_of_memory_at_any_time)
{
    static char dir[512];

    open_all();
    (void)hm_village_new(&v, &v.centre, 0, "Lan", 3);
    CHECK_OK(hm_log_files_file(filing, v.centre.node.store)); /* fills the statements */
    (void)snprintf(dir, sizeof dir, "%s", hm_test_folder());
    assert_true(hm_fault_each(file_all, dir) > 20);
    close_all();
}

/* Facts that changed are written, those that did not are not; a clock is none. */
HM_TEST(facts_follow_the_store)
{
    struct hm_store *s;
    unsigned calls;
    uint64_t facts = 0;
    struct hm_buf *file;
    int64_t paused = 0;

    open_all();
    s = v.centre.node.store;
    CHECK_OK(hm_log_files_file(filing, s));
    calls = sim.calls;
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_set_number(s, HM_META_CLOCK_OFFSET, 17));
    CHECK_OK(hm_store_end(s, HM_OK));
    CHECK_OK(hm_log_files_file(filing, s));
    assert_int_equal(sim.calls, calls);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_set_number(s, HM_META_PAUSED, 1));
    CHECK_OK(hm_store_end(s, HM_OK));
    CHECK_OK(hm_log_files_file(filing, s));
    assert_true(sim.calls > calls);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_set_number(s, HM_META_PAUSED, 0));
    file = hm_simfiles_find(&sim, "d/" HM_FACTS_FILE);
    assert_non_null(file);
    CHECK_OK(hm_facts_restore(s, hm_buf_bytes(file), &facts));
    assert_true(facts >= 2);
    CHECK_OK(hm_store_get_number(s, HM_META_PAUSED, &paused));
    assert_int_equal(paused, 1);
    file->data[file->len - 1] ^= 1;
    assert_int_equal(hm_facts_restore(s, hm_buf_bytes(file), &facts), HM_CORRUPT);
    CHECK_OK(hm_store_end(s, HM_OK));
    close_all();
}
