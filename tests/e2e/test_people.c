/* Hamlets that change hands, a laptop that is lost and found, people who come, go and
 * forget: with real processes and links that die at the worst moment. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 60 };

/* The element of an array whose member has this text; fails when there is none. */
static json_t *element(json_t *array, const char *member, const char *text)
{
    json_t *value;
    size_t at;

    json_array_foreach(array, at, value)
    {
        const char *found = json_string_value(json_object_get(value, member));

        if (found != NULL && strcmp(found, text) == 0) {
            return value;
        }
    }
    e2e_fail("no %s %s in %s", member, text, e2e_text(array));
}

static const char *device_of(struct e2e_node *centre, const char *name)
{
    return e2e_str(element(e2e_ok(centre, "device", "list", NULL), "name", name), "id");
}

static json_int_t fact_of(struct e2e_node *centre, const char *name, const char *fact)
{
    return e2e_int(element(e2e_ok(centre, "device", "list", NULL), "name", name), fact);
}

/* What `status` says of a hamlet; NULL: nothing. */
static const char *scope_state(struct e2e_node *node, const char *scope)
{
    json_t *scopes = e2e_get(e2e_ok(node, "status", NULL), "scopes");
    json_t *value;
    size_t at;

    json_array_foreach(scopes, at, value)
    {
        if (strcmp(e2e_str(value, "scope"), scope) == 0) {
            e2e_step("%s: %s", node->name, e2e_text(value));
            return e2e_str(value, "state");
        }
    }
    return NULL;
}

static void sync_whatever(struct e2e_node *node)
{
    struct e2e_result *result = e2e_end(e2e_begin(node, NULL, "sync", NULL), E2E_CLI_S);

    e2e_step("sync of %s: exit %d: %s", node->name, result->exit_code, result->out);
}

/* A laptop loses a hamlet with unsent work in it, and its link dies just before the
 * end, again and again; then it is given the hamlet again. */
HM_TEST(a_hamlet_is_lost_with_unsent_work_and_comes_back)
{
    struct e2e_commune c = e2e_commune(HOUSEHOLDS);
    const char *id = e2e_id_at(e2e_households(c.a, E2E_HAMLET_A), 0);
    const char *device = device_of(c.centre, "a");
    const char *change;
    const char *born;
    json_t *past;

    e2e_step("no link: a works in the hamlet that it loses meanwhile");
    e2e_pause(c.a);
    change = e2e_set(c.a, id, "phone", "0905000111");
    born = e2e_add(c.a, E2E_HAMLET_A, "Hồ Thị Muộn", 2);
    (void)e2e_ok(c.centre, "device", "reassign", device, "--scope", E2E_HAMLET_BOTH,
                 NULL);

    e2e_step("the reply is lost, again and again: nothing goes");
    hm_proxy_set(c.a->proxy,
                 &(struct hm_proxy_mode){.drop_reply = true, .always = true});
    sync_whatever(c.a);
    e2e_check_field(c.a, id, "phone", "0905000111");
    sync_whatever(c.a);
    e2e_check_field(c.a, id, "phone", "0905000111");
    hm_proxy_set(c.a->proxy, &(struct hm_proxy_mode){.down = false});

    e2e_step("the link holds: the work is at the centre, marked; the hamlet is gone");
    e2e_resume(c.a);
    (void)e2e_sync(c.a);
    e2e_check_field(c.centre, id, "phone", "0905000111");
    e2e_check_field(c.centre, born, "head_name", "Hồ Thị Muộn");
    assert_int_equal(fact_of(c.centre, "a", "late"), 2);
    past = element(e2e_get(e2e_ok(c.centre, "household", "show", id, "--history", NULL),
                           "history"),
                   "change", change);
    assert_true(e2e_bool(past, "late"));
    assert_null(scope_state(c.a, E2E_HAMLET_A));
    assert_string_equal(scope_state(c.a, E2E_HAMLET_BOTH), "held");
    (void)e2e_refused(c.a, E2E_FAILED, "household", "show", id, NULL);
    assert_int_equal(json_array_size(e2e_ok(c.centre, "quarantine", "list", NULL)), 0);

    e2e_step("and back again, by the feed");
    (void)e2e_ok(c.centre, "device", "reassign", device, "--scope", E2E_HAMLET_A,
                 E2E_HAMLET_BOTH, NULL);
    (void)e2e_sync(c.a);
    e2e_check_field(c.a, id, "phone", "0905000111");
    (void)e2e_set(c.a, id, "phone", "0905000222");
    (void)e2e_sync(c.a);
    e2e_check_field(c.centre, id, "phone", "0905000222");
    e2e_check_digests(&c);
    e2e_check_no_conflicts(&c);

    e2e_step("the whole commune: every hamlet under it");
    (void)e2e_ok(c.centre, "device", "reassign", device, "--scope", "19885", NULL);
    (void)e2e_sync(c.a);
    assert_int_equal(e2e_household_count(c.a), HOUSEHOLDS + 1);
    (void)e2e_refused(c.centre, E2E_FAILED, "device", "reassign", device, "--scope",
                      "nowhere", NULL);
    e2e_finish();
}

/* Stolen, revoked, found after weeks: what it wrote before is welcome, what was written
 * since waits for an officer; it says what happened, keeps all, and comes back. */
HM_TEST(a_lost_laptop_is_found)
{
    struct e2e_commune c = e2e_commune(HOUSEHOLDS);
    const char *id = e2e_id_at(e2e_households(c.a, E2E_HAMLET_A), 0);
    const char *device = device_of(c.centre, "a");
    const char *const scopes[] = {E2E_HAMLET_A, E2E_HAMLET_BOTH, NULL};
    const char *kept;
    struct e2e_result *status;
    json_t *report;

    e2e_pause(c.a);
    (void)e2e_set(c.a, id, "phone", "0905000111");
    (void)e2e_ok(c.centre, "device", "revoke", device, "--reason", "bị mất", NULL);
    kept = e2e_add(c.a, E2E_HAMLET_A, "Hồ Thị Sau", 1);
    (void)e2e_set(c.a, kept, "phone", "0905000333");
    (void)e2e_set(c.a, kept, "phone", "0905000444");

    e2e_step("found: it delivers, hears that it was revoked, and nothing else");
    e2e_resume(c.a);
    sync_whatever(c.a);
    sync_whatever(c.a);
    e2e_check_field(c.centre, id, "phone", "0905000111");
    assert_int_equal(fact_of(c.centre, "a", "revoked_work"), 3);
    assert_int_equal(e2e_count(e2e_show(c.centre, kept), "rows"), 0);
    (void)e2e_str(e2e_ok(c.a, "status", NULL), "revoked");
    assert_string_equal(e2e_str(e2e_ok(c.a, "status", NULL), "upstream.state"),
                        "refused");
    status = e2e_cli(c.a, "status", NULL);
    e2e_step("%s", status->out);
    assert_non_null(strstr(status->out, "REVOKED"));
    assert_int_equal(e2e_int(e2e_ok(c.a, "status", NULL), "unsent.changes"), 0);
    e2e_check_field(c.a, kept, "phone", "0905000444");
    (void)e2e_set(c.a, kept, "address", "vẫn ghi được");

    e2e_step("an officer takes all of it");
    sync_whatever(c.a);
    (void)e2e_refused(c.centre, E2E_USAGE, "quarantine", "release", NULL);
    report = e2e_ok(c.centre, "quarantine", "release", "--device", device, "--revoked",
                    "--reason", "tìm thấy máy", NULL);
    assert_int_equal(e2e_int(report, "released"), 4);
    assert_int_equal(e2e_int(report, "failed"), 0);
    e2e_check_field(c.centre, kept, "head_name", "Hồ Thị Sau");
    e2e_check_field(c.centre, kept, "phone", "0905000444");
    e2e_check_field(c.centre, kept, "address", "vẫn ghi được");
    assert_int_equal(fact_of(c.centre, "a", "revoked_work"), 0);

    e2e_step("a new code lets it in again");
    (void)e2e_ok(c.a, "enroll",
                 e2e_invite(c.centre, "a", hm_proxy_port(c.a->proxy), scopes), NULL);
    (void)e2e_sync(c.a);
    assert_true(json_is_null(json_object_get(e2e_ok(c.a, "status", NULL), "revoked")));
    (void)e2e_set(c.a, id, "phone", "0905000555");
    (void)e2e_sync(c.a);
    (void)e2e_sync(c.b);
    e2e_check_field(c.centre, id, "phone", "0905000555");
    e2e_check_digests(&c);
    e2e_check_no_conflicts(&c);
    e2e_finish();
}

static void with_passphrase(struct e2e_node *node, int exit_code,
                            const char *passphrase, const char *verb, const char *name,
                            const char *option, const char *value)
{
    struct e2e_result *result =
        e2e_cli_input(node, passphrase, "user", verb, name, option, value, NULL);

    e2e_step("user %s %s at %s: %s%s", verb, name, node->name, result->out,
             result->err);
    assert_int_equal(result->exit_code, exit_code);
}

static void add_user(struct e2e_node *centre, const char *name, const char *role)
{
    struct e2e_result *result =
        e2e_cli_input(centre, "đồng xanh ngày mưa\n", "user", "add", name, "--role",
                      role, "--unit", "19885", NULL);

    assert_int_equal(result->exit_code, E2E_DONE);
}

/* Two people on one laptop: one is closed while away, one forgets a passphrase far from
 * any link; neither touches what the other has not sent. */
HM_TEST(people_come_go_and_forget)
{
    static const char lan[] = "Nguyễn.Thị.Lan";
    static const char decomposed[] = "Nguye\xcc\x82\xcc\x83n.Thi\xcc\xa3.Lan";
    struct e2e_commune c = e2e_commune(HOUSEHOLDS);
    const char *id = e2e_id_at(e2e_households(c.a, E2E_HAMLET_A), 0);
    const char *other = e2e_id_at(e2e_households(c.a, E2E_HAMLET_A), 1);
    const char *code;
    json_t *codes;

    add_user(c.centre, lan, "enumerator");
    add_user(c.centre, "đức", "enumerator");
    add_user(c.centre, "quản.trị", "admin");
    (void)e2e_sync(c.a);
    (void)e2e_sync(c.b);
    with_passphrase(c.a, E2E_DONE, "đồng xanh ngày mưa\n", "check", lan, NULL, NULL);
    with_passphrase(c.a, E2E_DONE, "đồng xanh ngày mưa\n", "check", decomposed, NULL,
                    NULL);

    e2e_step("no link: both work; one is closed meanwhile, and works on");
    e2e_pause(c.a);
    hm_proxy_set(c.a->proxy, &(struct hm_proxy_mode){.down = true});
    (void)e2e_ok_input(c.a, e2e_field_save(id, "phone", "0905000111"), "--as", lan,
                       "household", "put", NULL);
    (void)e2e_ok_input(c.a, e2e_field_save(other, "phone", "0905000222"), "--as", "đức",
                       "household", "put", NULL);
    (void)e2e_ok(c.centre, "user", "disable", "đức", NULL);
    (void)e2e_ok_input(c.a, e2e_field_save(other, "address", "xóm 9"), "--as", "đức",
                       "household", "put", NULL);
    (void)e2e_refused(c.centre, E2E_FAILED, "user", "disable", "quản.trị", NULL);

    e2e_step("Lan forgot; an officer reads a code to her; the laptop has no link");
    with_passphrase(c.a, E2E_NOT_ALLOWED, "cái gì đó\n", "check", lan, NULL, NULL);
    codes = e2e_ok(c.centre, "user", "reset", lan, NULL);
    code = e2e_str(element(e2e_get(codes, "codes"), "name", "a"), "code");
    with_passphrase(c.a, E2E_NOT_ALLOWED, "mới tinh\n", "passwd", "đức", "--code",
                    code);
    with_passphrase(c.b, E2E_NOT_ALLOWED, "mới tinh\n", "passwd", lan, "--code", code);
    with_passphrase(c.a, E2E_DONE, "mới tinh\n", "passwd", decomposed, "--code", code);
    with_passphrase(c.a, E2E_NOT_ALLOWED, "lần nữa\n", "passwd", lan, "--code", code);
    e2e_kill(c.a, SIGKILL);
    e2e_start(c.a);
    with_passphrase(c.a, E2E_DONE, "mới tinh\n", "check", lan, NULL, NULL);
    assert_int_equal(e2e_int(e2e_ok(c.a, "status", NULL), "unsent.changes"), 3);

    e2e_step(
        "the link is back: before is accepted, since is kept apart, Lan's is there");
    hm_proxy_set(c.a->proxy, &(struct hm_proxy_mode){.down = false});
    e2e_resume(c.a);
    (void)e2e_sync(c.a);
    e2e_check_field(c.centre, id, "phone", "0905000111");
    e2e_check_field(c.centre, other, "phone", "0905000222");
    assert_int_equal(json_array_size(e2e_ok(c.centre, "quarantine", "list", NULL)), 1);
    assert_int_equal(json_array_size(e2e_ok(c.a, "quarantine", "list", NULL)), 1);
    (void)e2e_refused(c.a, E2E_NOT_ALLOWED, "--as", "đức", "household", "list", NULL);

    e2e_step("he is let in again, with another role");
    (void)e2e_ok(c.centre, "user", "enable", "đức", NULL);
    (void)e2e_ok(c.centre, "user", "change", "đức", "--role", "viewer", NULL);
    (void)e2e_sync(c.a);
    (void)e2e_ok(c.a, "--as", "đức", "household", "list", NULL);
    e2e_finish();
}
