#include "tests/support/sample.h"

#include <sodium.h>
#include <stdlib.h>

#include "tests/support/commune.h"
#include "tests/support/test.h"

/* Numbers as a register's field table gives them out. */
enum { FORM = 1, MEMBERS = 24, FIELD_HEAD = 16, FIELD_NAME = 25, FIELD_UPDATED = 33 };

struct hm_sample_keys hm_sample_keys(void)
{
    struct hm_sample_keys keys;
    uint8_t seed[crypto_sign_SEEDBYTES];

    memset(seed, 7, sizeof seed);
    CHECK_OK(crypto_sign_seed_keypair(keys.public_key, keys.secret_key, seed));
    return keys;
}

struct hm_birth hm_sample_birth(void)
{
    return (struct hm_birth){.device = HM_SAMPLE_DEVICE,
                             .parent_incarnation = 0xbeef,
                             .parent_n = 40,
                             .parent_chain = {{1, 2, 3}},
                             .boot_id = {9, 8, 7},
                             .wall_ms = 1790000000000,
                             .clock_class = HM_CLOCK_CHECKED,
                             .clock_offset_ms = -1500,
                             .version = hm_bytes_str("0.1.0")};
}

struct hm_bytes hm_sample_birth_bytes(struct hm_arena *arena)
{
    struct hm_birth birth = hm_sample_birth();
    struct hm_bytes out = {0};
    struct hm_buf buf;

    hm_buf_init(&buf, HM_BIRTH_BYTES_MAX);
    hm_birth_encode(&birth, &buf);
    CHECK_OK(hm_arena_copy(arena, hm_buf_bytes(&buf), &out));
    hm_buf_deinit(&buf);
    return out;
}

/* Missing answers are not written. */
static void text(struct hm_build *b, uint32_t field, const char *value)
{
    if (value != NULL && value[0] != 0) {
        hm_build_text(b, field, value);
    }
}

static void number(struct hm_build *b, uint32_t field, int value)
{
    if (value != 0) {
        hm_build_uint(b, field, (uint64_t)value);
    }
}

static void write_member(struct hm_build *b, const struct hm_commune_member *member)
{
    text(b, FIELD_NAME, member->name);
    number(b, FIELD_NAME + 1, member->sex);
    text(b, FIELD_NAME + 2, member->birth_date);
    number(b, FIELD_NAME + 3, member->birth_date[0] == 0 ? member->birth_year : 0);
    text(b, FIELD_NAME + 4, member->id_number);
    text(b, FIELD_NAME + 5, member->relation);
    text(b, FIELD_NAME + 6, member->ethnic);
    text(b, FIELD_NAME + 7, member->school);
    text(b, FIELD_UPDATED, member->job);
    text(b, FIELD_UPDATED + 1, member->health_insurance);
    text(b, FIELD_UPDATED + 2, member->disability);
    text(b, FIELD_UPDATED + 3, member->note);
}

struct hm_bytes hm_sample_register(struct hm_arena *arena, uint64_t seed,
                                   uint64_t index, struct hm_dot dot,
                                   size_t *out_members)
{
    struct hm_commune_household household;
    struct hm_build b;

    hm_commune_household(seed, index, &household);
    hm_build_begin(&b, arena, dot, (struct hm_household_id){dot.incarnation, dot.n},
                   17);
    b.change.dt_ms = (int64_t)(dot.n * 900000 + index * 7919 % 600000);
    hm_build_row(&b, (struct hm_row_key){.form = FORM});
    text(&b, FIELD_HEAD, household.head_name);
    text(&b, FIELD_HEAD + 1, household.phone);
    text(&b, FIELD_HEAD + 2, household.address);
    text(&b, FIELD_HEAD + 3, household.ethnic);
    text(&b, FIELD_HEAD + 4, household.house_number);
    text(&b, FIELD_HEAD + 5, household.note);
    number(&b, FIELD_HEAD + 6, (int)household.member_count);
    for (size_t i = 0; i < household.member_count; i++) {
        hm_build_row(
            &b, (struct hm_row_key){FORM, 0, MEMBERS, {dot.incarnation, dot.n, i + 1}});
        write_member(&b, &household.members[i]);
    }
    *out_members = household.member_count;
    return hm_build_bytes(&b);
}

struct hm_bytes hm_sample_update(struct hm_arena *arena, uint64_t seed, uint64_t index,
                                 struct hm_dot dot, struct hm_household_id household)
{
    struct hm_commune_household now;
    const struct hm_commune_member *member;
    struct hm_build b;

    hm_commune_household(seed, index, &now);
    member = &now.members[index % now.member_count];
    hm_build_begin(&b, arena, dot, household, 17);
    b.change.dt_ms = (int64_t)(dot.n * 240000 + index * 7919 % 200000);
    hm_build_row(&b, (struct hm_row_key){
                         FORM,
                         0,
                         MEMBERS,
                         {household.a, household.n, 1 + index % now.member_count}});
    hm_build_text(&b, FIELD_UPDATED - 1, member->school);
    hm_build_text(&b, FIELD_UPDATED, member->job);
    hm_build_text(&b, FIELD_UPDATED + 1, member->health_insurance);
    return hm_build_bytes(&b);
}

struct hm_dictionary hm_sample_dictionary(struct hm_arena *arena, uint64_t seed,
                                          size_t count, size_t bytes_max)
{
    struct hm_dictionary dictionary = {0};
    size_t *sizes = calloc(count, sizeof *sizes);
    struct hm_buf samples;
    struct hm_buf out;

    assert_non_null(sizes);
    hm_buf_init(&samples, 16 * 1024 * 1024);
    hm_buf_init(&out, bytes_max);
    for (size_t i = 0; i < count; i++) {
        struct hm_dot dot = {0xd1c7 + i % 50, 1 + i % 20};
        struct hm_arena one;
        size_t members;
        struct hm_bytes bytes;

        hm_arena_init(&one, 1024 * 1024);
        bytes = hm_sample_register(&one, seed, i, dot, &members);
        hm_buf_append(&samples, bytes);
        sizes[i] = bytes.len;
        hm_arena_deinit(&one);
    }
    CHECK_OK(samples.err);
    CHECK_OK(
        hm_dictionary_train(hm_buf_bytes(&samples), sizes, count, bytes_max, &out));
    CHECK_OK(hm_arena_copy(arena, hm_buf_bytes(&out), &dictionary.bytes));
    dictionary.id = hm_hash_u64(dictionary.bytes);
    hm_buf_deinit(&samples);
    hm_buf_deinit(&out);
    free(sizes);
    return dictionary;
}

struct hm_segment_seal hm_sample_seal(const struct hm_sample_keys *keys,
                                      uint64_t first_n, struct hm_hash prev_chain,
                                      const struct hm_bytes *entries, size_t count)
{
    return (struct hm_segment_seal){.incarnation = HM_SAMPLE_INCARNATION,
                                    .device = HM_SAMPLE_DEVICE,
                                    .first_n = first_n,
                                    .prev_chain = prev_chain,
                                    .entries = entries,
                                    .count = count,
                                    .secret_key = keys->secret_key};
}
