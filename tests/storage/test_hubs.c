/* Hubs in a row: what goes up through them, and what comes back. */
#include <stdio.h>
#include <string.h>

#include "storage/log.h"
#include "storage/people.h"
#include "storage/upstreams.h"
#include "tests/support/village.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

static struct hm_village v;
static struct hm_village_node *upper;
static struct hm_village_node *lower;
static struct hm_village_node *a;

/* laptop - lower - upper - centre */
static void open_chain(void)
{
    hm_village_open(&v);
    upper = hm_village_add_hub(&v, "upper");
    lower = hm_village_add_hub(&v, "lower");
    a = hm_village_add(&v, "a", 3);
    (void)hm_village_sync(&v, upper);
    (void)hm_village_sync(&v, lower);
    hm_village_join(&v, lower, upper);
    (void)hm_village_sync(&v, lower);
    hm_village_join(&v, a, lower);
    (void)hm_village_sync(&v, a);
}

static struct hm_unsent unsent_of(struct hm_village_node *n)
{
    struct hm_unsent out;

    CHECK_OK(hm_store_begin_read(n->node.store));
    CHECK_OK(hm_store_end(n->node.store,
                          hm_log_unsent(n->node.store,
                                        n->parent == NULL ? 0 : n->parent->node.device,
                                        &out)));
    return out;
}

static uint64_t held(struct hm_village_node *n, uint64_t incarnation)
{
    struct hm_log log = {0};
    int err;

    CHECK_OK(hm_store_begin_read(n->node.store));
    err = hm_log_get(n->node.store, incarnation, &log);
    CHECK_OK(hm_store_end(n->node.store, err == HM_NOTFOUND ? HM_OK : err));
    return log.entries;
}

/* The segments of a log at both nodes, byte for byte. */
static void check_same_segments(struct hm_village_node *x, struct hm_village_node *y,
                                uint64_t incarnation)
{
    uint64_t entries = held(x, incarnation);
    struct hm_arena arena;

    assert_int_equal(held(y, incarnation), entries);
    assert_true(entries > 1);
    hm_arena_init(&arena, ARENA_BYTES);
    for (uint64_t n = 0; n < entries;) {
        struct hm_stored_segment here;
        struct hm_stored_segment there;

        CHECK_OK(hm_log_segment_with(x->node.store, incarnation, n, &arena, &here));
        CHECK_OK(hm_log_segment_with(y->node.store, incarnation, n, &arena, &there));
        assert_true(hm_bytes_equal(here.bytes, there.bytes));
        n = here.last_n + 1;
    }
    hm_arena_deinit(&arena);
}

HM_TEST(a_change_goes_up_through_two_hubs)
{
    struct hm_save_result made;

    open_chain();
    made = hm_village_new(&v, a, 0, "Lan", 2);
    (void)hm_village_put(&v, a, &made.household, v.phone, "0905123456");
    assert_int_equal(unsent_of(a).changes, 2);
    (void)hm_village_sync(&v, a);
    assert_int_equal(unsent_of(a).changes, 0);
    assert_int_equal(unsent_of(lower).changes, 2);
    assert_true(unsent_of(lower).bytes > 0 && unsent_of(lower).oldest_utc_ms > 0);
    assert_int_equal(unsent_of(a).at_hub, 2);
    assert_int_equal(unsent_of(a).at_centre, 0);

    (void)hm_village_sync(&v, lower);
    assert_int_equal(unsent_of(lower).changes, 0);
    assert_int_equal(unsent_of(upper).changes, 2);
    assert_int_equal(held(&v.centre, made.dot.incarnation), 0);

    (void)hm_village_sync(&v, upper);
    assert_int_equal(unsent_of(upper).changes, 0);
    assert_string_equal(hm_village_shows(&v, &v.centre, &made.household, v.phone),
                        "0905123456");
    check_same_segments(a, lower, made.dot.incarnation);
    check_same_segments(a, upper, made.dot.incarnation);
    check_same_segments(a, &v.centre, made.dot.incarnation);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* A laptop that sends nothing more hears that its work came to the centre. */
HM_TEST(the_word_of_the_centre_comes_back)
{
    struct hm_save_result made;

    open_chain();
    made = hm_village_new(&v, a, 0, "Lan", 0);
    (void)hm_village_sync(&v, a);
    (void)hm_village_sync(&v, lower);
    (void)hm_village_sync(&v, upper);
    (void)hm_village_sync(&v, a);
    assert_int_equal(unsent_of(a).at_centre, 0); /* lower has not heard it yet */
    (void)hm_village_sync(&v, lower);
    assert_int_equal(unsent_of(a).at_centre, 0);
    (void)hm_village_sync(&v, a);
    assert_int_equal(unsent_of(a).at_hub, 1);
    assert_int_equal(unsent_of(a).at_centre, 1);

    /* And of a later change, which the hubs have not brought on. */
    (void)hm_village_put(&v, a, &made.household, v.phone, "0905");
    (void)hm_village_sync(&v, a);
    assert_int_equal(unsent_of(a).at_hub, 2);
    assert_int_equal(unsent_of(a).at_centre, 1);
    hm_village_settle(&v);
    hm_village_settle(&v);
    assert_int_equal(unsent_of(a).at_centre, 2);
    hm_village_close(&v);
}

/* Hub, centre, hub: each is sent what it lacks by its own word, nothing is lost and
 * nothing is there twice. */
HM_TEST(a_laptop_alternates_between_parents)
{
    struct hm_save_result made;
    struct hm_save_result later;

    open_chain();
    made = hm_village_new(&v, a, 0, "Lan", 0);
    (void)hm_village_sync(&v, a);

    hm_village_join(&v, a, &v.centre);
    assert_int_equal(unsent_of(a).changes, 1); /* by the centre's word */
    later = hm_village_put(&v, a, &made.household, v.phone, "1");
    (void)hm_village_sync(&v, a);
    assert_int_equal(unsent_of(a).changes, 0);
    assert_int_equal(unsent_of(a).at_centre, 2);
    assert_int_equal(held(&v.centre, later.dot.incarnation), later.dot.n + 1);

    hm_village_join(&v, a, lower);
    assert_int_equal(unsent_of(a).changes, 1); /* by the hub's word */
    assert_int_equal(unsent_of(a).at_centre, 2);
    (void)hm_village_put(&v, a, &made.household, v.note, "2");
    (void)hm_village_sync(&v, a);
    assert_int_equal(held(lower, later.dot.incarnation), later.dot.n + 2);
    hm_village_settle(&v);
    hm_village_check_equal(&v);
    assert_int_equal(held(&v.centre, later.dot.incarnation), later.dot.n + 2);
    assert_string_equal(hm_village_shows(&v, &v.centre, &made.household, v.note), "2");
    hm_village_close(&v);
}

/* What another parent has brought to the centre is not sent there again: the parent is
 * asked first. */
HM_TEST(what_came_by_the_hub_is_not_sent_again)
{
    struct hm_upload upload;
    struct hm_buf buf;

    open_chain();
    hm_village_join(&v, a, &v.centre);
    (void)hm_village_new(&v, a, 0, "Lan", 3);
    (void)hm_village_sync(&v, a);
    hm_village_join(&v, a, lower);
    for (int i = 1; i < 20; i++) {
        (void)hm_village_new(&v, a, 0, "Lan", 3);
    }
    (void)hm_village_sync(&v, a);
    (void)hm_village_sync(&v, lower);
    (void)hm_village_sync(&v, upper);
    hm_village_join(&v, a, &v.centre);
    hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
    CHECK_OK(hm_upload_build(a->node.store, 64 * 1024, &buf, &upload));
    assert_int_equal(upload.changes, 0);
    assert_true(upload.more);
    hm_buf_deinit(&buf);
    (void)hm_village_exchange(&v, a, false, NULL);
    assert_int_equal(unsent_of(a).changes, 0);
    assert_int_equal(unsent_of(a).at_centre, 20);
    hm_village_close(&v);
}

/* One exchange over a thin link; how many changes went up. */
static uint64_t exchange_thinly(struct hm_village_node *n, bool *out_more)
{
    struct hm_village_node *parent = n->parent;
    struct hm_serve_request request = {.device = n->node.device};
    struct hm_serve_reply reply;
    struct hm_adopt adopt;
    struct hm_upload upload;
    struct hm_buf buf;

    hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
    CHECK_OK(hm_upload_build(n->node.store, 2048, &buf, &upload));
    request.body = hm_buf_bytes(&buf);
    CHECK_OK(hm_serve_batch(parent->node.store, parent->forms, &request, &reply, 1));
    CHECK_OK(hm_adopt_reply(n->node.store, n->forms, hm_buf_bytes(&reply.body), 0, 0,
                            &adopt));
    *out_more = upload.more || adopt.more;
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
    return upload.changes;
}

/* A hub with more logs than a request offers, and a parent that has them by another
 * way. */
HM_TEST(many_logs_are_offered_one_request_after_the_other)
{
    enum { LOGS = 100 };
    uint64_t sent = 0;
    bool more = true;

    open_chain();
    for (int i = 0; i < LOGS; i++) {
        (void)hm_village_new(&v, a, 0, "Lan", 0);
        hm_village_restart(a);
    }
    (void)hm_village_sync(&v, a);
    (void)hm_village_sync(&v, lower);
    (void)hm_village_sync(&v, upper);
    hm_village_join(&v, lower, &v.centre);
    assert_int_equal(unsent_of(lower).changes, LOGS);
    for (int i = 0; i < 20 && more; i++) {
        sent += exchange_thinly(lower, &more);
    }
    assert_false(more);
    assert_int_equal(sent, 0);
    assert_int_equal(unsent_of(lower).changes, 0);
    hm_village_close(&v);
}

/* The link up is thin, and one laptop has much: the other's few changes do not wait for
 * the end of it. */
HM_TEST(a_long_log_does_not_hold_up_a_short_one)
{
    struct hm_village_node *b;
    struct hm_save_result made;
    bool more = false;

    open_chain();
    b = hm_village_add(&v, "b", 1);
    (void)hm_village_sync(&v, upper);
    (void)hm_village_sync(&v, lower);
    hm_village_join(&v, b, lower);
    for (int i = 0; i < 60; i++) {
        (void)hm_village_new(&v, a, 0, "Lan", 3);
        (void)hm_village_sync(&v, a); /* a segment each */
    }
    made = hm_village_new(&v, b, 0, "Hoa", 0);
    (void)hm_village_sync(&v, b);
    assert_true(exchange_thinly(lower, &more) > 1);
    assert_true(more && unsent_of(lower).changes > 20);
    assert_int_equal(held(upper, made.dot.incarnation), made.dot.n + 1);
    hm_village_close(&v);
}

/* Refused at the hub or only at the centre: the log goes up whole, each parent judges,
 * and the author hears it. */
HM_TEST(a_refused_change_goes_up_and_its_notice_comes_down)
{
    struct hm_save_result made;
    struct hm_role role;
    struct hm_arena arena;
    uint32_t id;

    open_chain();
    made = hm_village_new(&v, a, 0, "Lan", 0);
    (void)hm_village_sync(&v, a);
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(v.centre.node.store));
    CHECK_OK(hm_people_find_role(v.centre.node.store, "enumerator", &arena, &role));
    role.rank--;
    CHECK_OK(hm_people_put_role(v.centre.node.store, &role, &id));
    CHECK_OK(hm_store_end(v.centre.node.store, HM_OK));
    hm_arena_deinit(&arena);
    (void)hm_village_sync(&v, lower);
    (void)hm_village_sync(&v, upper); /* the centre refuses what the hubs took */
    assert_int_equal(hm_village_quarantined(&v.centre), 1);
    assert_int_equal(held(&v.centre, made.dot.incarnation), made.dot.n + 1);
    assert_int_equal(hm_village_quarantined(upper), 1);
    hm_village_settle(&v);
    assert_int_equal(hm_village_quarantined(lower), 1);
    assert_int_equal(hm_village_quarantined(a), 1);
    assert_string_equal(hm_village_shows(&v, lower, &made.household, v.name), "");
    hm_village_close(&v);
}

/* A hub that begins another history, as after `restore`: its children ask what it has,
 * and no word of before about the centre stands. */
HM_TEST(a_hub_with_another_history_is_asked_anew)
{
    struct hm_save_result made;

    open_chain();
    made = hm_village_new(&v, a, 0, "Lan", 0);
    hm_village_settle(&v);
    hm_village_settle(&v);
    assert_int_equal(unsent_of(a).at_centre, 1);
    CHECK_OK(hm_store_begin(lower->node.store));
    CHECK_OK(
        hm_store_end(lower->node.store,
                     hm_store_set_number(lower->node.store, HM_META_TIMELINE, 0x7777)));
    (void)hm_village_exchange(&v, a, false, NULL);
    assert_int_equal(unsent_of(a).at_centre, 0);
    (void)hm_village_sync(&v, a);
    assert_int_equal(unsent_of(a).changes, 0);
    assert_int_equal(unsent_of(a).at_centre, 1);
    assert_int_equal(held(lower, made.dot.incarnation), made.dot.n + 1);
    hm_village_close(&v);
}

/* The centre is set back: the hubs bring it their logs again, and the laptops hear that
 * less is there until they have. */
HM_TEST(the_centre_is_set_back_and_the_hubs_fill_it)
{
    static const char *const tables[] = {"entry", "segment", "incarnation", "history"};

    open_chain();
    (void)hm_village_new(&v, a, 0, "Lan", 0);
    hm_village_settle(&v);
    hm_village_settle(&v);
    assert_int_equal(unsent_of(a).at_centre, 1);
    CHECK_OK(hm_store_begin(v.centre.node.store));
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct hm_stmt *stmt;
        char sql[64];

        (void)snprintf(sql, sizeof sql, "DELETE FROM %s", tables[i]);
        CHECK_OK(hm_db_stmt(hm_store_db(v.centre.node.store), sql, &stmt));
        CHECK_OK(hm_stmt_run(stmt));
    }
    CHECK_OK(hm_store_end(
        v.centre.node.store,
        hm_store_set_number(v.centre.node.store, HM_META_TIMELINE, 0x7777)));
    (void)hm_village_exchange(&v, upper, false, NULL);
    (void)hm_village_exchange(&v, lower, false, NULL);
    (void)hm_village_exchange(&v, a, false, NULL);
    assert_int_equal(unsent_of(a).at_hub, 1);
    assert_int_equal(unsent_of(a).at_centre, 0);
    hm_village_settle(&v);
    hm_village_settle(&v);
    assert_int_equal(unsent_of(a).at_centre, 1);
    hm_village_close(&v);
}

HM_TEST(upstreams_are_listed_and_used)
{
    struct hm_upstream_known *all = NULL;
    struct hm_arena arena;
    size_t count = 0;

    open_chain();
    hm_village_join(&v, a, &v.centre);
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_store_begin(a->node.store));
    CHECK_OK(hm_upstreams_list(a->node.store, &arena, &all, &count));
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(all[i].current == (all[i].device == v.centre.node.device));
        assert_int_equal(all[i].pin.len, 32);
        assert_true(hm_bytes_equal(all[i].token, hm_bytes_str("token")));
    }
    assert_int_equal(hm_upstreams_use(a->node.store, 12345), HM_NOTFOUND);
    CHECK_OK(hm_upstreams_use(a->node.store, lower->node.device));
    CHECK_OK(hm_upstreams_list(a->node.store, &arena, &all, &count));
    for (size_t i = 0; i < count; i++) {
        assert_true(all[i].current == (all[i].device == lower->node.device));
    }
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    hm_arena_deinit(&arena);
    hm_village_close(&v);
}

/* A person is new at the centre; a laptop hears it there, and then turns to a hub that
 * has not: what the hub lacks is new, not withdrawn. */
HM_TEST(a_hub_that_lags_takes_nothing_away)
{
    struct hm_store *s;
    struct hm_user user = {
        .name = "hoa", .full_name = "Hoa", .role = 1, .active = true};
    struct hm_user found;
    struct hm_arena arena;
    uint32_t id = 0;

    open_chain();
    s = v.centre.node.store;
    user.unit = v.commune;
    (void)hm_village_sync(&v, a);
    hm_village_join(&v, a, &v.centre);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_people_add_user(s, &user, &id));
    CHECK_OK(hm_store_end(s, HM_OK));
    (void)hm_village_sync(&v, a);
    hm_village_join(&v, a, lower);
    for (int i = 0; i < 4; i++) {
        (void)hm_village_exchange(&v, a, false, NULL);
    }
    hm_arena_init(&arena, ARENA_BYTES);
    CHECK_OK(hm_people_get_user(a->node.store, id, &arena, &found));
    hm_arena_deinit(&arena);

    /* The hub hears it; what is withdrawn then is dropped as before. */
    (void)hm_village_sync(&v, upper);
    (void)hm_village_sync(&v, lower);
    assert_true(hm_village_sync(&v, a).digest_equal);
    hm_village_close(&v);
}
