/* Answers in words for people, but those about households (cli_show_household.c). */
#include <string.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/cli_print.h"

static bool is_null(const json_t *object, const char *path)
{
    const json_t *value = hm_cli_print_find(object, path);

    return value == NULL || json_is_null(value);
}

void hm_cli_show_facts(struct hm_cli *cli, const json_t *document)
{
    size_t width = 0;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)document, name, value)
    {
        width = strlen(name) > width ? strlen(name) : width;
    }
    json_object_foreach((json_t *)document, name, value)
    {
        struct hm_buf text;

        hm_buf_init(&text, HM_CLI_CELL_BYTES_MAX);
        hm_cli_print_value(&text, value);
        (void)fprintf(cli->out, "%-*s  %.*s\n", (int)width, name, (int)text.len,
                      text.data == NULL ? "" : (const char *)text.data);
        hm_buf_deinit(&text);
    }
}

static void show_upstream(FILE *out, const json_t *document)
{
    if (is_null(document, "upstream")) {
        (void)fputs("upstream    none\n", out);
        return;
    }
    hm_cli_print_fill(out, document, "upstream    {upstream.url}: {upstream.state}");
    if (!is_null(document, "upstream.last_ok")) {
        hm_cli_print_fill(out, document, ", last reached {upstream.last_ok}");
    }
    if (!is_null(document, "upstream.last_error")) {
        hm_cli_print_fill(out, document, " ({upstream.last_error})");
    }
    if (!is_null(document, "upstream.waits_for")) {
        hm_cli_print_fill(out, document, "\n            waits: {upstream.waits_for}");
        if (!is_null(document, "upstream.next_try")) {
            hm_cli_print_fill(out, document,
                              ", until {upstream.next_try} or hamlet sync");
        }
    }
    (void)fputs(json_is_true(json_object_get(document, "paused"))
                    ? "\n            syncing is paused: hamlet sync resume\n"
                    : "\n",
                out);
}

static void show_unsent(FILE *out, const json_t *document)
{
    char size[32];

    (void)fputs("unsent      ", out);
    hm_cli_print_count(out, hm_cli_print_int(document, "unsent.changes"), "change",
                       "changes");
    (void)fputs(", ", out);
    hm_cli_print_count(out, hm_cli_print_int(document, "unsent.attachments"),
                       "attachment", "attachments");
    (void)fprintf(out, ", %s",
                  hm_cli_print_bytes(size, hm_cli_print_int(document, "unsent.bytes")));
    if (!is_null(document, "unsent.oldest")) {
        hm_cli_print_fill(out, document, ", the oldest of {unsent.oldest}");
    }
    (void)fputc('\n', out);
}

/* The hamlets that hold something; the others are only counted. */
static void show_scopes(FILE *out, const json_t *scopes)
{
    size_t empty = 0;

    for (size_t i = 0; i < json_array_size(scopes); i++) {
        const json_t *scope = json_array_get(scopes, i);

        if (hm_cli_print_int(scope, "households") == 0) {
            empty++;
            continue;
        }
        hm_cli_print_fill(out, scope, "hamlet      {scope}: ");
        hm_cli_print_count(out, hm_cli_print_int(scope, "households"), "household",
                           "households");
        if (!is_null(scope, "waits")) {
            hm_cli_print_fill(out, scope, "; no longer assigned, still here: {waits}");
        }
        (void)fputc('\n', out);
    }
    if (empty > 0) {
        (void)fputs("hamlets     ", out);
        hm_cli_print_count(out, (int64_t)empty, "is empty", "are empty");
        (void)fputc('\n', out);
    }
}

void hm_cli_show_status(struct hm_cli *cli, const json_t *document)
{
    const json_t *alarms = json_object_get(document, "alarms");
    const char *role = json_string_value(json_object_get(document, "role"));
    FILE *out = cli->out;

    hm_cli_print_fill(out, document, "{node}: {role}, version {version}\n");
    if (role != NULL && strcmp(role, "new") == 0) {
        (void)fputs("            it has no programme and no upstream yet: "
                    "hamlet enroll CODE\n",
                    out);
    }
    if (!is_null(document, "damaged")) {
        hm_cli_print_fill(out, document, "DAMAGED     {damaged}\n");
    }
    if (!is_null(document, "revoked")) {
        hm_cli_print_fill(out, document,
                          "REVOKED     since {revoked}: everything here is kept and "
                          "saves are taken, but the centre\n            sets apart "
                          "what is written now; an officer can let this node in "
                          "again by\n            a new enrolment code: hamlet enroll "
                          "CODE\n");
    }
    show_scopes(out, json_object_get(document, "scopes"));
    show_upstream(out, document);
    if (is_null(document, "households")) {
        return; /* the store can't be read: nothing else is known */
    }
    show_unsent(out, document);
    hm_cli_print_fill(
        out, document,
        "receipts    {receipts.hub} at the hub, {receipts.centre} at the centre\n");
    (void)fputs("holds       ", out);
    hm_cli_print_count(out, hm_cli_print_int(document, "households"), "household",
                       "households");
    (void)fputs(", ", out);
    hm_cli_print_count(out, hm_cli_print_int(document, "conflicts"), "conflict",
                       "conflicts");
    hm_cli_print_fill(out, document, ", {quarantine} in quarantine\n");
    if (!is_null(document, "clock_offset_ms")) {
        hm_cli_print_fill(out, document,
                          "clock       {clock_offset_ms} ms off the upstream's\n");
    }
    for (size_t i = 0; i < json_array_size(alarms); i++) {
        const json_t *alarm = json_array_get(alarms, i);

        hm_cli_print_fill(out, alarm, "ALARM       {kind}: {what_to_do}\n");
    }
}

void hm_cli_show_enrolled(struct hm_cli *cli, const json_t *document)
{
    hm_cli_print_fill(cli->out, document, "{node} is enrolled for {scopes}: ");
    if (json_is_array(json_object_get(document, "forms"))) {
        hm_cli_print_count(
            cli->out, (long long)json_array_size(json_object_get(document, "forms")),
            "form", "forms");
    } else {
        hm_cli_print_count(cli->out, hm_cli_print_int(document, "forms"), "form",
                           "forms");
    }
    (void)fputs(", ", cli->out);
    hm_cli_print_count(cli->out, hm_cli_print_int(document, "households"), "household",
                       "households");
    (void)fputs(".\n", cli->out);
}

void hm_cli_show_sync(struct hm_cli *cli, const json_t *document)
{
    char up[32];
    char down[32];
    FILE *out = cli->out;

    (void)fputs("sent ", out);
    hm_cli_print_count(out, hm_cli_print_int(document, "sent.changes"), "change",
                       "changes");
    (void)fprintf(out, " (%s), received ",
                  hm_cli_print_bytes(up, hm_cli_print_int(document, "sent.bytes")));
    hm_cli_print_count(out, hm_cli_print_int(document, "received.households"),
                       "household", "households");
    (void)fprintf(
        out, " (%s), ",
        hm_cli_print_bytes(down, hm_cli_print_int(document, "received.bytes")));
    hm_cli_print_count(out, hm_cli_print_int(document, "round_trips"), "round trip",
                       "round trips");
    (void)fputs(json_is_true(json_object_get(document, "digest_equal"))
                    ? "; both ends are equal\n"
                    : "; the ends are not known to be equal\n",
                out);
}

void hm_cli_show_paused(struct hm_cli *cli, const json_t *document)
{
    (void)fputs(json_is_true(json_object_get(document, "paused"))
                    ? "Syncing is paused; \"hamlet sync\" still works.\n"
                    : "Syncing goes on by itself.\n",
                cli->out);
}

void hm_cli_show_import(struct hm_cli *cli, const json_t *document)
{
    const json_t *rejected = json_object_get(document, "rejected");

    (void)fprintf(cli->out, "accepted %lld, there already %lld, rejected %zu\n",
                  hm_cli_print_int(document, "accepted"),
                  hm_cli_print_int(document, "duplicates"), json_array_size(rejected));
    for (size_t i = 0; i < json_array_size(rejected); i++) {
        const json_t *one = json_array_get(rejected, i);

        hm_cli_print_fill(cli->out, one, "  line {line}: {reason}\n");
    }
}

void hm_cli_show_verified(struct hm_cli *cli, const json_t *document)
{
    static const struct hm_cli_column columns[] = {{"CHECK", "name", false},
                                                   {"SOUND", "ok", false},
                                                   {"COUNT", "count", true},
                                                   {"DETAIL", "detail", false},
                                                   {0}};

    hm_cli_print_table(cli->out, json_object_get(document, "checks"), columns);
}

void hm_cli_show_log(struct hm_cli *cli, const json_t *document)
{
    for (size_t i = 0; i < json_array_size(document); i++) {
        const json_t *line = json_array_get(document, i);

        hm_cli_print_fill(cli->out, line, "{at} {level} {text}\n");
    }
}
