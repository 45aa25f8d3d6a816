/* Golden files: bytes that are out in the field must mean the same for ever. They are
 * written by gen_wire, never by this test. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "protocol/guard.h"
#include "tests/support/dump.h"
#include "tests/support/frames.h"
#include "tests/support/sample.h"
#include "tests/support/test.h"

enum { FILE_BYTES_MAX = 64 * 1024 };

static struct hm_arena arena;
static struct hm_sample_keys keys;

static struct hm_bytes load(const char *format, const char *name)
{
    struct hm_bytes out = {0};
    char relative[300];
    struct hm_buf buf;
    FILE *file;
    uint8_t *to;

    (void)snprintf(relative, sizeof relative, format, name);
    file = fopen(hm_test_fixture(relative), "rb");
    if (file == NULL) {
        fail_msg("%s is missing", relative);
    }
    hm_buf_init(&buf, FILE_BYTES_MAX);
    to = hm_buf_reserve(&buf, FILE_BYTES_MAX);
    assert_non_null(to);
    hm_buf_commit(&buf, fread(to, 1, FILE_BYTES_MAX, file));
    (void)fclose(file);
    CHECK_OK(hm_arena_copy(&arena, hm_buf_bytes(&buf), &out));
    hm_buf_deinit(&buf);
    return out;
}

/* Calls check with the name, without its end, of each .bin in folder. */
static size_t for_each(const char *folder, void (*check)(const char *name))
{
    DIR *dir = opendir(hm_test_fixture(folder));
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char name[256];
        size_t len = strlen(entry->d_name);

        if (len > 4 && strcmp(entry->d_name + len - 4, ".bin") == 0) {
            (void)snprintf(name, sizeof name, "%.*s", (int)(len - 4), entry->d_name);
            check(name);
            count++;
        }
    }
    (void)closedir(dir);
    return count;
}

static void begin(void)
{
    hm_arena_init(&arena, 64 * 1024 * 1024);
    keys = hm_sample_keys();
}

static struct hm_dictionary dictionary(void)
{
    struct hm_bytes bytes = load("wire/%s.bin", "dictionary");

    return (struct hm_dictionary){hm_hash_u64(bytes), bytes};
}

static int unpack(struct hm_bytes bytes, struct hm_segment *segment,
                  const struct hm_bytes **out)
{
    struct hm_dictionary with = HM_DICTIONARY_NONE;
    int err = hm_segment_open(bytes, segment);

    if (err == HM_OK) {
        err = hm_segment_verify(segment, keys.public_key);
    }
    if (err == HM_OK) {
        with = segment->dictionary == 0 ? with : dictionary();
        err = hm_segment_unpack(segment, with, &arena, out);
    }
    return err;
}

static bool starts_with(const char *name, const char *kind)
{
    return strncmp(name, kind, strlen(kind)) == 0;
}

/* Sealed again: all that is not zstd's choice is the same. */
static void check_sealed_again(const struct hm_segment *segment,
                               const struct hm_bytes *entries)
{
    struct hm_segment_seal seal = hm_sample_seal(
        &keys, segment->first_n, segment->prev_chain, entries, segment->count);
    struct hm_segment again;
    struct hm_buf buf;

    if (segment->dictionary != 0) {
        seal.dictionary = dictionary();
    }
    hm_buf_init(&buf, HM_SEGMENT_BYTES_MAX);
    CHECK_OK(hm_segment_seal(&seal, &buf));
    CHECK_OK(hm_segment_open(hm_buf_bytes(&buf), &again));
    assert_true(hm_bytes_equal(again.header, segment->header));
    assert_true(hm_hash_equal(&again.chain, &segment->chain));
    assert_memory_equal(again.signature, segment->signature, HM_SIGNATURE_BYTES);
    hm_buf_deinit(&buf);
}

static void check_change(struct hm_bytes bytes, struct hm_bytes text,
                         struct hm_buf *dump)
{
    struct hm_change change;
    struct hm_dot dot;
    char name[HM_ID_TEXT_MAX] = "";

    assert_int_equal(sscanf((const char *)text.data, "change %40s", name), 1);
    CHECK_OK(hm_dot_from_text(name, &dot));
    CHECK_OK(hm_change_decode(bytes, &dot, &arena, &change));
    hm_dump_change(&change, &dot, dump);
    assert_true(hm_bytes_equal(hm_build_encode(&arena, &change, &dot), bytes));
}

static void check_birth(struct hm_bytes bytes, struct hm_buf *dump)
{
    struct hm_birth birth;
    struct hm_buf again;

    CHECK_OK(hm_birth_decode(bytes, &birth));
    hm_dump_birth(&birth, dump);
    hm_buf_init(&again, HM_BIRTH_BYTES_MAX);
    hm_birth_encode(&birth, &again);
    assert_true(hm_bytes_equal(hm_buf_bytes(&again), bytes));
    hm_buf_deinit(&again);
}

static void check_segment(struct hm_bytes bytes, struct hm_buf *dump)
{
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment;

    CHECK_OK(unpack(bytes, &segment, &entries));
    hm_dump_segment(&segment, entries, dump);
    check_sealed_again(&segment, entries);
}

static void check_state(struct hm_bytes bytes, struct hm_buf *dump)
{
    struct hm_household h;

    CHECK_OK(hm_guard_check(bytes));
    CHECK_OK(hm_household_decode(bytes, &arena, &h));
    hm_dump_state(&h, dump);
    assert_true(hm_bytes_equal(hm_build_state(&arena, &h), bytes));
}

/* Requests and replies. */
static void check_frames(struct hm_bytes bytes, struct hm_buf *dump)
{
    struct hm_buf again;

    hm_buf_init(&again, FILE_BYTES_MAX);
    CHECK_OK(hm_frames_decode(bytes, dictionary(), &arena, dump, &again));
    assert_true(hm_bytes_equal(hm_buf_bytes(&again), bytes));
    hm_buf_deinit(&again);
}

static void check_good(const char *name)
{
    struct hm_bytes bytes = load("wire/good/%s.bin", name);
    struct hm_bytes text = load("wire/good/%s.txt", name);
    struct hm_buf dump;

    hm_buf_init(&dump, FILE_BYTES_MAX);
    if (starts_with(name, "change_")) {
        check_change(bytes, text, &dump);
    } else if (starts_with(name, "birth")) {
        check_birth(bytes, &dump);
    } else if (starts_with(name, "segment_")) {
        check_segment(bytes, &dump);
    } else if (starts_with(name, "request_") || starts_with(name, "reply_")) {
        check_frames(bytes, &dump);
    } else {
        check_state(bytes, &dump);
    }
    if (!hm_bytes_equal(hm_buf_bytes(&dump), text)) {
        fail_msg("%s is now:\n%s", name, hm_buf_str(&dump));
    }
    hm_buf_deinit(&dump);
}

HM_TEST(good_files_mean_what_they_meant)
{
    begin();
    assert_true(for_each("wire/good", check_good) >= 14);
    hm_arena_deinit(&arena);
}

static int decode_frames(struct hm_bytes bytes)
{
    struct hm_buf again;
    struct hm_buf dump;
    int err;

    hm_buf_init(&again, FILE_BYTES_MAX);
    hm_buf_init(&dump, FILE_BYTES_MAX);
    err = hm_frames_decode(bytes, dictionary(), &arena, &dump, &again);
    hm_buf_deinit(&again);
    hm_buf_deinit(&dump);
    return err;
}

static int decode(const char *kind, struct hm_bytes bytes)
{
    const struct hm_dot dot = {HM_SAMPLE_INCARNATION, 5};
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment;
    struct hm_household h;
    struct hm_change change;
    struct hm_birth birth;
    int err = HM_OK;

    if (strcmp(kind, "change") == 0) {
        return hm_change_decode(bytes, &dot, &arena, &change);
    }
    if (strcmp(kind, "birth") == 0) {
        return hm_birth_decode(bytes, &birth);
    }
    if (strcmp(kind, "segment") == 0) {
        return unpack(bytes, &segment, &entries);
    }
    if (strcmp(kind, "frames") == 0) {
        return decode_frames(bytes);
    }
    err = hm_guard_check(bytes);
    if (err == HM_OK && strcmp(kind, "state") == 0) {
        err = hm_household_decode(bytes, &arena, &h);
    }
    return err;
}

static void check_bad(const char *name)
{
    struct hm_bytes table = load("wire/bad/%s", "errors.txt");
    char wanted[300];
    char kind[20];
    char expected[20];
    const char *line = hm_arena_text(&arena, table);

    (void)snprintf(wanted, sizeof wanted, "%s.bin ", name);
    while (line != NULL && !starts_with(line, wanted)) {
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    if (line == NULL || sscanf(line, "%*s %19s %19s", kind, expected) != 2) {
        fail_msg("%s is not in errors.txt", name);
        return;
    }
    assert_string_equal(hm_err_name(decode(kind, load("wire/bad/%s.bin", name))),
                        expected);
}

HM_TEST(bad_files_give_the_error_of_their_name)
{
    struct hm_bytes table;
    size_t lines = 0;

    begin();
    table = load("wire/bad/%s", "errors.txt");
    for (size_t i = 0; i < table.len; i++) {
        lines += table.data[i] == '\n';
    }
    assert_int_equal(for_each("wire/bad", check_bad), lines);
    assert_true(lines >= 50);
    hm_arena_deinit(&arena);
}
