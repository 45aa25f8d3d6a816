/* What a sync costs on the wire, everything counted: TCP payload with TLS, both ways.
 * On a village link bytes are seconds and money. */
#include <stdio.h>

#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum {
    HOUSEHOLDS = 300,
    BATCH = 30,
    NEW_HOUSEHOLD_BYTES_MAX = 280,
    UPDATE_BYTES_MAX = 50,
    QUIET_BYTES_MAX = 5000
};

struct cost {
    uint64_t bytes;
    uint64_t requests;
    uint64_t connections;
    const json_t *answer;
};

/* One sync on a fresh connection. */
static struct cost measure(struct e2e_node *node)
{
    struct hm_proxy_counters before;
    struct hm_proxy_counters after;
    struct cost cost;

    hm_proxy_reset(node->proxy);
    before = hm_proxy_counters(node->proxy);
    cost.answer = e2e_sync_once(node);
    after = hm_proxy_counters(node->proxy);
    cost.bytes = after.up - before.up + after.down - before.down;
    cost.requests = after.requests - before.requests;
    cost.connections = after.connections - before.connections;
    e2e_step("%u bytes (%u up, %u down), %u requests: %s", (unsigned)cost.bytes,
             (unsigned)(after.up - before.up), (unsigned)(after.down - before.down),
             (unsigned)cost.requests, e2e_text(cost.answer));
    return cost;
}

/* In step, and a has only what it asks for: nobody else moves. */
static struct e2e_commune quiet_commune(void)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);

    e2e_pause(commune.a);
    e2e_pause(commune.b);
    (void)e2e_sync(commune.a);
    return commune;
}

/* Most syncs have nothing to say. */
HM_TEST(a_quiet_sync_is_one_small_request)
{
    struct e2e_commune commune = quiet_commune();
    struct cost quiet = measure(commune.a);

    assert_int_equal(quiet.connections, 1);
    assert_int_equal(e2e_int(quiet.answer, "round_trips"), 1);
    assert_int_equal(quiet.requests, 1);
    assert_int_equal(e2e_int(quiet.answer, "sent.changes"), 0);
    assert_int_equal(e2e_int(quiet.answer, "received.households"), 0);
    assert_in_range(quiet.bytes, 1, QUIET_BYTES_MAX);
    e2e_finish();
}

static unsigned draw(uint32_t *random, unsigned below)
{
    *random = *random * 1664525U + 1013904223U;
    return (*random >> 8) % below;
}

static void make_name(uint32_t *random, char *text, size_t size)
{
    static const char *const families[] = {"Nguyễn", "Trần", "Lê",  "Phan",
                                           "Hồ",     "Đặng", "Văn", "Hoàng"};
    static const char *const middles[] = {"Văn",   "Thị",  "Đình",
                                          "Thanh", "Xuân", "Ngọc"};
    static const char *const given[] = {"Lan",   "Đức",  "Minh", "Phượng",
                                        "Sen",   "Uyên", "Vinh", "Đạt",
                                        "Nghĩa", "Huệ",  "Tâm",  "Bình"};

    (void)snprintf(text, size, "%s %s %s", families[draw(random, 8)],
                   middles[draw(random, 6)], given[draw(random, 12)]);
}

/* Four members, nothing alike from one household to the next: a repeated text would
 * cost nothing behind the compression. */
static json_t *make_household(uint32_t *random, const char *scope)
{
    json_t *rows = json_array();
    char phone[16];
    char address[64];
    char name[64];

    for (int i = 0; i < 4; i++) {
        make_name(random, name, sizeof name);
        (void)json_array_append_new(
            rows,
            json_pack("{s:s,s:n,s:{s:s,s:s,s:i}}", "repeat", "members", "item",
                      "values", "name", name, "sex", draw(random, 2) == 0 ? "1" : "2",
                      "birth_year", 1935 + (int)draw(random, 88)));
    }
    (void)snprintf(phone, sizeof phone, "09%08u", draw(random, 10000000) * 9U);
    (void)snprintf(address, sizeof address, "số %u, xóm %u", draw(random, 200),
                   draw(random, 9));
    make_name(random, name, sizeof name);
    return json_pack("{s:n,s:s,s:s,s:n,s:{s:s,s:s,s:s},s:o}", "household", "scope",
                     scope, "form", "register", "round", "values", "head_name", name,
                     "phone", phone, "address", address, "rows", rows);
}

HM_TEST(thirty_new_households_fit_the_budget)
{
    struct e2e_commune commune = quiet_commune();
    struct cost quiet = measure(commune.a);
    struct cost full;
    uint32_t random = 1;

    for (int i = 0; i < BATCH; i++) {
        (void)e2e_put(commune.a, make_household(&random, i % 2 == 0 ? E2E_HAMLET_A
                                                                    : E2E_HAMLET_BOTH));
    }
    full = measure(commune.a);
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + BATCH);
    e2e_step("%u bytes a household", (unsigned)((full.bytes - quiet.bytes) / BATCH));
    assert_true(full.bytes > quiet.bytes);
    assert_in_range((full.bytes - quiet.bytes) / BATCH, 1, NEW_HOUSEHOLD_BYTES_MAX);
    assert_int_equal(e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes"), 0);
    e2e_finish();
}

static void update_three_fields(struct e2e_node *node, const char *id, int number)
{
    char phone[16];
    char address[48];
    char head[48];

    (void)snprintf(phone, sizeof phone, "0935%06d", number * 7919 % 1000000);
    (void)snprintf(address, sizeof address, "xóm %d", number);
    (void)snprintf(head, sizeof head, "Lê Văn %c%c", 'A' + number % 26,
                   'a' + number * 11 % 26);
    (void)e2e_put(node, json_pack("{s:s,s:s,s:n,s:{s:s,s:s,s:s}}", "household", id,
                                  "form", "register", "round", "values", "phone", phone,
                                  "address", address, "head_name", head));
}

HM_TEST(thirty_updates_fit_the_budget)
{
    struct e2e_commune commune = quiet_commune();
    json_t *ids = e2e_households(commune.a, E2E_HAMLET_A);
    struct cost quiet = measure(commune.a);
    struct cost full;

    for (int i = 0; i < BATCH; i++) {
        update_three_fields(commune.a, e2e_id_at(ids, (size_t)i), i);
    }
    full = measure(commune.a);
    e2e_check_field(commune.centre, e2e_id_at(ids, BATCH - 1), "address", "xóm 29");
    e2e_step("%u bytes an update", (unsigned)((full.bytes - quiet.bytes) / BATCH));
    assert_true(full.bytes > quiet.bytes);
    assert_in_range((full.bytes - quiet.bytes) / BATCH, 1, UPDATE_BYTES_MAX);
    assert_int_equal(e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes"), 0);
    e2e_finish();
}
