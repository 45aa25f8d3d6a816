/* gen_wire: writes the good golden files of tests/fixtures/wire and the bad ones that
 * are made out of them. Run by hand when the wire format changes on purpose; the tests
 * only read. */
#include <stdio.h>
#include <stdlib.h>

#include "protocol/pack.h"
#include "tests/support/dump.h"
#include "tests/support/frames.h"
#include "tests/support/history.h"
#include "tests/support/sample.h"
#include "tests/support/test.h"

static const char *root;
static struct hm_arena arena;
static struct hm_sample_keys keys;

static void write_file(const char *name, struct hm_bytes bytes)
{
    char path[1024];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes.data, 1, bytes.len, file) != bytes.len ||
        fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void write_good(const char *name, struct hm_bytes bytes, struct hm_buf *text)
{
    char file[200];

    (void)snprintf(file, sizeof file, "good/%s.bin", name);
    write_file(file, bytes);
    (void)snprintf(file, sizeof file, "good/%s.txt", name);
    write_file(file, hm_buf_bytes(text));
    hm_buf_deinit(text);
}

static struct hm_bytes good_change(const char *name, struct hm_build *b)
{
    struct hm_bytes bytes = hm_build_bytes(b);
    struct hm_buf text;

    hm_buf_init(&text, 100000);
    hm_dump_change(&b->change, &b->dot, &text);
    write_good(name, bytes, &text);
    return bytes;
}

static struct hm_bytes changes(void)
{
    const struct hm_dot dot = {HM_SAMPLE_INCARNATION, 5};
    const struct hm_dot seen[] = {{0x11, 3}, {HM_SAMPLE_INCARNATION, 2}, {0xcafe, 9}};
    struct hm_bytes family;
    struct hm_build b;

    hm_build_family(&b, &arena, dot);
    family = good_change("change_new_household", &b);
    hm_build_begin(&b, &arena, dot, (struct hm_household_id){HM_SAMPLE_INCARNATION, 1},
                   17);
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    hm_build_uint(&b, 17, 5);
    hm_build_row(&b, (struct hm_row_key){1, 0, 2, {HM_SAMPLE_INCARNATION, 1, 2}});
    hm_build_text(&b, 20, "Lý Thị Mai");
    (void)good_change("change_update", &b);
    hm_build_begin(&b, &arena, dot, (struct hm_household_id){0xcafe, 7}, 18);
    b.change.reason = hm_bytes_str("hỏi lại chủ hộ");
    b.change.dt_ms = -20;
    hm_build_row(&b, (struct hm_row_key){.form = 1, .round = 2});
    hm_build_uint(&b, 17, 5);
    hm_build_replaces(&b, seen, 3);
    hm_build_cell(&b, 18, hm_bytes_of("\xc0", 1));
    hm_build_cell(&b, 19, hm_bytes_of("\xcb\x40\x35\x80\0\0\0\0\0", 9));
    hm_build_replaces(&b, NULL, 0);
    (void)good_change("change_resolution", &b);
    hm_build_begin(&b, &arena, dot, (struct hm_household_id){0xcafe, 0}, 18);
    hm_build_row(&b, (struct hm_row_key){.form = 1});
    hm_build_text(&b, 16, "from a phone");
    hm_build_cell(&b, 17, hm_bytes_of("\x92\xc4\x02\1\2\x81\x05\xc3", 8));
    hm_build_row(&b, (struct hm_row_key){1, 0, 2, {0x11, 4, 3}});
    hm_build_uint(&b, 20, UINT64_MAX);
    hm_build_row(&b, (struct hm_row_key){1, 0, 2, {dot.incarnation, dot.n, 1}});
    hm_build_uint(&b, 20, 0);
    (void)good_change("change_hashed_household", &b);
    hm_build_begin(&b, &arena, dot, (struct hm_household_id){0xcafe, 7}, 0);
    (void)good_change("change_without_rows", &b);
    return family;
}

static void good_segment(const char *name, uint64_t first, struct hm_dictionary with,
                         const struct hm_bytes *entries, size_t count)
{
    const struct hm_bytes *got = NULL;
    struct hm_segment_seal seal;
    struct hm_segment segment;
    struct hm_buf bytes;
    struct hm_buf text;
    struct hm_hash prev = HM_CHAIN_START;

    hm_buf_init(&bytes, 200000);
    hm_buf_init(&text, 200000);
    for (uint64_t i = 0; i < first; i++) {
        prev = hm_chain_next(&prev, entries[i]);
    }
    seal = hm_sample_seal(&keys, first, prev, entries + first, count - first);
    seal.dictionary = with;
    CHECK_OK(hm_segment_seal(&seal, &bytes));
    CHECK_OK(hm_segment_open(hm_buf_bytes(&bytes), &segment));
    CHECK_OK(hm_segment_unpack(&segment, with, &arena, &got));
    hm_dump_segment(&segment, got, &text);
    write_good(name, hm_buf_bytes(&bytes), &text);
    hm_buf_deinit(&bytes);
}

static void births_and_segments(void)
{
    struct hm_dictionary dictionary = hm_sample_dictionary(&arena, 2, 300, 2048);
    struct hm_birth birth = hm_sample_birth();
    struct hm_bytes entries[4];
    struct hm_buf text;
    size_t members;

    entries[0] = hm_sample_birth_bytes(&arena);
    for (size_t i = 1; i < 4; i++) {
        entries[i] = hm_sample_register(
            &arena, 1, i, (struct hm_dot){HM_SAMPLE_INCARNATION, i}, &members);
    }
    hm_buf_init(&text, 10000);
    hm_dump_birth(&birth, &text);
    write_good("birth", entries[0], &text);
    write_file("dictionary.bin", dictionary.bytes);
    good_segment("segment_with_birth", 0, HM_DICTIONARY_NONE, entries, 3);
    good_segment("segment_of_one", 2, HM_DICTIONARY_NONE, entries, 3);
    good_segment("segment_with_dictionary", 1, dictionary, entries, 4);
}

static void good_state(const char *name, const struct hm_household *h)
{
    struct hm_buf text;

    hm_buf_init(&text, 200000);
    hm_dump_state(h, &text);
    write_good(name, hm_build_state(&arena, h), &text);
}

static bool waits(const struct hm_household *h)
{
    for (size_t i = 0; i < h->row_count; i++) {
        for (size_t j = 0; j < h->rows[i].cell_count; j++) {
            if (h->rows[i].cells[j].rm_count > 0) {
                return true;
            }
        }
    }
    return false;
}

static void states(struct hm_bytes family)
{
    const struct hm_dot dot = {HM_SAMPLE_INCARNATION, 5};
    struct hm_author author = hm_build_author(dot.incarnation);
    struct hm_household_id id = {dot.incarnation, dot.n};
    struct hm_rng rng = {91};
    struct hm_history history;
    struct hm_household h;
    struct hm_change change;
    size_t order[HM_HISTORY_ENTRIES_MAX];
    bool applied = false;

    hm_household_init(&h, &id, &arena);
    good_state("state_empty", &h);
    CHECK_OK(hm_change_decode(family, &dot, &arena, &change));
    CHECK_OK(hm_household_apply(&h, &change, &dot, &author, &applied));
    good_state("state_new_household", &h);
    hm_history_make(&history, &rng, 16);
    do { /* until something is waited for */
        hm_history_shuffle(&history, &rng, order);
        hm_history_begin(&history, &h, &arena);
        for (size_t i = 0; i < 11; i++) {
            hm_history_apply(&history.entries[order[i]], &h);
        }
    } while (!waits(&h));
    good_state("state_with_conflicts", &h);
    hm_history_free(&history);
}

static void good_frames(const char *name, struct hm_bytes body,
                        struct hm_dictionary dictionary)
{
    struct hm_buf again;
    struct hm_buf text;

    hm_buf_init(&again, 200000);
    hm_buf_init(&text, 200000);
    CHECK_OK(hm_frames_decode(body, dictionary, &arena, &text, &again));
    write_good(name, body, &text);
    hm_buf_deinit(&again);
}

/* Every type of frame, with the family as a state in the feed. */
static void requests_and_replies(struct hm_bytes family)
{
    struct hm_dictionary dictionary = hm_sample_dictionary(&arena, 2, 300, 2048);
    struct hm_bytes entry = hm_sample_birth_bytes(&arena);
    struct hm_segment_seal seal = hm_sample_seal(&keys, 0, HM_CHAIN_START, &entry, 1);
    struct hm_buf segment;
    struct hm_buf body;

    hm_buf_init(&segment, 10000);
    hm_buf_init(&body, 200000);
    CHECK_OK(hm_segment_seal(&seal, &segment));
    hm_frames_request(hm_buf_bytes(&segment), &body);
    good_frames("request_with_all_frames", hm_buf_bytes(&body), dictionary);
    hm_buf_clear(&body);
    hm_frames_reply(family, dictionary, &body);
    good_frames("reply_with_all_frames", hm_buf_bytes(&body), dictionary);
    hm_buf_deinit(&segment);
    hm_buf_deinit(&body);
}

#define HEAD    "\x96\1\3\2\1\x11"
#define STATE   "\x98\1\x0a\1\x11\xc3"
#define AUTHORS STATE "\x92\x95\x0a\1\2\0\3\x95\x0b\1\2\0\1"
#define CHAIN16                                                                        \
    "\xc4\x10"                                                                         \
    "abcdefghijklmnop"

#define HASH32                                                                         \
    "\xc4\x20"                                                                         \
    "abcdefghijklmnopqrstuvwxyz012345"

/* kind: item, change (written as 5eed.5), birth, segment, state, frames. */
static const struct bad {
    const char *name;
    const char *kind;
    int err;
    const char *bytes;
    size_t len;
} bads[] = {
#define BAD(name, kind, err, bytes)                                                    \
    {                                                                                  \
#name, #kind, HM_##err, bytes, sizeof(bytes) - 1                               \
    }
    BAD(truncated_in_key, item, TRUNCATED, "\x82\1\xc0\xcd\1"),
    BAD(truncated_in_array, item, TRUNCATED, "\x93\1\2"),
    BAD(truncated_four_gigabytes_of_array, item, TRUNCATED, "\xdd\xff\xff\xff\xff"),
    BAD(truncated_text, item, TRUNCATED, "\245abc"),
    BAD(noncanonical_uint, item, NONCANONICAL, "\xcc\x7f"),
    BAD(noncanonical_negative, item, NONCANONICAL, "\xd1\xff\xff"),
    BAD(noncanonical_array_length, item, NONCANONICAL, "\xdc\0\1\xc0"),
    BAD(noncanonical_text_length, item, NONCANONICAL, "\xd9\1a"),
    BAD(noncanonical_key_order, item, NONCANONICAL, "\x82\2\xc0\1\xc0"),
    BAD(noncanonical_key_twice, item, NONCANONICAL, "\x82\2\xc0\2\xc0"),
    BAD(noncanonical_text_as_key, item, NONCANONICAL, "\x81\241a\xc0"),
    BAD(noncanonical_nan, item, NONCANONICAL, "\xcb\x7f\xf8\0\0\0\0\0\0"),
    BAD(noncanonical_text_not_nfc, item, NONCANONICAL, "\243e\xcc\x81"),
    BAD(malformed_float32, item, MALFORMED, "\xca\x3f\x80\0\0"),
    BAD(malformed_ext, item, MALFORMED, "\xd4\1\2"),
    BAD(malformed_utf8, item, MALFORMED, "\xa2\xc3\x28"),
    BAD(malformed_control_character, item, MALFORMED, "\xa1\x07"),
    BAD(malformed_bytes_left_over, item, MALFORMED, "\xc0\xc0"),
    BAD(toobig_depth_nine, item, TOOBIG, "\x91\x91\x91\x91\x91\x91\x91\x91\x91\1"),
    BAD(malformed_rank_sixteen, change, MALFORMED, "\x96\1\3\x10\1\x11\x90"),
    BAD(malformed_too_few_parts, change, MALFORMED, "\x95\1\3\2\1\x11"),
    BAD(noncanonical_own_household, change, NONCANONICAL, "\x96\1\3\2\5\x11\x90"),
    BAD(noncanonical_explicit_default, change, NONCANONICAL,
        HEAD "\x91\x96\1\0\0\0\x81\x10\5\x81\x10\x91\1"),
    BAD(noncanonical_own_dot_replaced, change, NONCANONICAL,
        HEAD "\x91\x96\1\0\0\0\x81\x10\5\x81\x10\x91\5"),
    BAD(noncanonical_foreign_form_of_own, change, NONCANONICAL,
        HEAD "\x91\x96\1\0\0\0\x81\x10\5\x81\x10\x91\x92\xcd\x5e\xed\2"),
    BAD(noncanonical_rows_out_of_order, change, NONCANONICAL,
        HEAD "\x92\x95\2\0\0\0\x81\x10\5\x95\1\0\0\0\x81\x10\5"),
    BAD(noncanonical_row_without_cells, change, NONCANONICAL,
        HEAD "\x91\x95\1\0\0\0\x80"),
    BAD(noncanonical_empty_reason, change, NONCANONICAL, "\x97\1\3\2\1\x11\x90\xa0"),
    BAD(malformed_item_without_number, change, MALFORMED,
        HEAD "\x91\x95\1\0\2\x92\4\0\x81\x10\5"),
    BAD(toobig_nesting_of_a_value, change, TOOBIG,
        HEAD "\x91\x95\1\0\0\0\x81\x10\x91\x91\x91\x90"),
    BAD(version_of_a_birth, birth, VERSION,
        "\x9a\2\1\0\0" CHAIN16 CHAIN16 "\0\0\0\xa0"),
    BAD(malformed_clock_class, birth, MALFORMED,
        "\x9a\1\1\0\0" CHAIN16 CHAIN16 "\0\3\0\xa0"),
    BAD(version_of_a_segment, segment, VERSION, "\x97\2\2\3\4\1\0" CHAIN16),
    BAD(malformed_segment_of_nothing, segment, MALFORMED, "\x97\1\2\3\4\0\0" CHAIN16),
    BAD(truncated_tail, segment, TRUNCATED, "\x97\1\2\3\4\1\0" CHAIN16 "tail"),
    BAD(version_of_a_state, state, VERSION, "\x98\2\x0a\1\x11\xc3\x90\x90\x90"),
    BAD(noncanonical_author_order, state, NONCANONICAL,
        STATE "\x92\x95\x0b\1\2\0\3\x95\x0a\1\2\0\1\x90\x90"),
    BAD(noncanonical_stamp_of_nobody, state, NONCANONICAL,
        AUTHORS "\x91\x95\0\3\1\2\0\x90"),
    BAD(malformed_stamp_not_seen, state, MALFORMED,
        AUTHORS "\x91\x95\1\2\1\2\0\x91\x95\1\0\0\0\x81\x10\x92\0\5"),
    BAD(noncanonical_waits_for_seen, state, NONCANONICAL,
        AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\x91\x91\x92\x0a\3"),
    BAD(noncanonical_empty_cell, state, NONCANONICAL,
        AUTHORS "\x90\x91\x95\1\0\0\0\x81\x10\x90"),
    BAD(truncated_frame, frames, TRUNCATED, "\x26\0\x21\4\x93\1\2"),
    BAD(truncated_frame_length, frames, TRUNCATED, "\2\x80"),
    BAD(truncated_in_a_frame, frames, TRUNCATED, "\x21\3\x93\1\2"),
    BAD(noncanonical_frame_length, frames, NONCANONICAL, "\2\x81\0\x90"),
    BAD(noncanonical_frame_length_of_five, frames, NONCANONICAL,
        "\2\x81\x80\x80\x80\0\x90"),
    BAD(noncanonical_hashes_order, frames, NONCANONICAL,
        "\5\x11\x11"
        "abcdefgiabcdefgh"),
    BAD(malformed_hashes_cut, frames, MALFORMED,
        "\x25\x0a\x11"
        "abcdefgha"),
    BAD(malformed_hello_too_short, frames, MALFORMED, "\1\7\x96\1\1\0\0\0\xa0"),
    BAD(malformed_logs_of_pairs, frames, MALFORMED, "\2\4\x91\x92\1\2"),
    BAD(malformed_cursor_with_more, frames, MALFORMED,
        "\3\x18\x96\1\2\3\4" CHAIN16 "\0"),
    BAD(malformed_receipt_level, frames, MALFORMED, "\x21\4\x93\1\2\3"),
    BAD(malformed_blob_past_its_end, frames, MALFORMED,
        "\x27\x27\x93" HASH32 "\2\3"
        "ab"),
    BAD(malformed_feed_of_a_portal, frames, MALFORMED,
        "\x23\x21\x99\x11\1\2\3\4\xc3" CHAIN16 "\5\0"
        "<html>"),
    BAD(dictionary_of_a_feed, frames, DICTIONARY,
        "\x23\x1c\x99\x11\1\2\3\4\xc3" CHAIN16 "\5\x06"
        "x"),
#undef BAD
};

static void write_bad(const char *name, const char *kind, int err,
                      struct hm_bytes bytes, struct hm_buf *table)
{
    char file[200];

    (void)snprintf(file, sizeof file, "bad/%s.bin", name);
    write_file(file, bytes);
    hm_buf_printf(table, "%s.bin %s %s\n", name, kind, hm_err_name(err));
}

/* A good segment with one byte of it changed: at from its start, or from its end. */
static void write_bad_segment(const char *name, int err, long at, struct hm_buf *table)
{
    struct hm_bytes entry = hm_sample_birth_bytes(&arena);
    struct hm_segment_seal seal = hm_sample_seal(&keys, 0, HM_CHAIN_START, &entry, 1);
    struct hm_buf bytes;

    hm_buf_init(&bytes, 10000);
    CHECK_OK(hm_segment_seal(&seal, &bytes));
    bytes.data[at < 0 ? (size_t)((long)bytes.len + at) : (size_t)at] ^= 1;
    write_bad(name, "segment", err, hm_buf_bytes(&bytes), table);
    hm_buf_deinit(&bytes);
}

static void write_bads(void)
{
    struct hm_buf table;

    hm_buf_init(&table, 10000);
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        write_bad(bads[i].name, bads[i].kind, bads[i].err,
                  hm_bytes_of(bads[i].bytes, bads[i].len), &table);
    }
    write_bad_segment("signature_flipped", HM_SIGNATURE, -5, &table);
    write_bad_segment("signature_other_chain", HM_SIGNATURE, -70, &table);
    write_bad_segment("signature_other_device", HM_SIGNATURE, 5, &table);
    write_bad_segment("chain_of_other_content", HM_CHAIN, -90, &table);
    write_file("bad/errors.txt", hm_buf_bytes(&table));
    hm_buf_deinit(&table);
}

int main(int argc, char **argv)
{
    struct hm_bytes family;

    if (argc != 2) {
        (void)fputs("usage: gen_wire FOLDER (tests/fixtures/wire)\n", stderr);
        return 2;
    }
    root = argv[1];
    hm_arena_init(&arena, 64 * 1024 * 1024);
    keys = hm_sample_keys();
    family = changes();
    states(family);
    births_and_segments();
    requests_and_replies(family);
    write_bads();
    hm_arena_deinit(&arena);
    return 0;
}
