#include <stdio.h>
#include <string.h>

#include "protocol/message.h"
#include "storage/cursors.h"
#include "storage/feeds.h"
#include "storage/log.h"
#include "storage/people.h"
#include "tests/fault/loop.h"
#include "tests/support/child.h"
#include "tests/support/village.h"

enum { CHUNK_BYTES = 64 * 1024 };

static struct hm_village v;

static void build(struct hm_village_node *n, size_t chunk, struct hm_buf *buf)
{
    struct hm_upload upload;

    hm_buf_init(buf, HM_REQUEST_BYTES_MAX);
    CHECK_OK(hm_upload_build(n->node.store, chunk, buf, &upload));
}

/* The reply is the caller's to free. */
static struct hm_serve_reply serve(uint64_t device, struct hm_bytes body)
{
    struct hm_serve_request request = {.device = device, .body = body};
    struct hm_serve_reply reply;

    CHECK_OK(hm_serve_batch(v.centre.node.store, v.centre.forms, &request, &reply, 1));
    assert_true((reply.err == HM_OK) == (reply.errmsg[0] == 0));
    return reply;
}

static int refused_with(uint64_t device, struct hm_bytes body)
{
    struct hm_serve_reply reply = serve(device, body);
    int err = reply.err;

    hm_serve_reply_deinit(&reply);
    return err;
}

static int64_t count_at_centre(const char *sql)
{
    int64_t out = 0;

    CHECK_OK(hm_db_query_int(hm_store_db(v.centre.node.store), sql, &out));
    return out;
}

static void run_sql(struct hm_village_node *n, const char *sql)
{
    struct hm_stmt *stmt;

    CHECK_OK(hm_store_begin(n->node.store));
    CHECK_OK(hm_db_stmt(hm_store_db(n->node.store), sql, &stmt));
    CHECK_OK(hm_stmt_run(stmt));
    CHECK_OK(hm_store_end(n->node.store, HM_OK));
}

/* Something that does not compress well; static memory. */
static const char *some_name(uint64_t seed)
{
    static char name[64];

    seed = (seed + 1) * 0x9e3779b97f4a7c15U;
    for (size_t i = 0; i < sizeof name - 1; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        name[i] = (char)('a' + (seed >> 40) % 26);
    }
    return name;
}

static void hello(struct hm_buf *buf, uint64_t device, uint64_t version)
{
    struct hm_hello hello = {.version_min = version,
                             .version_max = version,
                             .device = device,
                             .reply_bytes = CHUNK_BYTES,
                             .program = hm_bytes_str("test")};

    hm_hello_write(buf, &hello);
    CHECK_OK(buf->err);
}

/* A request says first who it is of; the token must say the same. */
HM_TEST(who_asks_is_checked)
{
    struct hm_cursor cursor = {.scope = 0};
    struct hm_village_node *a;
    struct hm_village_node *b;
    struct hm_buf buf;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 1);
    hm_buf_init(&buf, 4096);
    hm_cursor_write(&buf, &cursor);
    assert_int_equal(refused_with(a->node.device, hm_buf_bytes(&buf)), HM_MALFORMED);
    hm_buf_deinit(&buf);
    (void)hm_village_new(&v, a, 0, "Lan", 0);
    build(a, CHUNK_BYTES, &buf);
    assert_int_equal(refused_with(b->node.device, hm_buf_bytes(&buf)), HM_DENIED);
    assert_int_equal(refused_with(a->node.device + 1, hm_buf_bytes(&buf)), HM_DENIED);
    assert_int_equal(hm_village_households(&v.centre), 0);
    assert_int_equal(refused_with(a->node.device, hm_buf_bytes(&buf)), HM_OK);
    assert_int_equal(hm_village_households(&v.centre), 1);
    hm_buf_deinit(&buf);
    hm_village_close(&v);
}

/* Another protocol: the laptop hears what to do, and its store stays as it is. */
HM_TEST(another_version_is_told)
{
    struct hm_village_node *a;
    struct hm_serve_reply reply;
    struct hm_adopt out;
    struct hm_buf buf;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    hm_buf_init(&buf, 4096);
    hello(&buf, a->node.device, HM_PROTOCOL_VERSION + 1);
    reply = serve(a->node.device, hm_buf_bytes(&buf));
    assert_int_equal(reply.err, HM_OK);
    CHECK_OK(
        hm_adopt_reply(a->node.store, a->forms, hm_buf_bytes(&reply.body), 0, 0, &out));
    assert_true(out.version_refused);
    assert_true(strlen(out.text) > 0);
    assert_false(out.more);
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
    hm_village_close(&v);
}

/* What is no request stores nothing and says so in a line. */
HM_TEST(garbage_is_refused)
{
    static const char page[] = "<html><body>Please sign in to Wi-Fi</body></html>";
    struct hm_village_node *a;
    uint64_t random = 1;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    assert_int_not_equal(refused_with(a->node.device, hm_bytes_str(page)), HM_OK);
    assert_int_not_equal(refused_with(a->node.device, hm_bytes_of(NULL, 0)), HM_OK);
    for (int i = 0; i < 200; i++) {
        uint8_t bytes[200];

        for (size_t j = 0; j < sizeof bytes; j++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            bytes[j] = (uint8_t)(random >> 56);
        }
        assert_int_not_equal(
            refused_with(a->node.device, hm_bytes_of(bytes, sizeof bytes)), HM_OK);
    }
    assert_int_equal(count_at_centre("SELECT COUNT(*) FROM quarantine"), 0);
    hm_village_close(&v);
}

/* A request that breaks off anywhere stores whole segments or nothing, and the whole
 * request doubles nothing afterwards. */
HM_TEST(a_cut_request_doubles_nothing)
{
    struct hm_village_node *a;
    struct hm_save_result h;
    struct hm_buf buf;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    h = hm_village_new(&v, a, 0, "Lan", 2);
    (void)hm_village_put(&v, a, &h.household, v.phone, "1");
    build(a, CHUNK_BYTES, &buf);
    for (size_t len = 0; len < buf.len; len++) {
        (void)refused_with(a->node.device, hm_bytes_of(buf.data, len));
    }
    assert_int_equal(refused_with(a->node.device, hm_buf_bytes(&buf)), HM_OK);
    assert_int_equal(hm_village_households(&v.centre), 1);
    assert_int_equal(count_at_centre("SELECT COUNT(*) FROM entry WHERE n > 0"), 2);
    assert_int_equal(count_at_centre("SELECT COUNT(*) FROM quarantine"), 0);
    hm_buf_deinit(&buf);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* A reply that breaks off or is changed at any byte changes nothing at the laptop, or
 * all that it says. */
HM_TEST(a_cut_reply_is_adopted_whole_or_not)
{
    struct hm_village_node *a;
    struct hm_serve_reply reply;
    struct hm_adopt out;
    struct hm_buf buf;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    for (int i = 0; i < 3; i++) {
        (void)hm_village_new(&v, &v.centre, 0, "Lan", 1);
    }
    build(a, CHUNK_BYTES, &buf);
    reply = serve(a->node.device, hm_buf_bytes(&buf));
    assert_int_equal(reply.err, HM_OK);
    for (size_t len = 0; len < reply.body.len; len++) {
        int err = hm_adopt_reply(a->node.store, a->forms,
                                 hm_bytes_of(reply.body.data, len), 0, 0, &out);
        uint64_t households = hm_village_households(a);

        /* Cut between frames it is a shorter reply. */
        assert_true(households == 0 || (households == 3 && err == HM_OK));
        if (households == 3) {
            break;
        }
    }
    CHECK_OK(
        hm_adopt_reply(a->node.store, a->forms, hm_buf_bytes(&reply.body), 0, 0, &out));
    assert_int_equal(hm_village_households(a), 3);
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* Ten laptops in one group commit, one of them broken: nine have their receipts. */
HM_TEST(one_broken_request_of_ten)
{
    enum { LAPTOPS = 10, BROKEN = 4 };
    struct hm_serve_request requests[LAPTOPS];
    struct hm_serve_reply replies[LAPTOPS];
    struct hm_buf bufs[LAPTOPS];
    struct hm_save_result made[LAPTOPS];

    hm_village_open(&v);
    for (size_t i = 0; i < LAPTOPS; i++) {
        char name[8];
        struct hm_village_node *n;

        (void)snprintf(name, sizeof name, "l%zu", i);
        n = hm_village_add(&v, name, 1);
        made[i] = hm_village_new(&v, n, 0, name, 1);
        build(n, CHUNK_BYTES, &bufs[i]);
        requests[i] = (struct hm_serve_request){.device = n->node.device,
                                                .body = hm_buf_bytes(&bufs[i])};
    }
    requests[BROKEN].body = hm_bytes_str("<html>");
    CHECK_OK(hm_serve_batch(v.centre.node.store, v.centre.forms, requests, replies,
                            LAPTOPS));
    assert_int_equal(hm_village_households(&v.centre), LAPTOPS - 1);
    for (size_t i = 0; i < LAPTOPS; i++) {
        struct hm_adopt out;

        assert_int_equal(replies[i].err == HM_OK, i != BROKEN);
        assert_int_equal(replies[i].changes, i != BROKEN);
        if (i != BROKEN) {
            CHECK_OK(hm_adopt_reply(v.laptops[i].node.store, v.laptops[i].forms,
                                    hm_buf_bytes(&replies[i].body), 0, 0, &out));
            assert_int_equal(out.receipted, 1);
            assert_int_equal(out.households, LAPTOPS - 2);
        }
        hm_serve_reply_deinit(&replies[i]);
        hm_buf_deinit(&bufs[i]);
    }
    hm_village_settle(&v);
    assert_string_equal(
        hm_village_shows(&v, &v.laptops[0], &made[BROKEN].household, v.name), "l4");
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* What a laptop wrote does not come back to it; what somebody else wrote into the same
 * household in between does. */
HM_TEST(own_changes_do_not_come_back)
{
    struct hm_village_node *a;
    struct hm_village_node *b;
    struct hm_save_result h[30];
    struct hm_adopt out;
    uint64_t quiet;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 1);
    (void)hm_village_exchange(&v, a, false, NULL);
    quiet = v.down_bytes;
    for (size_t i = 0; i < 30; i++) {
        h[i] = hm_village_new(&v, a, 0, "Nguyễn Thị Lan", 4);
    }
    (void)hm_village_exchange(&v, a, false, &out);
    assert_int_equal(out.receipted, 30);
    assert_int_equal(out.households, 0);
    assert_true(v.down_bytes <= quiet + 40);
    (void)hm_village_sync(&v, b);
    assert_int_equal(hm_village_households(b), 30);

    (void)hm_village_put(&v, b, &h[3].household, v.note, "of b");
    (void)hm_village_sync(&v, b);
    (void)hm_village_put(&v, a, &h[3].household, v.phone, "of a");
    (void)hm_village_put(&v, a, &h[4].household, v.phone, "of a");
    (void)hm_village_exchange(&v, a, false, &out);
    assert_int_equal(out.households, 1);
    assert_string_equal(hm_village_shows(&v, a, &h[3].household, v.note), "of b");
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* A refused change is no echo: its household comes down in the same reply, without a
 * repair by hashes. */
HM_TEST(a_refusal_brings_the_state_back_at_once)
{
    struct hm_village_node *a;
    struct hm_save_result h;
    struct hm_adopt out;

    hm_village_open(&v);
    h = hm_village_new(&v, &v.centre, 0, "Lan", 0);
    a = hm_village_add(&v, "a", 3);
    (void)hm_village_put(&v, a, &h.household, v.phone, "1");
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_store_end(v.centre.node.store,
                          hm_people_put_role(v.centre.node.store,
                                             &(struct hm_role){.code = "enumerator",
                                                               .rank = 4,
                                                               .title_vi = "",
                                                               .title_en = ""},
                                             &(uint32_t){0})));
    (void)hm_village_exchange(&v, a, false, &out);
    assert_int_equal(out.notices, 1);
    assert_int_equal(out.households, 1);
    assert_string_equal(hm_village_shows(&v, a, &h.household, v.phone), "");
    hm_village_close(&v);
}

/* A large hamlet on a thin link comes in pieces, each told to be followed by more, and
 * a restart in the middle goes on where it was. */
HM_TEST(a_large_feed_comes_in_pieces)
{
    enum { HOUSEHOLDS = 300, THIN = 2048 };
    struct hm_village_node *a;
    bool more = true;
    unsigned exchanges = 0;
    uint64_t largest = 0;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    for (int i = 0; i < HOUSEHOLDS; i++) {
        (void)hm_village_new(&v, &v.centre, 0, some_name((uint64_t)i), 1);
    }
    while (more && exchanges < 100) {
        struct hm_serve_reply reply;
        struct hm_adopt out;
        struct hm_buf buf;

        build(a, THIN, &buf);
        reply = serve(a->node.device, hm_buf_bytes(&buf));
        CHECK_OK(hm_adopt_reply(a->node.store, a->forms, hm_buf_bytes(&reply.body), 0,
                                0, &out));
        more = out.more;
        if (reply.body.len > largest) {
            largest = reply.body.len;
        }
        hm_serve_reply_deinit(&reply);
        hm_buf_deinit(&buf);
        if (++exchanges == 2) {
            assert_true(more);
            assert_true(hm_village_households(a) < HOUSEHOLDS);
            hm_village_restart(a);
        }
    }
    assert_true(exchanges > 4);
    assert_true(largest < 4 * THIN);
    assert_int_equal(hm_village_households(a), HOUSEHOLDS);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* Own changes go up in pieces too, and every one gets there. */
HM_TEST(a_large_upload_goes_in_pieces)
{
    enum { THIN = 2048 };
    struct hm_village_node *a;
    bool more = true;
    unsigned exchanges = 0;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    for (int i = 0; i < 300; i++) {
        (void)hm_village_new(&v, a, 0, some_name((uint64_t)i), 4);
    }
    for (; more && exchanges < 100; exchanges++) {
        struct hm_serve_reply reply;
        struct hm_upload upload;
        struct hm_adopt out;
        struct hm_buf buf;

        hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
        CHECK_OK(hm_upload_build(a->node.store, THIN, &buf, &upload));
        assert_true(upload.segment_bytes < 3 * THIN);
        reply = serve(a->node.device, hm_buf_bytes(&buf));
        assert_int_equal(reply.changes, upload.changes);
        CHECK_OK(hm_adopt_reply(a->node.store, a->forms, hm_buf_bytes(&reply.body), 0,
                                0, &out));
        assert_int_equal(out.receipted, upload.changes);
        more = upload.more || out.more;
        hm_serve_reply_deinit(&reply);
        hm_buf_deinit(&buf);
    }
    assert_true(exchanges > 3);
    assert_int_equal(hm_village_households(&v.centre), 300);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* Two hundred households at the centre and laptop a, and what a full download costs. */
static struct hm_village_node *full_village(struct hm_save_result *last, uint64_t *full)
{
    struct hm_village_node *a;

    hm_village_open(&v);
    for (int i = 0; i < 200; i++) {
        *last = hm_village_new(&v, &v.centre, 0, some_name((uint64_t)i), 4);
    }
    a = hm_village_add(&v, "a", 0);
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(
        hm_devices_reassign(v.centre.node.store, a->node.device, &v.hamlets[0], 1));
    CHECK_OK(hm_store_end(v.centre.node.store, HM_OK));
    *full = 0;
    for (bool more = true; more;) {
        more = hm_village_exchange(&v, a, false, NULL);
        *full += v.down_bytes;
    }
    assert_int_equal(hm_village_households(a), 200);
    return a;
}

/* Exchanges until nothing moves; what came down. */
static uint64_t download(struct hm_village_node *n)
{
    uint64_t bytes = 0;

    for (bool more = true; more;) {
        more = hm_village_exchange(&v, n, false, NULL);
        bytes += v.down_bytes;
    }
    return bytes;
}

/* A position of a history that the centre does not have: the digest tells, hashes
 * repair, and nobody downloads a hamlet again. */
HM_TEST(a_wrong_salt_costs_no_download)
{
    struct hm_save_result h;
    uint64_t full;
    struct hm_village_node *a = full_village(&h, &full);

    (void)hm_village_put(&v, &v.centre, &h.household, v.phone, "1");
    run_sql(a, "UPDATE cursor_at SET salt = salt + 1 WHERE scope > 0");
    assert_true(download(a) < full / 4);
    assert_string_equal(hm_village_shows(&v, a, &h.household, v.phone), "1");
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

HM_TEST(another_timeline_costs_no_download)
{
    struct hm_save_result h;
    int64_t offers = 0;
    uint64_t full;
    struct hm_village_node *a = full_village(&h, &full);

    (void)hm_village_put(&v, &v.centre, &h.household, v.phone, "1");
    run_sql(a, "UPDATE cursor_at SET timeline = timeline + 1");
    (void)hm_village_exchange(&v, a, false, NULL);
    CHECK_OK(hm_store_get_number(a->node.store, HM_META_OFFER_LOGS, &offers));
    assert_int_equal(offers, 1); /* it may have lost our logs with its history */
    assert_true(download(a) < full / 4);
    assert_string_equal(hm_village_shows(&v, a, &h.household, v.phone), "1");
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    char block[8192];
    size_t len;

    assert_non_null(in);
    assert_non_null(out);
    while ((len = fread(block, 1, sizeof block, in)) > 0) {
        assert_int_equal(fwrite(block, 1, len, out), len);
    }
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

/* With the centre's store closed, the last connection leaves one file. */
static void copy_centre(bool back)
{
    char kept[600];

    hm_forms_close(v.centre.forms);
    hm_test_node_close(&v.centre.node);
    (void)snprintf(kept, sizeof kept, "%s.kept", v.centre.node.path);
    copy_file(back ? kept : v.centre.node.path, back ? v.centre.node.path : kept);
    hm_test_node_restart(&v.centre.node);
    CHECK_OK(hm_forms_open(v.centre.node.store, &v.centre.forms));
}

/* The centre's disk dies and last week's copy takes its place: every laptop offers its
 * log again, and what was entered since is there again. new_timeline: the one who
 * restored said so. */
static void restore(bool new_timeline)
{
    struct hm_village_node *a;
    struct hm_village_node *b;
    struct hm_save_result old;
    struct hm_save_result fresh;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 3);
    old = hm_village_new(&v, a, 0, "Lan", 2);
    hm_village_settle(&v);
    copy_centre(false);

    (void)hm_village_put(&v, a, &old.household, v.phone, "1");
    (void)hm_village_sync(&v, a);
    (void)hm_village_sync(&v, b);
    (void)hm_village_put(&v, b, &old.household, v.note, "seen a's phone");
    fresh = hm_village_new(&v, b, 1, "Minh", 3);
    hm_village_settle(&v);

    copy_centre(true);
    assert_int_equal(hm_village_households(&v.centre), 1);
    if (new_timeline) {
        run_sql(&v.centre,
                "UPDATE meta SET number = number + 1 WHERE name = 'timeline'");
    }
    /* The restored centre goes on with another history. */
    (void)hm_village_put(&v, &v.centre, &old.household, v.name, "Lan Anh");
    for (int i = 0; i < 4; i++) { /* lost values come in the order of the visits */
        (void)hm_village_sync(&v, a);
        (void)hm_village_sync(&v, b);
    }
    hm_village_settle(&v);
    assert_int_equal(hm_village_households(&v.centre), 2);
    assert_string_equal(hm_village_shows(&v, &v.centre, &old.household, v.phone), "1");
    assert_string_equal(hm_village_shows(&v, &v.centre, &old.household, v.note),
                        "seen a's phone");
    assert_string_equal(hm_village_shows(&v, a, &old.household, v.name), "Lan Anh");
    assert_string_equal(hm_village_shows(&v, &v.centre, &fresh.household, v.name),
                        "Minh");
    assert_int_equal(hm_village_conflicts(&v.centre), 0);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

HM_TEST(a_restored_centre_gets_everything_again)
{
    restore(true);
}

HM_TEST(a_centre_restored_in_silence_gets_everything_again)
{
    restore(false);
}

static void assign(struct hm_village_node *n, const uint32_t *hamlets, size_t count)
{
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_devices_reassign(v.centre.node.store, n->node.device, hamlets, count));
    CHECK_OK(hm_store_end(v.centre.node.store, HM_OK));
    (void)hm_village_sync(&v, n);
}

/* A hamlet that is assigned later arrives whole, also when it was held before. */
HM_TEST(a_hamlet_comes_and_goes)
{
    struct hm_village_node *a;
    struct hm_save_result h = {0};

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    for (int i = 0; i < 20; i++) {
        h = hm_village_new(&v, &v.centre, 1, "Lan", 2);
    }
    (void)hm_village_new(&v, &v.centre, 0, "Minh", 2);
    (void)hm_village_sync(&v, a);
    assert_int_equal(hm_village_households(a), 1);
    assign(a, v.hamlets, 2);
    assert_int_equal(hm_village_households(a), 21);
    hm_village_check_equal(&v);
    assign(a, v.hamlets, 1);
    hm_village_check_equal(&v);
    (void)hm_village_put(&v, &v.centre, &h.household, v.phone, "1");
    assign(a, v.hamlets, 2);
    assert_int_equal(hm_village_households(a), 21);
    assert_string_equal(hm_village_shows(&v, a, &h.household, v.phone), "1");
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* A hamlet that the laptop may not hold is not told, however nicely it asks. */
HM_TEST(nobody_reads_another_hamlet)
{
    struct hm_village_node *a;
    struct hm_serve_reply reply;
    struct hm_reader r = {0};
    struct hm_frame frame;
    struct hm_buf buf;

    hm_village_open(&v);
    a = hm_village_add(&v, "a", 1);
    (void)hm_village_new(&v, &v.centre, 1, "Lan", 2);
    hm_buf_init(&buf, 4096);
    hello(&buf, a->node.device, HM_PROTOCOL_VERSION);
    hm_cursor_write(&buf, &(struct hm_cursor){.scope = v.hamlets[1]});
    hm_hash_list_write(&buf, HM_FRAME_HASHES,
                       &(struct hm_hash_list){.scope = v.hamlets[1]});
    reply = serve(a->node.device, hm_buf_bytes(&buf));
    assert_int_equal(reply.err, HM_OK);
    r.left = hm_buf_bytes(&reply.body);
    while (hm_frame_read(&r, &frame)) {
        assert_int_equal(frame.type, HM_FRAME_TIME);
    }
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
    hm_village_close(&v);
}

/* An evening at the hub: ten laptops at once with thirty changes each, ten times;
 * printed for people, with a bound that only a fault of its order would miss. */
HM_TEST(an_evening_is_served_in_seconds)
{
    enum { LAPTOPS = 10, CHANGES = 30 };
    int rounds = (int)hm_test_rounds(1, 10, 10);
    struct hm_serve_request requests[LAPTOPS];
    struct hm_serve_reply replies[LAPTOPS];
    struct hm_buf bufs[LAPTOPS];
    double took = 0;

    hm_village_open(&v);
    for (size_t i = 0; i < LAPTOPS; i++) {
        char name[8];

        (void)snprintf(name, sizeof name, "l%zu", i);
        (void)hm_village_add(&v, name, 7);
    }
    for (uint64_t round = 0; round < (uint64_t)rounds; round++) {
        double start;

        for (size_t i = 0; i < LAPTOPS; i++) {
            struct hm_village_node *n = &v.laptops[i];

            for (uint64_t j = 0; j < CHANGES; j++) {
                (void)hm_village_new(&v, n, (unsigned)(i % 3),
                                     some_name(round * 1000 + i * 100 + j), 4);
            }
            build(n, CHUNK_BYTES, &bufs[i]);
            requests[i] = (struct hm_serve_request){.device = n->node.device,
                                                    .body = hm_buf_bytes(&bufs[i])};
        }
        start = hm_child_clock();
        CHECK_OK(hm_serve_batch(v.centre.node.store, v.centre.forms, requests, replies,
                                LAPTOPS));
        took += hm_child_clock() - start;
        for (size_t i = 0; i < LAPTOPS; i++) {
            struct hm_adopt out;

            assert_int_equal(replies[i].changes, CHANGES);
            CHECK_OK(hm_adopt_reply(v.laptops[i].node.store, v.laptops[i].forms,
                                    hm_buf_bytes(&replies[i].body), 0, 0, &out));
            hm_serve_reply_deinit(&replies[i]);
            hm_buf_deinit(&bufs[i]);
        }
    }
    print_message("%d changes in %.2f s: %.0f/s\n", LAPTOPS * CHANGES * rounds, took,
                  LAPTOPS * CHANGES * rounds / took);
    assert_int_equal(hm_village_households(&v.centre), LAPTOPS * CHANGES * rounds);
    assert_true(took < 30);
    hm_village_close(&v);
}
