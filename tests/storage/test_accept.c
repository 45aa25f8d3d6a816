#include <stdio.h>
#include <string.h>

#include <sodium.h>
#include <zstd.h>

#include "storage/accept.h"

#include "storage/alarms.h"
#include "storage/blobs.h"
#include "storage/feeds.h"
#include "storage/log.h"
#include "tests/support/pen.h"

enum { INCARNATION = 0xabc1 };

static struct hm_village v;
static struct hm_village_node *laptop;
static struct hm_pen pen;

static void begin(void)
{
    hm_village_open(&v);
    laptop = hm_village_add(&v, "a", 1);
    hm_pen_open(&pen, &v, laptop, INCARNATION);
}

static void end(void)
{
    hm_pen_close(&pen);
    hm_village_close(&v);
}

struct taken {
    uint64_t incarnation;
    uint64_t entries;
    uint64_t changes;
    size_t notices;
    int reason; /* of the last notice */
};

static struct taken take(struct hm_bytes bytes)
{
    struct hm_store *s = v.centre.node.store;
    struct taken out = {0};
    struct hm_accept a;
    struct hm_arena arena;

    hm_arena_init(&arena, HM_ACCEPT_ARENA_BYTES_MAX);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_accept_init(&a, s, v.centre.forms, laptop->node.device, &arena));
    CHECK_OK(hm_accept_segment(&a, bytes, &out.incarnation, &out.entries));
    CHECK_OK(hm_store_end(s, HM_OK));
    out.changes = a.changes;
    out.notices = a.notice_count;
    out.reason = a.notice_count == 0 ? HM_OK : a.notices[a.notice_count - 1].reason;
    hm_arena_deinit(&arena);
    return out;
}

/* What the centre is made of, as far as a segment may move it. */
struct scene {
    struct hm_feed_state feed;
    uint64_t entries;
    struct hm_hash chain;
    int64_t segments;
};

static struct scene look(uint64_t incarnation)
{
    struct hm_store *s = v.centre.node.store;
    struct scene out;
    struct hm_log log = {0};
    int err;

    memset(&out, 0, sizeof out);
    CHECK_OK(hm_feeds_get(s, v.hamlets[0], &out.feed));
    err = hm_log_get(s, incarnation, &log);
    assert_true(err == HM_OK || err == HM_NOTFOUND);
    out.entries = log.entries;
    out.chain = log.chain;
    CHECK_OK(
        hm_db_query_int(hm_store_db(s), "SELECT COUNT(*) FROM segment", &out.segments));
    return out;
}

static void assert_same(const struct scene *a, const struct scene *b)
{
    assert_int_equal(a->feed.position, b->feed.position);
    assert_int_equal(a->feed.households, b->feed.households);
    assert_memory_equal(&a->feed.digest, &b->feed.digest, sizeof a->feed.digest);
    assert_int_equal(a->entries, b->entries);
    assert_memory_equal(&a->chain, &b->chain, sizeof a->chain);
    assert_int_equal(a->segments, b->segments);
}

/* The reason of the one entry in quarantine. */
static int read_reason(void *arg, const struct hm_quarantine_entry *entry)
{
    *(int *)arg = entry->reason;
    assert_true(entry->detail[0] != 0);
    return HM_OK;
}

static int last_reason(void)
{
    int reason = HM_OK;

    CHECK_OK(hm_quarantine_each(v.centre.node.store, read_reason, &reason));
    return reason;
}

/* Do the bytes say what the pen wrote? zstd has a few ways to say the same. */
static bool says_the_same(struct hm_bytes bytes)
{
    struct hm_segment segment;
    const struct hm_bytes *entries;
    struct hm_arena arena;
    bool same;

    hm_arena_init(&arena, 1024 * 1024);
    same = hm_segment_open(bytes, &segment) == HM_OK &&
           hm_segment_verify(&segment, laptop->node.public_key) == HM_OK &&
           hm_segment_unpack(&segment, HM_DICTIONARY_NONE, &arena, &entries) == HM_OK;
    for (size_t i = 0; same && i < segment.count; i++) {
        assert_true(hm_bytes_equal(entries[i], pen.entries[segment.first_n + i]));
    }
    hm_arena_deinit(&arena);
    return same;
}

/* A bit that flips on its way may not count as anything, wherever it lies: kept by its
 * content, and the right bytes are as welcome as before. */
HM_TEST(a_flipped_bit_moves_nothing)
{
    struct scene before;
    struct hm_bytes bytes;
    uint8_t copy[HM_SEGMENT_BYTES_MAX];
    uint64_t flips = 0;
    unsigned ignored = 0;

    begin();
    (void)hm_pen_new(&pen, "Lan");
    bytes = hm_pen_seal(&pen, 0, 2);
    before = look(INCARNATION);
    for (size_t i = 0; i < bytes.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct scene after;

            memcpy(copy, bytes.data, bytes.len);
            copy[i] = (uint8_t)(copy[i] ^ (1U << bit));
            if (says_the_same(hm_bytes_of(copy, bytes.len))) {
                ignored++;
                continue;
            }
            v.centre.node.now_ms++; /* of too many the oldest go */
            (void)take(hm_bytes_of(copy, bytes.len));
            after = look(INCARNATION);
            assert_same(&after, &before);
            flips++;
        }
    }
    assert_true(ignored <= 8);
    assert_int_equal(hm_village_quarantined(&v.centre), flips);
    memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len - 1] ^= 2; /* seen already: no second entry */
    (void)take(hm_bytes_of(copy, bytes.len));
    assert_int_equal(hm_village_quarantined(&v.centre), flips);
    assert_int_equal(take(bytes).entries, 2);
    assert_int_equal(look(INCARNATION).feed.households, 1);
    end();
}

/* Cut anywhere, too: and what is no segment at all. */
HM_TEST(a_cut_segment_moves_nothing)
{
    struct scene before;
    struct hm_bytes bytes;

    begin();
    (void)hm_pen_new(&pen, "Lan");
    bytes = hm_pen_seal(&pen, 0, 2);
    before = look(INCARNATION);
    for (size_t len = 0; len < bytes.len; len++) {
        struct scene after;

        (void)take(hm_bytes_of(bytes.data, len));
        after = look(INCARNATION);
        assert_same(&after, &before);
    }
    assert_int_equal(hm_village_quarantined(&v.centre), bytes.len);
    assert_int_equal(take(bytes).entries, 2);
    end();
}

/* Signed by somebody else, of a device that nobody enrolled, of another device than
 * its birth's: not authenticated, so it moves nothing. */
HM_TEST(only_the_author_moves_a_log)
{
    struct scene before;
    struct scene after;
    uint8_t public_key[HM_PUBLIC_KEY_BYTES];
    uint8_t secret_key[HM_SECRET_KEY_BYTES];
    struct hm_village_node *other;
    struct hm_pen forged;

    begin();
    other = hm_village_add(&v, "b", 1);
    (void)hm_pen_new(&pen, "Lan");
    before = look(INCARNATION);

    pen.seal.secret_key = other->node.secret_key;
    (void)take(hm_pen_seal(&pen, 0, 2));
    assert_int_equal(last_reason(), HM_SIGNATURE);

    assert_int_equal(crypto_sign_keypair(public_key, secret_key), 0);
    pen.seal.secret_key = secret_key;
    pen.seal.device = hm_devices_id_of(public_key);
    assert_int_equal(take(hm_pen_seal(&pen, 0, 2)).incarnation, 0);

    /* Its birth says the laptop, its header and signature say the other one. */
    pen.seal.secret_key = other->node.secret_key;
    pen.seal.device = other->node.device;
    assert_int_equal(take(hm_pen_seal(&pen, 0, 2)).entries, 0);
    after = look(INCARNATION);
    assert_same(&after, &before);
    assert_int_equal(hm_village_quarantined(&v.centre), 3);

    pen.seal.secret_key = laptop->node.secret_key;
    pen.seal.device = laptop->node.device;
    assert_int_equal(take(hm_pen_seal(&pen, 0, 2)).entries, 2);

    /* An enrolled device goes on with the log of another one. */
    before = look(INCARNATION);
    forged = pen;
    hm_pen_write(&forged, &(struct hm_household_id){INCARNATION, 1}, v.phone, "9");
    forged.seal.secret_key = other->node.secret_key;
    forged.seal.device = other->node.device;
    assert_int_equal(take(hm_pen_seal(&forged, 2, 1)).entries, 2);
    after = look(INCARNATION);
    assert_same(&after, &before);
    pen.arena = forged.arena;
    hm_pen_write(&pen, &(struct hm_household_id){INCARNATION, 1}, v.phone, "1");
    assert_int_equal(take(hm_pen_seal(&pen, 2, 1)).entries, 3);
    end();
}

/* "X:100" must not silence X:1: positions count, claimed numbers do not. */
HM_TEST(a_forged_high_number_silences_nothing)
{
    struct hm_household_id id;
    struct hm_pen forged;

    begin();
    hm_pen_open(&forged, &v, laptop, INCARNATION);
    id = hm_pen_new(&forged, "forged");
    for (int i = 0; i < 99; i++) {
        hm_pen_write(&forged, &id, v.phone, "66");
    }
    (void)hm_pen_new(&pen, "Lan");
    assert_int_equal(take(hm_pen_seal(&forged, 100, 1)).entries, 0);
    assert_int_equal(look(INCARNATION).entries, 0);
    assert_int_equal(take(hm_pen_seal(&pen, 0, 2)).changes, 1);
    assert_int_equal(take(hm_pen_seal(&forged, 100, 1)).entries, 2);
    assert_string_equal(hm_village_shows(&v, &v.centre, &id, v.name), "Lan");
    hm_pen_close(&forged);
    end();
}

/* A later segment before an earlier one is held back, not skipped and not blamed; the
 * receipt says from where to send. */
HM_TEST(a_gap_is_told_and_filled)
{
    struct hm_household_id id;
    struct scene before;
    struct scene after;
    struct taken taken;

    begin();
    id = hm_pen_new(&pen, "Lan");
    hm_pen_write(&pen, &id, v.phone, "2");
    hm_pen_write(&pen, &id, v.note, "3");
    CHECK_OK(take(hm_pen_seal(&pen, 0, 2)).entries != 2);
    before = look(INCARNATION);
    taken = take(hm_pen_seal(&pen, 3, 1));
    after = look(INCARNATION);
    assert_same(&after, &before);
    assert_int_equal(taken.incarnation, INCARNATION);
    assert_int_equal(taken.entries, 2);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    assert_int_equal(take(hm_pen_seal(&pen, 2, 1)).entries, 3);
    assert_int_equal(take(hm_pen_seal(&pen, 3, 1)).entries, 4);
    assert_string_equal(hm_village_shows(&v, &v.centre, &id, v.note), "3");
    end();
}

/* Two branches of one log, as a running machine's snapshot makes them: the one that
 * came first stands, the other is kept by its content, whatever its bounds. */
static void check_fork_alarm(uint64_t count)
{
    struct hm_alarm *alarms = NULL;
    struct hm_arena arena;
    size_t alarm_count = 0;

    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_store_begin_read(v.centre.node.store));
    CHECK_OK(hm_alarms_list(v.centre.node.store, &arena, &alarms, &alarm_count));
    CHECK_OK(hm_store_end(v.centre.node.store, HM_OK));
    assert_int_equal(alarm_count, 1);
    assert_int_equal(alarms[0].kind, HM_ALARM_FORK);
    assert_int_equal(alarms[0].count, count);
    hm_arena_deinit(&arena);
}

HM_TEST(a_fork_is_kept_apart)
{
    static const size_t bounds[][2] = {{0, 3}, {0, 4}, {1, 2}, {2, 1}, {2, 2}, {3, 1}};
    struct hm_household_id id;
    struct scene before;
    struct hm_pen other;

    begin();
    hm_pen_open(&other, &v, laptop, INCARNATION);
    id = hm_pen_new(&pen, "Lan");
    (void)hm_pen_new(&other, "Lan");
    hm_pen_write(&pen, &id, v.phone, "1");
    hm_pen_write(&other, &id, v.phone, "2");
    hm_pen_write(&other, &id, v.note, "2");
    assert_int_equal(take(hm_pen_seal(&pen, 0, 3)).entries, 3);
    before = look(INCARNATION);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        struct taken taken = take(hm_pen_seal(&other, bounds[i][0], bounds[i][1]));
        struct scene after = look(INCARNATION);

        assert_same(&after, &before);
        /* What is the same at both ends; nothing when the segment can't tell. */
        assert_int_equal(taken.entries, bounds[i][0] < 3 ? 2 : 0);
        assert_int_equal(taken.changes, 0);
        assert_int_equal(hm_village_quarantined(&v.centre), i + 1);
    }
    check_fork_alarm(2);
    assert_int_equal(last_reason(), HM_CHAIN);
    assert_int_equal(hm_village_siblings(&v, &v.centre, &id, v.phone), 1);
    hm_pen_close(&other);
    end();
}

/* An author may seal again with other bounds: what is known is skipped, what is new is
 * taken, and every entry can still be read back. */
HM_TEST(other_bounds_are_welcome)
{
    static const size_t bounds[][2] = {{0, 11}, {5, 16}, {3, 28}, {0, 31}, {2, 6}};
    struct hm_household_id id;

    begin();
    id = hm_pen_new(&pen, "Lan");
    for (int i = 2; i <= 30; i++) {
        char text[4];

        (void)snprintf(text, sizeof text, "%d", i);
        hm_pen_write(&pen, &id, v.phone, text);
    }
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        uint64_t held = look(INCARNATION).entries;
        size_t behind = bounds[i][0] + bounds[i][1];
        struct taken taken = take(hm_pen_seal(&pen, bounds[i][0], bounds[i][1]));

        assert_int_equal(taken.entries, behind > held ? behind : held);
        for (uint64_t n = 0; n < taken.entries; n++) {
            struct hm_bytes bytes;
            struct hm_arena arena;
            int verdict;

            hm_arena_init(&arena, 1024 * 1024);
            CHECK_OK(hm_log_entry(v.centre.node.store, INCARNATION, n, &arena, &bytes,
                                  &verdict));
            assert_true(hm_bytes_equal(bytes, pen.entries[n]));
            hm_arena_deinit(&arena);
        }
    }
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    end();
}

/* Rubbish in a chain that holds is acknowledged and kept; the next change counts. */
HM_TEST(an_entry_that_is_no_change_blocks_nothing)
{
    static const uint8_t not_a_change[] = {0x93, 1, 2, 3};
    struct hm_household_id id;
    struct taken taken;

    begin();
    id = hm_pen_new(&pen, "Lan");
    hm_pen_raw(&pen, hm_bytes_of(not_a_change, sizeof not_a_change));
    hm_pen_write(&pen, &id, v.phone, "1");
    taken = take(hm_pen_seal(&pen, 0, 4));
    assert_int_equal(taken.entries, 4);
    assert_int_equal(taken.notices, 1);
    assert_int_equal(hm_village_quarantined(&v.centre), 1);
    assert_string_equal(hm_village_shows(&v, &v.centre, &id, v.phone), "1");
    end();
}

/* An entry 0 that is no birth begins no log. */
HM_TEST(a_log_begins_with_its_birth)
{
    struct hm_pen other;

    begin();
    hm_pen_open(&other, &v, laptop, INCARNATION);
    other.count = 0;
    (void)hm_pen_new(&other, "Lan");
    assert_int_equal(take(hm_pen_seal(&other, 0, 1)).entries, 0);
    assert_int_equal(look(INCARNATION).entries, 0);
    assert_int_equal(hm_village_quarantined(&v.centre), 1);
    hm_pen_close(&other);
    end();
}

/* The header of hm_pen_seal(0, 2) before a body of the test's own, signed rightly. */
static struct hm_bytes with_body(struct hm_bytes sealed, struct hm_bytes body,
                                 uint8_t *out)
{
    struct hm_segment segment;
    struct hm_hash message;
    size_t len;

    CHECK_OK(hm_segment_open(sealed, &segment));
    memcpy(out, segment.header.data, segment.header.len);
    len = segment.header.len;
    memcpy(out + len, body.data, body.len);
    len += body.len;
    memcpy(out + len, segment.chain.bytes, HM_HASH_BYTES);
    len += HM_HASH_BYTES;
    message = hm_hash_of(segment.header, hm_hash_bytes(&segment.chain));
    CHECK_OK(crypto_sign_detached(out + len, NULL, message.bytes, HM_HASH_BYTES,
                                  laptop->node.secret_key));
    return hm_bytes_of(out, len + HM_SIGNATURE_BYTES);
}

/* A body that unpacks to far more than a segment holds costs neither memory nor the
 * log, even with a good signature. */
HM_TEST(a_bomb_is_kept_packed)
{
    static uint8_t zeros[8 * 1024 * 1024];
    static uint8_t packed[64 * 1024];
    static uint8_t out[HM_SEGMENT_BYTES_MAX];
    size_t len = ZSTD_compress(packed, sizeof packed, zeros, sizeof zeros, 9);
    struct hm_bytes good;
    struct taken taken;

    begin();
    assert_false(ZSTD_isError(len));
    (void)hm_pen_new(&pen, "Lan");
    good = hm_pen_seal(&pen, 0, 2);
    taken = take(with_body(good, hm_bytes_of(packed, len), out));
    assert_int_equal(taken.entries, 0);
    assert_int_equal(last_reason(), HM_TOOBIG);
    assert_int_equal(look(INCARNATION).entries, 0);
    assert_int_equal(take(good).entries, 2);
    end();
}

/* A dictionary that has not come yet is nobody's fault: nothing moves, nothing is
 * blamed, and the same bytes work once it is here. */
HM_TEST(an_unknown_dictionary_waits)
{
    struct hm_store *s;
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    uint8_t content[400];
    struct hm_bytes bytes;
    uint64_t id = 0;

    begin();
    s = v.centre.node.store;
    for (size_t i = 0; i < sizeof content; i++) {
        content[i] = (uint8_t)(i * 7);
    }
    (void)hm_pen_new(&pen, "Lan");
    pen.seal.dictionary =
        (struct hm_dictionary){hm_hash_u64(hm_bytes_of(content, sizeof content)),
                               hm_bytes_of(content, sizeof content)};
    bytes = hm_pen_seal(&pen, 0, 2);
    assert_int_equal(take(bytes).entries, 0);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_blobs_put(s, hm_bytes_of(content, sizeof content), hash));
    CHECK_OK(hm_blobs_add_dictionary(s, hash, &id));
    CHECK_OK(hm_store_end(s, HM_OK));
    assert_int_equal(take(bytes).entries, 2);
    end();
}

/* A form whose table is on its way to this node: nothing of the segment counts until it
 * is here, not even the change before it. */
HM_TEST(a_form_that_is_on_its_way_waits)
{
    static const char not_here[] = "f";
    struct hm_store *s;
    struct hm_form_item form;
    struct hm_form_item late = {
        .form_id = "late", .version = "1", .title = "Late", .fill = HM_FORM_FILL_ONCE};
    struct hm_household_id id;
    struct scene before;
    struct scene after;
    struct taken taken;
    struct hm_arena arena;
    struct hm_build b;
    uint32_t number;

    begin();
    s = v.centre.node.store;
    hm_arena_init(&arena, 1024 * 1024);
    hm_hash_content(hm_bytes_str(not_here), late.table);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_forms_put(s, &late, &number));
    CHECK_OK(hm_store_end(s, HM_OK));
    id = hm_pen_new(&pen, "Lan");
    hm_build_begin(&b, &pen.arena, hm_pen_next(&pen), id, v.hamlets[0]);
    b.change.user = HM_USER_OPERATOR;
    b.change.rank = 4;
    hm_build_row(&b, (struct hm_row_key){.form = number});
    hm_build_text(&b, v.phone, "1");
    hm_pen_raw(&pen, hm_build_bytes(&b));
    before = look(INCARNATION);
    taken = take(hm_pen_seal(&pen, 0, 3));
    after = look(INCARNATION);
    assert_same(&after, &before);
    assert_int_equal(taken.incarnation, INCARNATION);
    assert_int_equal(taken.entries, 0);
    assert_int_equal(taken.changes, 0);
    assert_int_equal(hm_village_quarantined(&v.centre), 0);

    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_forms_get(s, v.form, &arena, &form));
    memcpy(late.table, form.table, sizeof late.table);
    late.version = "2";
    CHECK_OK(hm_forms_put(s, &late, &number));
    CHECK_OK(hm_store_end(s, HM_OK));
    taken = take(hm_pen_seal(&pen, 0, 3));
    assert_int_equal(taken.entries, 3);
    assert_int_equal(taken.changes, 2);
    hm_arena_deinit(&arena);
    end();
}

/* One household that grows over what a state holds: that change is refused by itself,
 * and the laptop's other households still get through. */
HM_TEST(a_household_that_is_too_big_blocks_nothing)
{
    static char text[4001];
    struct hm_household_id id;
    struct hm_household_id next;
    struct taken taken = {0};
    size_t sent = 0;

    begin();
    memset(text, 'x', 4000);
    id = hm_pen_new(&pen, "Lan");
    for (int i = 0; i < 300; i++) { /* conflicting notes: each of them stays */
        struct hm_build b;

        hm_build_begin(&b, &pen.arena, hm_pen_next(&pen), id, v.hamlets[0]);
        b.change.user = HM_USER_OPERATOR;
        b.change.rank = 4;
        hm_build_row(&b, (struct hm_row_key){.form = v.form});
        text[0] = (char)('a' + i % 26);
        text[1] = (char)('a' + i / 26);
        hm_build_text(&b, v.note, text);
        hm_build_replaces(&b, NULL, 0);
        hm_pen_raw(&pen, hm_build_bytes(&b));
    }
    next = hm_pen_new(&pen, "Minh");
    while (sent < pen.count) {
        size_t count = pen.count - sent < 15 ? pen.count - sent : 15;

        taken = take(hm_pen_seal(&pen, sent, count));
        sent += count;
    }
    assert_int_equal(taken.entries, pen.count);
    assert_true(hm_village_quarantined(&v.centre) > 0);
    assert_int_equal(last_reason(), HM_TOOBIG);
    assert_string_equal(hm_village_shows(&v, &v.centre, &next, v.name), "Minh");
    end();
}

/* What is sent again tells again what was refused: the first answer may have been
 * lost. */
HM_TEST(a_refusal_is_told_as_often_as_it_is_sent)
{
    struct hm_household_id id;

    begin();
    id = hm_pen_new(&pen, "Lan");
    hm_pen_write(&pen, &id, 999, "no such field");
    hm_pen_write(&pen, &id, v.phone, "1");
    for (int i = 0; i < 2; i++) {
        struct taken taken = take(hm_pen_seal(&pen, 0, 4));

        assert_int_equal(taken.notices, 1);
        assert_int_equal(taken.reason, HM_NOTFOUND);
        assert_int_equal(taken.changes, i == 0 ? 3 : 0);
    }
    assert_int_equal(take(hm_pen_seal(&pen, 1, 1)).notices, 0);
    hm_pen_write(&pen, &id, v.phone, "2");
    assert_int_equal(take(hm_pen_seal(&pen, 2, 3)).notices, 1);
    assert_int_equal(hm_village_quarantined(&v.centre), 1);
    end();
}
