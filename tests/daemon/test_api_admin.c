/* Devices, people, units, rounds, forms, status, backup, verification. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/serve/node_facts.h"
#include "daemon/serve/sealed.h"
#include "protocol/enroll_code.h"
#include "storage/devices.h"
#include "storage/log_files.h"
#include "tests/support/api.h"

static struct hm_test_api api;

static const char *at(const char *path)
{
    return hm_test_api_at(&api, path);
}

static unsigned post(const char *path, const char *body)
{
    return hm_test_api_post(&api, path, body);
}

/* The code brings a device in; a revoked one is shown as such. */
HM_TEST(devices_are_invited_and_revoked)
{
    static struct hm_enroll_code code;
    struct hm_redemption redemption = {.public_key = {9}};
    uint8_t token[HM_DEVICE_TOKEN_BYTES];
    struct hm_device device;
    struct hm_arena arena;
    char path[100];

    hm_test_api_open(&api);
    hm_arena_init(&arena, 1024 * 1024);
    assert_int_equal(post("devices/invitations", "{}"), 400);
    assert_int_equal(post("devices/invitations", "{\"scopes\":[]}"), 400);
    assert_int_equal(post("devices/invitations", "{\"scopes\":[\"nowhere\"]}"), 404);
    assert_int_equal(post("devices/invitations", "{\"scopes\":[7]}"), 400);
    assert_int_equal(
        post("devices/invitations", "{\"scopes\":[\"19885001\"],\"role\":\"king\"}"),
        400);
    assert_int_equal(
        post("devices/invitations", "{\"scopes\":[\"19885001\"],\"name\":\"Thôn 1\"}"),
        201);
    assert_string_equal(at("url"), "https://127.0.0.1:8471");
    CHECK_OK(hm_enroll_code_read(hm_bytes_str(at("code")), &code));
    assert_string_equal(code.host_port, "127.0.0.1:8471");
    redemption.secret = hm_bytes_of(code.secret, sizeof code.secret);
    CHECK_OK(hm_store_begin(api.node.store));
    CHECK_OK(hm_store_end(api.node.store, hm_devices_redeem(api.node.store, &redemption,
                                                            &arena, &device, token)));
    assert_int_equal(hm_test_api_get(&api, "devices"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 2);
    (void)snprintf(path, sizeof path, "devices/%016llx/revoke",
                   (unsigned long long)device.id);
    assert_int_equal(post(path, "{\"reason\":\"stolen\"}"), 200);
    assert_string_equal(at("state"), "revoked");
    assert_string_equal(at("revoked_work"), "0");
    assert_string_equal(at("late"), "0");
    assert_string_equal(at("name"), "Thôn 1");
    assert_string_equal(at("scopes.0"), "19885001");
    assert_int_equal(post(path, "{\"since\":\"2024-02-29\"}"), 200);
    assert_string_equal(at("revoked"), "2024-02-29T00:00:00Z");
    assert_int_equal(post(path, "{\"since\":\"2025-01-01\"}"), 200);
    assert_string_equal(at("revoked"), "2024-02-29T00:00:00Z");
    assert_int_equal(post(path, "{\"since\":\"1969-12-31\"}"), 400);
    assert_int_equal(post(path, "{\"since\":\"2025-02-29\"}"), 400);
    assert_int_equal(post(path, "{\"since\":\"2999-01-01\"}"), 400);
    assert_int_equal(post("devices/0000000000000001/revoke", "{}"), 404);
    assert_int_equal(post("devices/x/revoke", "{}"), 404);
    (void)snprintf(path, sizeof path, "devices/%016llx/revoke",
                   (unsigned long long)api.store.device);
    assert_int_equal(post(path, "{}"), 400);
    api.node.public_address = NULL;
    assert_int_equal(post("devices/invitations", "{\"scopes\":[\"19885001\"]}"), 403);
    hm_arena_deinit(&arena);
    hm_test_api_close(&api);
}

#define USER(name, role, unit)                                                         \
    "{\"name\":\"" name "\",\"role\":\"" role "\",\"unit\":\"" unit                    \
    "\",\"full_name\":\"Trần Văn A\",\"passphrase\":\"quite long\"}"

/* Nobody makes an account above their own, and a disabled one does nothing. */
HM_TEST(people_are_managed)
{
    hm_test_api_open(&api);
    assert_int_equal(post("users", USER("a", "officer", "19885")), 201);
    assert_string_equal(at("full_name"), "Trần Văn A");
    assert_null(strstr(api.text, "quite long"));
    assert_int_equal(post("users", USER("a", "officer", "19885")), 409);
    assert_int_equal(post("users", USER("b", "king", "19885")), 400);
    assert_int_equal(post("users", USER("b", "officer", "nowhere")), 400);
    assert_int_equal(post("users", USER("b c", "officer", "19885")), 400);
    assert_int_equal(post("users", "{\"name\":\"b\"}"), 400);
    assert_int_equal(post("users/a/passphrase", "{\"passphrase\":\"\"}"), 400);
    assert_int_equal(post("users/nobody/passphrase", "{\"passphrase\":\"x\"}"), 404);
    assert_int_equal(hm_test_api_get(&api, "users"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 1);
    assert_string_equal(at("0.role"), "officer");
    assert_string_equal(at("0.unit"), "19885");
    api.user = "a";
    assert_int_equal(post("users", USER("b", "enumerator", "19885")), 403);
    assert_int_equal(post("users/a/passphrase", "{\"passphrase\":\"my own one\"}"),
                     200);
    assert_int_equal(hm_test_api_get(&api, "units"), 200);
    api.user = NULL;
    assert_int_equal(post("users/a/disable", ""), 200);
    assert_string_equal(at("state"), "disabled");
    api.user = "a";
    assert_int_equal(hm_test_api_get(&api, "units"), 403);
    api.user = NULL;
    assert_int_equal(post("users/nobody/disable", ""), 404);
    hm_test_api_close(&api);
}

/* Nobody shuts the last door behind them; a closed account opens again; a role changes
 * with its rank. */
HM_TEST(the_last_administrator_stays)
{
    hm_test_api_open(&api);
    assert_int_equal(post("users", USER("quản-trị", "admin", "19885")), 201);
    assert_int_equal(post("users", USER("b", "officer", "19885")), 201);
    assert_int_equal(post("users/quản-trị/disable", ""), 400);
    assert_non_null(strstr(api.text, "the last one who may administer users"));
    assert_int_equal(post("users/quản-trị/change", "{\"role\":\"officer\"}"), 400);
    assert_int_equal(post("users/b/change", "{\"role\":\"king\"}"), 400);
    assert_int_equal(post("users/b/change", "{\"unit\":\"nowhere\"}"), 400);
    assert_int_equal(post("users/b/change", "{\"role\":\"admin\",\"full_name\":\"B\"}"),
                     200);
    assert_string_equal(at("role"), "admin");
    assert_string_equal(at("full_name"), "B");
    assert_string_equal(at("unit"), "19885");
    assert_int_equal(post("users/quản-trị/disable", ""), 200);
    assert_int_equal(post("users/b/disable", ""), 400);
    assert_int_equal(post("users/quản-trị/enable", ""), 200);
    assert_string_equal(at("state"), "active");
    assert_int_equal(post("users/b/change", "{\"role\":\"officer\"}"), 200);
    api.user = "b";
    assert_int_equal(post("users/b/change", "{\"role\":\"admin\"}"), 403);
    assert_int_equal(post("users/quản-trị/enable", ""), 403);
    api.user = NULL;
    hm_test_api_close(&api);
}

/* Who forgot a passphrase gets a code; whoever only guesses is slowed down, and a guess
 * counts although its request is refused. */
HM_TEST(a_forgotten_passphrase_is_reset)
{
    char body[128];
    char code[32];

    hm_test_api_open(&api);
    assert_int_equal(post("users", USER("lan", "enumerator", "19885001")), 201);
    assert_int_equal(post("users/lan/check", "{\"passphrase\":\"quite long\"}"), 200);
    assert_int_equal(post("users/lan/reset", "{}"), 404); /* no laptop yet */
    (void)snprintf(body, sizeof body, "{\"device\":\"%016llx\"}",
                   (unsigned long long)hm_store_device(api.node.store));
    assert_int_equal(post("users/lan/reset", body), 201);
    assert_int_equal(hm_test_api_count(&api, "codes"), 1);
    (void)snprintf(code, sizeof code, "%s", at("codes.0.code"));
    assert_int_equal(post("users/lan/redeem",
                          "{\"code\":\"0000-0000-0000-0000\",\"passphrase\":\"new\"}"),
                     403);
    (void)snprintf(body, sizeof body, "{\"code\":\"%s\",\"passphrase\":\"new one\"}",
                   code);
    assert_int_equal(post("users/lan/redeem", body), 200);
    assert_int_equal(post("users/lan/redeem", body), 403);
    assert_int_equal(post("users/lan/check", "{\"passphrase\":\"new one\"}"), 200);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(post("users/lan/check", "{\"passphrase\":\"quite long\"}"),
                         403);
    }
    assert_int_equal(post("users/lan/check", "{\"passphrase\":\"new one\"}"), 403);
    assert_non_null(strstr(api.text, "too many wrong guesses"));
    assert_int_equal(post("users/lan/disable", ""), 200);
    assert_int_equal(post("users/lan/reset", body), 400); /* a member of no reset */
    assert_int_equal(post("users/lan/reset", "{}"), 403);
    assert_int_equal(post("users/nobody/reset", "{}"), 404);
    assert_int_equal(post("users/nobody/check", "{\"passphrase\":\"x\"}"), 404);
    hm_test_api_close(&api);
}

/* Units by place and day, and their names from a file. */
HM_TEST(units_are_listed_and_imported)
{
    static const char csv[] = "code,name,kind,parent\n"
                              "19885001,Thôn Phú Lương,hamlet,19885\n"
                              "19885009x,,hamlet,nowhere\n";

    hm_test_api_open(&api);
    assert_int_equal(hm_test_api_get(&api, "units?under=19885&at=2026-01-01"), 200);
    assert_true(hm_test_api_count(&api, "") > 3);
    assert_string_equal(at("0.kind"), "commune");
    assert_string_equal(at("1.parent"), "19885");
    assert_int_equal(hm_test_api_get(&api, "units?under=nowhere"), 404);
    assert_int_equal(hm_test_api_get(&api, "units?at=yesterday"), 400);
    assert_int_equal(hm_test_api_upload(&api, "units/import?name=u.csv", "text/csv",
                                        hm_bytes_str(csv)),
                     200);
    assert_string_equal(at("accepted"), "1");
    assert_string_equal(at("rejected.0.line"), "3");
    assert_int_equal(hm_test_api_get(&api, "units?under=19885001"), 200);
    assert_string_equal(at("0.name"), "Thôn Phú Lương");
    assert_int_equal(hm_test_api_upload(&api, "units/import?name=u.csv", "text/csv",
                                        hm_bytes_str("x\n1\n")),
                     400);
    hm_test_api_close(&api);
}

/* A form that belongs to rounds is filled in one that is open. */
HM_TEST(rounds_open_and_close)
{
    static const char save[] =
        "{\"scope\":\"19885001\",\"form\":\"review\",\"round\":\"2026\","
        "\"rows\":[{\"repeat\":\"members\",\"values\":{}}],\"values\":{}}";
    char path[200];
    char id[64];

    hm_test_api_open(&api);
    (void)snprintf(id, sizeof id, "%s", hm_test_api_household(&api, "Lan", "1"));
    (void)snprintf(path, sizeof path, "households/%s/forms/review", id);
    assert_int_equal(post("households", save), 404);
    assert_int_equal(post("rounds/2026/open", "{\"from\":\"2026-09-01\"}"), 200);
    assert_string_equal(at("state"), "open");
    assert_string_equal(at("to"), "null");
    assert_int_equal(post("rounds/2026/open", ""), 409);
    assert_int_equal(post("rounds/a b/open", ""), 400);
    assert_int_equal(post("rounds/2027/open", "{\"from\":\"soon\"}"), 400);
    assert_int_equal(post(path, "{\"round\":\"2026\",\"values\":{}}"), 200);
    assert_int_equal(post("households",
                          "{\"scope\":\"19885001\",\"form\":\"register\",\"round\":"
                          "\"2026\",\"values\":{\"head_name\":\"A\"}}"),
                     400);
    assert_int_equal(post("rounds/2026/close", ""), 200);
    assert_string_equal(at("state"), "closed");
    assert_int_equal(post(path, "{\"round\":\"2026\",\"values\":{}}"), 400);
    assert_int_equal(post("rounds/2030/close", ""), 404);
    assert_int_equal(hm_test_api_get(&api, "rounds"), 200);
    assert_string_equal(at("0.from"), "2026-09-01");
    hm_test_api_close(&api);
}

/* What a form has, and that a bad one is refused with its reason. */
HM_TEST(forms_are_listed_shown_published)
{
    hm_test_api_open(&api);
    assert_int_equal(hm_test_api_get(&api, "forms"), 200);
    assert_int_equal(hm_test_api_count(&api, ""), 2);
    assert_int_equal(hm_test_api_get(&api, "forms/register"), 200);
    assert_string_equal(at("fill"), "once");
    assert_true(hm_test_api_count(&api, "fields") > 15);
    assert_int_equal(hm_test_api_count(&api, "versions"), 1);
    assert_int_equal(hm_test_api_get(&api, "forms/none"), 404);
    assert_int_equal(hm_test_api_upload(&api, "forms?name=f.xml", "application/xml",
                                        hm_bytes_str("<x/>")),
                     400);
    assert_int_equal(hm_test_api_count(&api, "errors"), 1);
    assert_non_null(strstr(at("detail"), "f.xml"));
    hm_test_api_close(&api);
}

/* What status, alarms and metrics are made of is counted in the store. */
HM_TEST(facts_of_the_node_are_counted)
{
    struct hm_node_facts facts;

    hm_test_api_open(&api);
    (void)hm_test_api_household(&api, "Lan", "1");
    CHECK_OK(hm_node_facts_read(api.node.store, true, &facts));
    assert_string_equal(hm_node_facts_role_name(facts.role), "centre");
    assert_int_equal(facts.households, 1);
    assert_int_equal(facts.conflicts, 0);
    assert_true(json_array_size(facts.scopes) > 0);
    json_decref(facts.scopes);
    hm_test_api_close(&api);
}

/* Everything that was written is found sound; a byte that rots is found. */
HM_TEST(verification_finds_what_rots)
{
    hm_test_api_open(&api);
    (void)hm_test_api_household(&api, "Lan", "1");
    (void)hm_test_api_household(&api, "Huệ", "2");
    assert_int_equal(post("verify", ""), 200);
    if (strcmp(at("ok"), "true") != 0) {
        fail_msg("%s", api.text);
    }
    assert_int_equal(hm_test_api_count(&api, "checks"),
                     5); /* a centre has no upstream */
    assert_string_equal(at("checks.1.name"), "chains");
    assert_string_equal(at("checks.1.count"), "3"); /* a birth and two changes */
    assert_string_equal(at("checks.2.count"), "2");
    CHECK_OK(hm_db_exec(hm_store_db(api.node.store),
                        "UPDATE entry SET bytes = x'c0' WHERE n = 2"));
    CHECK_OK(hm_db_exec(hm_store_db(api.node.store),
                        "UPDATE feed SET households = households + 1 WHERE scope > 0"));
    assert_int_equal(post("verify", ""), 200);
    assert_string_equal(at("ok"), "false");
    assert_string_equal(at("checks.0.ok"), "true");
    assert_string_equal(at("checks.1.ok"), "false");
    assert_string_equal(at("checks.2.ok"), "false");
    assert_string_equal(at("checks.3.ok"), "true");
    hm_test_api_close(&api);
}

/* What lies beside the store must say the same as the store. */
HM_TEST(verification_looks_beside_the_store)
{
    struct hm_log_files_options options = {.files = hm_files_disk()};
    struct hm_log_files *filing = NULL;

    hm_test_api_open(&api);
    (void)hm_test_api_household(&api, "Lan", "1");
    options.dir = hm_test_folder();
    options.secret_key = hm_store_secret_key(api.node.store);
    options.device = hm_store_device(api.node.store);
    CHECK_OK(hm_log_files_create(&options, &filing));
    CHECK_OK(hm_log_files_file(filing, api.node.store));
    hm_log_files_destroy(filing);
    assert_int_equal(post("verify", ""), 200);
    assert_string_equal(at("ok"), "true");
    assert_string_equal(at("checks.4.name"), "log_files");
    assert_string_equal(at("checks.4.count"), "2"); /* a birth and a change */
    CHECK_OK(hm_db_exec(hm_store_db(api.node.store),
                        "UPDATE entry SET chain = zeroblob(16) WHERE n = 1"));
    assert_int_equal(post("verify", ""), 200);
    assert_string_equal(at("ok"), "false");
    assert_string_equal(at("checks.4.ok"), "false");
    hm_test_api_close(&api);
}

/* -- Backup -- */

static struct hm_buf plain;

static int keep(void *arg, struct hm_bytes content)
{
    (void)arg;
    hm_buf_append(&plain, content);
    return plain.err;
}

static void put_file(const char *name, const char *text)
{
    char path[600];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", hm_test_folder(), name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void check_tar(void)
{
    struct archive *tar = archive_read_new();
    struct archive_entry *entry;
    unsigned found = 0;

    assert_int_equal(archive_read_support_format_tar(tar), ARCHIVE_OK);
    assert_int_equal(archive_read_open_memory(tar, plain.data, plain.len), ARCHIVE_OK);
    while (archive_read_next_header(tar, &entry) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);

        assert_int_equal(archive_entry_perm(entry), 0600);
        found |= strcmp(name, "store.db") == 0        ? 1U
                 : strcmp(name, "keys/sign.key") == 0 ? 2U
                 : strcmp(name, "hamletd.conf") == 0  ? 4U
                                                      : 8U;
    }
    assert_int_equal(found, 7);
    (void)archive_read_free(tar);
}

/* One private file that holds all, opens with its passphrase alone, and is never
 * written over another. */
HM_TEST(a_backup_holds_all)
{
    char path[600];
    char body[800];
    struct stat info;
    int fd;

    hm_test_api_open(&api);
    (void)hm_test_api_household(&api, "Lan", "1");
    (void)snprintf(path, sizeof path, "%s/keys", hm_test_folder());
    assert_int_equal(mkdir(path, 0700), 0);
    put_file("keys/sign.key", "secret");
    put_file("hamletd.conf", "[node]\n");
    (void)snprintf(path, sizeof path, "%s/b.bak", hm_test_folder());
    (void)snprintf(body, sizeof body, "{\"path\":\"%s\",\"passphrase\":\"open up\"}",
                   path);
    assert_int_equal(post("backup", body), 200);
    assert_string_equal(at("path"), path);
    CHECK_OK(stat(path, &info));
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(atoi(at("bytes")), info.st_size);
    assert_int_equal(post("backup", body), 409);
    assert_int_equal(post("backup", "{\"path\":\"b.bak\"}"), 400);
    assert_int_equal(post("backup", "{\"path\":\"/nowhere/at/all\"}"), 400);
    assert_int_equal(post("backup", "{}"), 400);
    fd = open(path, O_RDWR);
    hm_buf_init(&plain, 256 * 1024 * 1024);
    assert_int_equal(hm_sealed_read(fd, hm_bytes_str("open"), keep, NULL), HM_DENIED);
    assert_int_equal(plain.len, 0);
    CHECK_OK(hm_sealed_read(fd, hm_bytes_str("open up"), keep, NULL));
    check_tar();
    CHECK_OK(ftruncate(fd, 8 + 16 + 24 + 65536 + 17)); /* at the end of a chunk */
    hm_buf_clear(&plain);
    assert_int_equal(hm_sealed_read(fd, hm_bytes_str("open up"), keep, NULL),
                     HM_TRUNCATED);
    (void)close(fd);
    hm_buf_deinit(&plain);
    (void)snprintf(path, sizeof path, "%s/b.bak.part", hm_test_folder());
    assert_int_equal(access(path, F_OK), -1);
    (void)snprintf(path, sizeof path, "%s/b.bak.store", hm_test_folder());
    assert_int_equal(access(path, F_OK), -1);
    hm_test_api_close(&api);
}
