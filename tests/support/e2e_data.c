#include "tests/support/e2e_data.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/e2e_arguments.h"

#define PROGRAMME "vn-poverty"
#define HAMLETS   E2E_HAMLET_A "," E2E_HAMLET_BOTH "," E2E_HAMLET_B

/* --- nodes --- */

struct e2e_node *e2e_centre(bool loop_guard)
{
    struct e2e_node *centre = e2e_init(&(struct e2e_options){.name = "centre",
                                                             .programme = PROGRAMME,
                                                             .hub = true,
                                                             .loop_guard = loop_guard});

    e2e_start(centre);
    return centre;
}

const char *e2e_generate(unsigned households)
{
    const char *path = e2e_path("commune-%u.csv", households);
    char count[16];
    struct e2e_result *result;

    (void)snprintf(count, sizeof count, "%u", households);
    result = e2e_tool(path, "gen_commune", "--seed", "1", "--households", count,
                      "--hamlets", HAMLETS, NULL);
    if (result->exit_code != 0) {
        e2e_fail("gen_commune: exit %d: %s", result->exit_code, result->err);
    }
    return path;
}

const char *e2e_invite(struct e2e_node *hub, const char *name, uint16_t port,
                       const char *const *scopes)
{
    struct e2e_arguments arguments = {0};
    const char *code;
    const char *secret;
    char text[512];

    /* The contract allows several codes behind one --scope. */
    for (size_t i = 0; scopes[i] != NULL; i++) {
        e2e_arguments_add(&arguments, scopes[i]);
    }
    code = e2e_str(e2e_ok(hub, "device", "invite", "--name", name, "--scope",
                          arguments.values[0], arguments.values[1], NULL),
                   "code");
    if (strncmp(code, "hamlet://", 9) != 0 || strchr(code + 9, '/') == NULL ||
        strchr(code, '#') == NULL) {
        e2e_fail("not an enrolment code: %s", code);
    }
    secret = strchr(code + 9, '/');
    (void)snprintf(text, sizeof text, "hamlet://127.0.0.1:%u%s", (unsigned)port,
                   secret);
    return json_string_value(e2e_keep(json_string(text)));
}

struct e2e_node *e2e_laptop(const char *name, struct e2e_node *hub, ...)
{
    struct e2e_node *laptop = e2e_init(&(struct e2e_options){.name = name});
    struct e2e_arguments scopes = {0};
    va_list args;
    json_t *joined;

    va_start(args, hub);
    e2e_arguments_add_all(&scopes, args);
    va_end(args);
    if (hm_proxy_start(hub->hub_port, 0, &laptop->proxy) != HM_OK) {
        e2e_fail("no proxy for %s", name);
    }
    e2e_start(laptop);
    joined = e2e_ok(laptop, "enroll",
                    e2e_invite(hub, name, hm_proxy_port(laptop->proxy), scopes.values),
                    NULL);
    if (e2e_count(joined, "scopes") != scopes.count) {
        e2e_fail("%s did not get its %zu scopes: %s", name, scopes.count,
                 e2e_text(joined));
    }
    return laptop;
}

struct e2e_commune e2e_commune(unsigned households)
{
    struct e2e_commune commune = {.centre = e2e_centre(false)};
    json_t *report;

    e2e_step("a centre with %u households and two laptops", households);
    report = e2e_ok(commune.centre, "import", e2e_generate(households), "--form",
                    "register", NULL);
    if (e2e_int(report, "accepted") != (json_int_t)households) {
        e2e_fail("import: %s", e2e_text(report));
    }
    commune.a = e2e_laptop("a", commune.centre, E2E_HAMLET_A, E2E_HAMLET_BOTH, NULL);
    commune.b = e2e_laptop("b", commune.centre, E2E_HAMLET_BOTH, E2E_HAMLET_B, NULL);
    e2e_sync_all(&commune);
    return commune;
}

/* --- sync --- */

static json_t *check_sync(struct e2e_node *node, json_t *answer, bool equal)
{
    if (strcmp(e2e_str(answer, "result"), "ok") != 0 ||
        (equal && !e2e_bool(answer, "digest_equal"))) {
        e2e_fail("sync of %s: %s", node->name, e2e_text(answer));
    }
    return answer;
}

json_t *e2e_sync(struct e2e_node *node)
{
    return check_sync(node, e2e_ok(node, "sync", "--wait", "30", NULL), true);
}

json_t *e2e_sync_once(struct e2e_node *node)
{
    return check_sync(node, e2e_ok(node, "sync", NULL), false);
}

void e2e_sync_all(const struct e2e_commune *commune)
{
    (void)e2e_sync(commune->a);
    (void)e2e_sync(commune->b);
    (void)e2e_sync(commune->a);
}

void e2e_pause(struct e2e_node *node)
{
    (void)e2e_ok(node, "sync", "pause", NULL);
    if (!e2e_bool(e2e_ok(node, "status", NULL), "paused")) {
        e2e_fail("%s does not pause", node->name);
    }
}

void e2e_resume(struct e2e_node *node)
{
    (void)e2e_ok(node, "sync", "resume", NULL);
    if (e2e_bool(e2e_ok(node, "status", NULL), "paused")) {
        e2e_fail("%s stays paused", node->name);
    }
}

static const char *digest_in(const json_t *status, const char *scope)
{
    json_t *entry;
    size_t index;

    json_array_foreach(e2e_get(status, "scopes"), index, entry)
    {
        if (strcmp(e2e_str(entry, "scope"), scope) == 0) {
            return e2e_str(entry, "digest");
        }
    }
    e2e_fail("no scope %s in %s", scope, e2e_text(status));
}

const char *e2e_digest(struct e2e_node *node, const char *scope)
{
    return digest_in(e2e_ok(node, "status", NULL), scope);
}

void e2e_check_digests(const struct e2e_commune *commune)
{
    const struct {
        struct e2e_node *node;
        const char *scope;
    } held[] = {{commune->a, E2E_HAMLET_A},
                {commune->a, E2E_HAMLET_BOTH},
                {commune->b, E2E_HAMLET_BOTH},
                {commune->b, E2E_HAMLET_B}};
    const json_t *centre = e2e_ok(commune->centre, "status", NULL);

    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        const char *digest = e2e_digest(held[i].node, held[i].scope);

        if (strcmp(digest, digest_in(centre, held[i].scope)) != 0) {
            e2e_fail("digest of %s: %s at %s, %s at the centre", held[i].scope, digest,
                     held[i].node->name, digest_in(centre, held[i].scope));
        }
    }
}

void e2e_check_no_conflicts(const struct e2e_commune *commune)
{
    struct e2e_node *const nodes[] = {commune->centre, commune->a, commune->b};

    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        const json_t *list = e2e_ok(nodes[i], "conflict", "list", NULL);

        if (e2e_count(list, "") != 0) {
            e2e_fail("%s asks for decisions: %s", nodes[i]->name, e2e_text(list));
        }
    }
}

json_int_t e2e_household_count(struct e2e_node *node)
{
    return e2e_int(e2e_ok(node, "status", NULL), "households");
}

/* --- households --- */

json_t *e2e_households(struct e2e_node *node, const char *scope)
{
    const json_t *list = e2e_ok(node, "household", "list", "--scope", scope, NULL);
    json_t *ids = e2e_keep(json_array());
    json_t *entry;
    size_t index;

    json_array_foreach(list, index, entry)
    {
        (void)json_array_append(ids, e2e_get(entry, "household"));
    }
    return ids;
}

const char *e2e_id_at(const json_t *ids, size_t index)
{
    if (index >= json_array_size(ids)) {
        e2e_fail("only %zu households, none at %zu", json_array_size(ids), index);
    }
    return json_string_value(json_array_get(ids, index));
}

json_t *e2e_show(struct e2e_node *node, const char *household)
{
    return e2e_ok(node, "household", "show", household, NULL);
}

static bool is_row_of(const json_t *row, const char *repeat)
{
    const json_t *of = json_object_get(row, "repeat");

    return strcmp(e2e_str(row, "form"), "register") == 0 &&
           (repeat == NULL
                ? of == NULL || json_is_null(of)
                : json_is_string(of) && strcmp(json_string_value(of), repeat) == 0);
}

json_t *e2e_register_row(const json_t *shown)
{
    json_t *row;
    size_t index;

    json_array_foreach(e2e_get(shown, "rows"), index, row)
    {
        if (is_row_of(row, NULL)) {
            return row;
        }
    }
    e2e_fail("no row of the register in %s", e2e_text(shown));
}

json_t *e2e_member_row(const json_t *shown, size_t index)
{
    size_t seen = 0;
    json_t *row;
    size_t at;

    json_array_foreach(e2e_get(shown, "rows"), at, row)
    {
        if (is_row_of(row, "members") && seen++ == index) {
            return row;
        }
    }
    e2e_fail("no member %zu in %s", index, e2e_text(shown));
}

json_t *e2e_member(const json_t *shown, const char *item)
{
    json_t *row;
    size_t at;

    json_array_foreach(e2e_get(shown, "rows"), at, row)
    {
        if (is_row_of(row, "members") && strcmp(e2e_str(row, "item"), item) == 0) {
            return row;
        }
    }
    return NULL;
}

const char *e2e_field(struct e2e_node *node, const char *household, const char *field)
{
    const json_t *values =
        e2e_get(e2e_register_row(e2e_show(node, household)), "values");
    const char *text = json_string_value(json_object_get(values, field));

    return text == NULL ? "" : text;
}

void e2e_check_field(struct e2e_node *node, const char *household, const char *field,
                     const char *value)
{
    const char *shown = e2e_field(node, household, field);

    if (strcmp(shown, value) != 0) {
        e2e_fail("%s of %s at %s is '%s', not '%s'", field, household, node->name,
                 shown, value);
    }
}

void e2e_check_member_year(struct e2e_node *node, const char *household,
                           const char *item, int birth_year)
{
    const json_t *row = e2e_member(e2e_show(node, household), item);

    if (row == NULL) {
        e2e_fail("no member %s of %s at %s", item, household, node->name);
    }
    if (e2e_int(row, "values.birth_year") != birth_year) {
        e2e_fail("birth year of %s at %s is %s, not %d", item, node->name,
                 e2e_text(e2e_get(row, "values.birth_year")), birth_year);
    }
}

unsigned e2e_times_in_history(struct e2e_node *node, const char *household,
                              const char *change)
{
    const json_t *shown =
        e2e_ok(node, "household", "show", household, "--history", NULL);
    unsigned times = 0;
    json_t *entry;
    size_t at;

    json_array_foreach(e2e_get(shown, "history"), at, entry)
    {
        times += strcmp(e2e_str(entry, "change"), change) == 0 ? 1 : 0;
    }
    return times;
}

/* --- saves --- */

json_t *e2e_new_save(const char *scope, const char *head_name, unsigned members)
{
    json_t *rows = json_array();

    for (unsigned i = 0; i < members; i++) {
        char name[64];

        (void)snprintf(name, sizeof name, "%s %u", i == 0 ? "Nguyễn Văn" : "Trần Thị",
                       i + 1);
        (void)json_array_append_new(
            rows, json_pack("{s:s,s:n,s:{s:s,s:s,s:i}}", "repeat", "members", "item",
                            "values", "name", i == 0 ? head_name : name, "sex",
                            i % 2 == 0 ? "1" : "2", "birth_year", 1950 + (int)i * 7));
    }
    return json_pack("{s:n,s:s,s:s,s:n,s:{s:s,s:s,s:s},s:o}", "household", "scope",
                     scope, "form", "register", "round", "values", "head_name",
                     head_name, "phone", "0905123456", "address", "thôn Đông Lâm",
                     "rows", rows);
}

json_t *e2e_field_save(const char *household, const char *field, const char *value)
{
    return json_pack("{s:s,s:s,s:n,s:{s:s}}", "household", household, "form",
                     "register", "round", "values", field, value);
}

json_t *e2e_put(struct e2e_node *node, json_t *save)
{
    json_t *answer = e2e_ok_input(node, save, "household", "put", NULL);

    (void)e2e_str(answer, "household");
    (void)e2e_str(answer, "change");
    return answer;
}

const char *e2e_add(struct e2e_node *node, const char *scope, const char *head_name,
                    unsigned members)
{
    return e2e_str(e2e_put(node, e2e_new_save(scope, head_name, members)), "household");
}

const char *e2e_set(struct e2e_node *node, const char *household, const char *field,
                    const char *value)
{
    return e2e_str(e2e_put(node, e2e_field_save(household, field, value)), "change");
}

const char *e2e_set_member_year(struct e2e_node *node, const char *household,
                                const char *item, int birth_year)
{
    json_t *save =
        json_pack("{s:s,s:s,s:n,s:{},s:[{s:s,s:s,s:{s:i}}]}", "household", household,
                  "form", "register", "round", "values", "rows", "repeat", "members",
                  "item", item, "values", "birth_year", birth_year);

    return e2e_str(e2e_put(node, save), "change");
}
