/* Every command, its options and its request: docs/api.md as data. */
#include <stddef.h>

#include "daemon/cli/cli.h"

/* clang-format off */
#define FLAG(name, where, help) {name, 0, HM_CLI_FLAG, where, false, NULL, NULL, help}
#define TEXT(name, where, value, help) \
    {name, 0, HM_CLI_TEXT, where, false, value, NULL, help}
#define NEED(name, where, value, help) \
    {name, 0, HM_CLI_TEXT, where, true, value, NULL, help}
#define NUMBER(name, where, value, help) \
    {name, 0, HM_CLI_NUMBER, where, false, value, NULL, help}
#define OUTPUT(help) {"output", 'o', HM_CLI_TEXT, HM_CLI_LOCAL, false, "FILE", NULL, help}
#define END {0}

static const struct hm_cli_option init_options[] = {
    TEXT("name", HM_CLI_LOCAL, "TEXT", "what people call the node (default: the host's name)"),
    TEXT("web", HM_CLI_LOCAL, "ADDR:PORT", "page and local API, loopback only, or \"off\" (default 127.0.0.1:8470)"),
    TEXT("listen", HM_CLI_LOCAL, "ADDR:PORT", "HTTPS for other nodes and people: makes a hub (default off)"),
    TEXT("public", HM_CLI_LOCAL, "HOST:PORT", "the address in enrolment codes (default: that of --listen)"),
    TEXT("phones", HM_CLI_LOCAL, "ADDR:PORT", "OpenRosa for phones on the local Wi-Fi (default off)"),
    TEXT("programme", HM_CLI_LOCAL, "FOLDER", "publish this programme, a folder or a bundled name: the centre's part"),
    TEXT("store", HM_CLI_LOCAL, "STORE", "\"sqlite\" (default) or a postgres:// URL"),
    END};
static const struct hm_cli_option invite_options[] = {
    {"scope", 0, HM_CLI_LIST, HM_CLI_BODY, true, "CODE", "scopes", "the hamlets or higher units that the device works on"},
    TEXT("name", HM_CLI_BODY, "TEXT", "what people call the device"),
    TEXT("role", HM_CLI_BODY, "ROLE", "enumerator (default) or hub"),
    END};
static const struct hm_cli_option reassign_options[] = {
    {"scope", 0, HM_CLI_LIST, HM_CLI_BODY, true, "CODE", "scopes", "the hamlets or higher units that it works on from now on"},
    END};
static const struct hm_cli_option release_options[] = {
    TEXT("device", HM_CLI_BODY, "ID", "without an ID: all that is held of this device"),
    FLAG("revoked", HM_CLI_BODY, "only what was written after its revocation"),
    TEXT("reason", HM_CLI_BODY, "TEXT", "why, kept with the decision"), END};
static const struct hm_cli_option reason_options[] = {
    TEXT("reason", HM_CLI_BODY, "TEXT", "why, kept with the decision"), END};
static const struct hm_cli_option move_options[] = {
    NEED("scope", HM_CLI_BODY, "CODE", "the hamlet to which it moves"),
    TEXT("reason", HM_CLI_BODY, "TEXT", "why, kept with the change"), END};
static const struct hm_cli_option split_options[] = {
    {"items", 0, HM_CLI_LIST, HM_CLI_BODY, true, "ITEM", "items", "the members that go into the new household"},
    TEXT("reason", HM_CLI_BODY, "TEXT", "why, kept with the change"), END};
static const struct hm_cli_option delete_options[] = {
    NEED("reason", HM_CLI_BODY, "TEXT", "why, kept with the change"), END};
static const struct hm_cli_option revoke_options[] = {
    TEXT("since", HM_CLI_BODY, "DAY", "it was lost on this day (2026-01-31, in UTC), and missed later"),
    TEXT("reason", HM_CLI_BODY, "TEXT", "why"), END};
static const struct hm_cli_option sync_options[] = {
    NUMBER("wait", HM_CLI_QUERY, "SECONDS", "until both ends are equal, at most so long"), END};
static const struct hm_cli_option user_options[] = {
    NEED("role", HM_CLI_BODY, "ROLE", "a role of the programme"),
    NEED("unit", HM_CLI_BODY, "CODE", "the unit that the person works for"),
    {"full-name", 0, HM_CLI_TEXT, HM_CLI_BODY, false, "TEXT", "full_name", "the person's name as it is written"},
    END};
static const struct hm_cli_option user_change_options[] = {
    TEXT("role", HM_CLI_BODY, "ROLE", "another role of the programme"),
    TEXT("unit", HM_CLI_BODY, "CODE", "another unit that the person works for"),
    {"full-name", 0, HM_CLI_TEXT, HM_CLI_BODY, false, "TEXT", "full_name", "the person's name as it is written"},
    END};
static const struct hm_cli_option passwd_options[] = {
    TEXT("code", HM_CLI_BODY, "CODE", "a code of \"user reset\": sets it on this laptop, also without a link"),
    END};
static const struct hm_cli_option reset_options[] = {
    TEXT("device", HM_CLI_BODY, "ID", "for this device (default: every laptop on whose hamlets the person works)"),
    END};
static const struct hm_cli_option unit_options[] = {
    TEXT("under", HM_CLI_QUERY, "CODE", "only what lies below this unit"),
    TEXT("at", HM_CLI_QUERY, "DATE", "as it was on this day (2026-01-31)"),
    END};
static const struct hm_cli_option round_options[] = {
    TEXT("kind", HM_CLI_BODY, "KIND", "the kind of round"),
    TEXT("from", HM_CLI_BODY, "DATE", "its first day"),
    TEXT("to", HM_CLI_BODY, "DATE", "its last day"),
    END};
static const struct hm_cli_option household_options[] = {
    TEXT("scope", HM_CLI_QUERY, "CODE", "only this hamlet or unit"),
    TEXT("where", HM_CLI_QUERY, "EXPR", "only those for which this expression is true"),
    END};
static const struct hm_cli_option history_options[] = {
    FLAG("history", HM_CLI_QUERY, "add every change: who, when, what it replaced"), END};
static const struct hm_cli_option import_options[] = {
    TEXT("form", HM_CLI_QUERY, "ID", "the form that the lines fill (default: the register)"),
    TEXT("round", HM_CLI_QUERY, "CODE", "the round, for a form filled once per round"),
    TEXT("map", HM_CLI_LOCAL, "FILE", "rename columns: lines \"column = field\""),
    END};
static const struct hm_cli_option unit_import_options[] = {
    TEXT("map", HM_CLI_LOCAL, "FILE", "rename columns: lines \"column = field\""), END};
static const struct hm_cli_option export_options[] = {
    TEXT("form", HM_CLI_QUERY, "ID", "only this form"),
    TEXT("round", HM_CLI_QUERY, "CODE", "only this round"),
    TEXT("scope", HM_CLI_QUERY, "CODE", "only this hamlet or unit"),
    TEXT("format", HM_CLI_QUERY, "FORMAT", "csv (default) or jsonl"),
    OUTPUT("write here instead of standard output"),
    END};
static const struct hm_cli_option conflict_options[] = {
    TEXT("scope", HM_CLI_QUERY, "CODE", "only this hamlet or unit"), END};
static const struct hm_cli_option resolve_options[] = {
    TEXT("cell", HM_CLI_BODY, "CELL", "the cell, as \"conflict show\" writes it"),
    NUMBER("take", HM_CLI_BODY, "N", "decide for its value number N"),
    TEXT("value", HM_CLI_BODY, "VALUE", "decide for another value"),
    {"dot", 0, HM_CLI_LIST, HM_CLI_BODY, false, "DOT", "dots", "decide on these values alone, as they were listed: N counts among them"},
    FLAG("all", HM_CLI_BODY, "decide all conflicts at once, of one household or of the node"),
    TEXT("policy", HM_CLI_BODY, "POLICY", "with --all: latest, mine or authority"),
    TEXT("scope", HM_CLI_BODY, "CODE", "with --all: only this hamlet or unit"),
    TEXT("form", HM_CLI_BODY, "ID", "with --all: only this form"),
    TEXT("round", HM_CLI_BODY, "CODE", "with --all: only this round"),
    TEXT("field", HM_CLI_BODY, "NAME", "with --all: only this field"),
    TEXT("kind", HM_CLI_BODY, "KIND", "with --all: values, removed_edited, deleted_edited, moved_moved, merged_merged or merged_edited"),
    TEXT("device", HM_CLI_BODY, "NAME", "with --all: a value was written on this device"),
    TEXT("user", HM_CLI_BODY, "NAME", "with --all: a value was written by this person"),
    TEXT("older", HM_CLI_BODY, "DATE", "with --all: the latest value is older than this day"),
    TEXT("newer", HM_CLI_BODY, "DATE", "with --all: the latest value is of this day or later"),
    {"dry-run", 0, HM_CLI_FLAG, HM_CLI_BODY, false, NULL, "dry_run", "with --all: only count"},
    END};
static const struct hm_cli_option quarantine_export_options[] = {
    OUTPUT("write here instead of standard output"), END};
static const struct hm_cli_option backup_options[] = {
    TEXT("passphrase-file", HM_CLI_LOCAL, "FILE", "seal the backup with the first line of this file"), END};
static const struct hm_cli_option restore_options[] = {
    TEXT("passphrase-file", HM_CLI_LOCAL, "FILE", "the passphrase of a sealed backup: the first line of this file"), END};
static const struct hm_cli_option log_options[] = {
    NUMBER("lines", HM_CLI_QUERY, "N", "the newest N lines (default 200)"),
    FLAG("follow", HM_CLI_QUERY, "and every new one, until interrupted"),
    END};

static const struct hm_cli_column device_columns[] = {
    {"ID", "id", false}, {"NAME", "name", false}, {"ROLE", "role", false},
    {"SCOPES", "scopes", false}, {"STATE", "state", false},
    {"LAST SEEN", "last_seen", false}, {0}};
static const struct hm_cli_column upstream_columns[] = {
    {"ADDRESS", "url", false}, {"DEVICE", "device", false}, {"CURRENT", "current", false}, {0}};
static const struct hm_cli_column alarm_columns[] = {
    {"ID", "id", false}, {"KIND", "kind", false}, {"DEVICE", "device_name", false},
    {"SINCE", "since", false}, {"COUNT", "count", true},
    {"WHAT TO DO", "what_to_do", false}, {0}};
static const struct hm_cli_column user_columns[] = {
    {"NAME", "name", false}, {"FULL NAME", "full_name", false}, {"ROLE", "role", false},
    {"UNIT", "unit", false}, {"STATE", "state", false}, {0}};
static const struct hm_cli_column unit_columns[] = {
    {"CODE", "code", false}, {"NAME", "name", false}, {"KIND", "kind", false},
    {"UNDER", "parent", false}, {"FROM", "from", false}, {"TO", "to", false},
    {"ID", "id", false}, {0}};
static const struct hm_cli_column round_columns[] = {
    {"CODE", "code", false}, {"KIND", "kind", false}, {"FROM", "from", false},
    {"TO", "to", false}, {"STATE", "state", false}, {0}};
static const struct hm_cli_column form_columns[] = {
    {"ID", "id", false}, {"VERSION", "version", false}, {"FILLED", "fill", false},
    {"TITLE", "title", false}, {0}};
static const struct hm_cli_column household_columns[] = {
    {"HOUSEHOLD", "household", false}, {"SCOPE", "scope", false},
    {"HEAD", "head_name", false}, {"MEMBERS", "members", true},
    {"CONFLICTS", "conflicts", true}, {"FINDINGS", "findings", true},
    {"CHANGED", "changed", false}, {"ADDRESS", "address", false}, {0}};
static const struct hm_cli_column duplicate_columns[] = {
    {"A", "a", false}, {"B", "b", false}, {"SCORE", "score", true},
    {"BECAUSE", "because", false}, {0}};
static const struct hm_cli_column notice_columns[] = {
    {"ID", "id", false}, {"HOUSEHOLD", "household", false}, {"CELL", "cell", false},
    {"WAS", "lost", false}, {"IS", "value", false}, {"BY", "who", false},
    {"WHEN", "when", false}, {0}};
static const struct hm_cli_column quarantine_columns[] = {
    {"ID", "id", false}, {"HOUSEHOLD", "household", false}, {"WHO", "who", false},
    {"DEVICE", "device", false}, {"SINCE", "since", false}, {"STATE", "state", false},
    {"REASON", "reason", false}, {0}};

#define GET "GET"
#define POST "POST"

static const struct hm_cli_command table[] = {
    {.name = "init", .args = "DIR", .summary = "Make a node in a new folder",
     .options = init_options, .arg_count_min = 1, .arg_count_max = 1, .method = "",
     .path = "", .run = hm_cli_init_run},
    {.name = "repair", .args = "", .summary = "Mend the store of a node that is not running",
     .method = "", .path = "", .run = hm_cli_repair_run},
    {.name = "rekey", .args = "", .summary = "Make a copy of a laptop a device of its own; it must not be running",
     .method = "", .path = "", .run = hm_cli_rekey_run},
    {.name = "status", .args = "", .summary = "Show how the node is",
     .method = GET, .path = "status", .show = hm_cli_show_status},
    {.name = "device invite", .args = "", .summary = "Make an enrolment code for a device",
     .options = invite_options, .method = POST, .path = "devices/invitations",
     .show = hm_cli_show_invitation},
    {.name = "device list", .args = "", .summary = "List the devices",
     .method = GET, .path = "devices", .columns = device_columns, .empty = "No devices."},
    {.name = "device revoke", .args = "ID", .summary = "Trust a device no more",
     .options = revoke_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "devices/{}/revoke"},
    {.name = "device reassign", .args = "ID", .summary = "Give a device other hamlets to work on",
     .options = reassign_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "devices/{}/reassign"},
    {.name = "device close", .args = "ID", .summary = "Say that no more work of a lost device will come",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "devices/{}/close"},
    {.name = "enroll", .args = "CODE", .summary = "Join the hub that issued the code",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "enroll",
     .key = "code", .show = hm_cli_show_enrolled},
    {.name = "upstream list", .args = "", .summary = "List the hubs that this node is enrolled at",
     .method = GET, .path = "upstreams", .columns = upstream_columns, .empty = "No upstream."},
    {.name = "upstream use", .args = "ADDRESS", .summary = "Sync with this one of them from now on",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "upstreams/use",
     .key = "upstream"},
    {.name = "sync", .args = "", .summary = "Sync with the upstream now",
     .options = sync_options, .method = POST, .path = "sync", .run = hm_cli_sync_run,
     .show = hm_cli_show_sync},
    {.name = "sync pause", .args = "", .summary = "Sync only when told to",
     .method = POST, .path = "sync/pause", .show = hm_cli_show_paused},
    {.name = "sync resume", .args = "", .summary = "Sync by itself again",
     .method = POST, .path = "sync/resume", .show = hm_cli_show_paused},
    {.name = "alarm list", .args = "", .summary = "List what needs a person",
     .method = GET, .path = "alarms", .columns = alarm_columns, .empty = "No alarms."},
    {.name = "alarm clear", .args = "ID", .summary = "Mark an alarm as dealt with",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "alarms/{}/clear"},
    {.name = "user add", .args = "NAME", .summary = "Add a person; the passphrase comes from standard input",
     .options = user_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "users", .key = "name", .run = hm_cli_user_run_add},
    {.name = "user list", .args = "", .summary = "List the people with accounts",
     .method = GET, .path = "users", .columns = user_columns, .empty = "No users."},
    {.name = "user passwd", .args = "NAME", .summary = "Set a new passphrase, from standard input",
     .options = passwd_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "users/{}/passphrase", .run = hm_cli_user_run_passwd},
    {.name = "user disable", .args = "NAME", .summary = "Close an account",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "users/{}/disable"},
    {.name = "user enable", .args = "NAME", .summary = "Open a closed account again",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "users/{}/enable"},
    {.name = "user change", .args = "NAME", .summary = "Give a person another role or unit",
     .options = user_change_options, .arg_count_min = 1, .arg_count_max = 1,
     .method = POST, .path = "users/{}/change"},
    {.name = "user reset", .args = "NAME", .summary = "Make a one-time code for who forgot the passphrase",
     .options = reset_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "users/{}/reset", .show = hm_cli_show_reset},
    {.name = "user check", .args = "NAME", .summary = "Say whether a passphrase is right here, from standard input",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "users/{}/check",
     .run = hm_cli_user_run_check},
    {.name = "unit list", .args = "", .summary = "List provinces, districts, communes and hamlets",
     .options = unit_options, .method = GET, .path = "units", .columns = unit_columns,
     .empty = "No units."},
    {.name = "unit import", .args = "FILE.csv", .summary = "Add and rename units from a table",
     .options = unit_import_options, .arg_count_min = 1, .arg_count_max = 1,
     .method = POST, .path = "units/import", .run = hm_cli_import_run,
     .show = hm_cli_show_import},
    {.name = "round list", .args = "", .summary = "List the rounds",
     .method = GET, .path = "rounds", .columns = round_columns, .empty = "No rounds."},
    {.name = "round open", .args = "CODE", .summary = "Open a round; make it if it is new",
     .options = round_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "rounds/{}/open"},
    {.name = "round close", .args = "CODE", .summary = "Close a round",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "rounds/{}/close"},
    {.name = "form list", .args = "", .summary = "List the forms",
     .method = GET, .path = "forms", .columns = form_columns, .empty = "No forms."},
    {.name = "form publish", .args = "FILE.xml", .summary = "Check a form and publish it",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "forms",
     .run = hm_cli_form_run_publish, .show = hm_cli_show_form},
    {.name = "form show", .args = "ID", .summary = "Show a form's fields",
     .arg_count_min = 1, .arg_count_max = 1, .method = GET, .path = "forms/{}",
     .show = hm_cli_show_form},
    {.name = "household list", .args = "", .summary = "List households",
     .options = household_options, .method = GET, .path = "households",
     .columns = household_columns, .empty = "No households."},
    {.name = "household show", .args = "ID", .summary = "Show a household's answers",
     .options = history_options, .arg_count_min = 1, .arg_count_max = 1, .method = GET,
     .path = "households/{}", .show = hm_cli_show_household},
    {.name = "household put", .args = "[FILE]", .summary = "Save one household from a JSON file or standard input",
     .arg_count_max = 1, .method = POST, .path = "households", .run = hm_cli_save_run,
     .show = hm_cli_show_saved},
    {.name = "household move", .args = "ID", .summary = "Move a household to another hamlet",
     .options = move_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "households/{}/move"},
    {.name = "household merge", .args = "A B", .summary = "Merge a second registration A into household B",
     .options = reason_options, .arg_count_min = 2, .arg_count_max = 2, .method = POST,
     .path = "households/{}/merge", .key = "into"},
    {.name = "household unmerge", .args = "A", .summary = "Take the merge of household A back",
     .options = reason_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "households/{}/unmerge"},
    {.name = "household split", .args = "ID", .summary = "Make a new household of some of its members",
     .options = split_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "households/{}/split"},
    {.name = "household delete", .args = "ID", .summary = "Delete a household",
     .options = delete_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "households/{}/delete"},
    {.name = "household decide", .args = "ID", .summary = "Record that a household was decided on as it is now",
     .options = reason_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "households/{}/decide"},
    {.name = "import", .args = "FILE.csv", .summary = "Save many households from a table",
     .options = import_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "import", .run = hm_cli_import_run, .show = hm_cli_show_import},
    {.name = "export", .args = "", .summary = "Write answers as a table",
     .options = export_options, .method = GET, .path = "export",
     .run = hm_cli_export_run},
    {.name = "conflict list", .args = "", .summary = "List answers that contradict each other",
     .options = conflict_options, .method = GET, .path = "conflicts",
     .show = hm_cli_show_conflict_list},
    {.name = "conflict show", .args = "HOUSEHOLD", .summary = "Show a household's conflicts with numbered values",
     .arg_count_min = 1, .arg_count_max = 1, .method = GET, .path = "conflicts/{}",
     .show = hm_cli_show_conflicts},
    {.name = "conflict resolve", .args = "[HOUSEHOLD]", .summary = "Decide a conflict, or all at once",
     .options = resolve_options, .arg_count_max = 1, .method = POST,
     .path = "conflicts/{}/resolve", .run = hm_cli_conflict_run_resolve,
     .show = hm_cli_show_resolved},
    {.name = "conflict undo", .args = "CHANGE", .summary = "Take a decision back, or all that were made at once",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "conflicts/undo",
     .key = "change"},
    {.name = "duplicates", .args = "", .summary = "List households that may be one family",
     .options = conflict_options, .method = GET, .path = "duplicates",
     .columns = duplicate_columns, .empty = "No duplicates."},
    {.name = "duplicates apart", .args = "A B", .summary = "Say that two households are not the same",
     .options = reason_options, .arg_count_min = 2, .arg_count_max = 2, .method = POST,
     .path = "duplicates/{}/apart", .key = "other"},
    {.name = "notice list", .args = "", .summary = "List own answers that others have replaced",
     .method = GET, .path = "notices", .columns = notice_columns, .empty = "No notices."},
    {.name = "notice clear", .args = "ID", .summary = "Mark a notice as read",
     .arg_count_min = 1, .arg_count_max = 1, .method = POST, .path = "notices/{}/clear"},
    {.name = "quarantine list", .args = "", .summary = "List changes that could not be accepted",
     .method = GET, .path = "quarantine", .columns = quarantine_columns,
     .empty = "Nothing is in quarantine."},
    {.name = "quarantine show", .args = "ID", .summary = "Show one of them",
     .arg_count_min = 1, .arg_count_max = 1, .method = GET, .path = "quarantine/{}"},
    {.name = "quarantine release", .args = "[ID]", .summary = "Accept one after all, or all of a device, as changes of your own",
     .options = release_options, .arg_count_max = 1, .method = POST,
     .path = "quarantine/{}/release", .run = hm_cli_quarantine_run_release},
    {.name = "quarantine export", .args = "[ID]", .summary = "Write them out whole, one JSON object on each line",
     .options = quarantine_export_options, .arg_count_max = 1, .method = GET,
     .path = "quarantine/export", .run = hm_cli_export_run},
    {.name = "backup", .args = "FILE", .summary = "Write the whole node into one file",
     .options = backup_options, .arg_count_min = 1, .arg_count_max = 1, .method = POST,
     .path = "backup", .run = hm_cli_backup_run},
    {.name = "restore", .args = "FILE DIR", .summary = "Make a node out of a backup, in a new folder",
     .options = restore_options, .arg_count_min = 2, .arg_count_max = 2, .method = "",
     .path = "", .run = hm_cli_restore_run},
    {.name = "restore finished", .args = "", .summary = "Say that what is still missing will not come back",
     .method = POST, .path = "restore/finished"},
    {.name = "verify", .args = "", .summary = "Check store, chains, digests and blobs",
     .method = POST, .path = "verify", .run = hm_cli_verify_run,
     .show = hm_cli_show_verified},
    {.name = "log", .args = "", .summary = "Show the node's log",
     .options = log_options, .method = GET, .path = "log", .run = hm_cli_log_run,
     .show = hm_cli_show_log},
    {.name = "metrics", .args = "", .summary = "Show the node's counters",
     .method = GET, .path = "/metrics", .run = hm_cli_metrics_run},
    {0},
};
/* clang-format on */

const struct hm_cli_command *hm_cli_table(void)
{
    return table;
}
