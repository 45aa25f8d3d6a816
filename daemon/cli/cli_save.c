/* Commands that send one small thing read from a file or standard input, and those
 * whose request differs a little from what their row says. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cli/cli.h"

/* Read all of file into to. Returns an exit code; a failure has been said. */
static int read_all(struct hm_cli *cli, FILE *file, const char *name, struct hm_buf *to)
{
    char piece[16 * 1024];
    size_t got;

    while ((got = fread(piece, 1, sizeof piece, file)) > 0) {
        hm_buf_append(to, hm_bytes_of(piece, got));
    }
    if (ferror(file) != 0) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", name, strerror(errno));
    }
    if (to->err != HM_OK) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", name, hm_err_text(to->err));
    }
    return HM_CLI_DONE;
}

int hm_cli_save_run(struct hm_cli *cli)
{
    const char *name = cli->args.arg_count == 0 ? "-" : cli->args.arg[0];
    bool from_in = strcmp(name, "-") == 0;
    FILE *file = from_in ? cli->in : fopen(name, "rbe");
    struct hm_cli_request req = {.method = "POST",
                                 .path = "/api/v1/households",
                                 .content_type = "application/json"};
    struct hm_cli_answer answer;
    struct hm_buf body;
    int code;

    if (file == NULL) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", name, strerror(errno));
    }
    hm_buf_init(&body, HM_CLI_SAVE_BYTES_MAX);
    hm_cli_http_answer_init(&answer, HM_CLI_ANSWER_BYTES_MAX);
    code = read_all(cli, file, from_in ? "standard input" : name, &body);
    if (code == HM_CLI_DONE) {
        req.body = hm_buf_bytes(&body);
        code = hm_cli_perform(cli, &req, &answer);
    }
    if (code == HM_CLI_DONE) {
        code = hm_cli_finish(cli, &answer);
    }
    if (!from_in) {
        (void)fclose(file); /* read only: nothing can be lost */
    }
    hm_cli_http_answer_deinit(&answer);
    hm_buf_deinit(&body);
    return code;
}

/* An option that says which conflicts of all are decided. */
static bool has_filter(const struct hm_cli_args *args)
{
    static const char *const names[] = {"scope",  "form", "round", "field", "kind",
                                        "device", "user", "older", "newer", "dry-run"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (hm_cli_args_has(args, names[i])) {
            return true;
        }
    }
    return false;
}

static int check_resolve(struct hm_cli *cli)
{
    const struct hm_cli_args *args = &cli->args;
    bool all = hm_cli_args_has(args, "all");
    bool take = hm_cli_args_has(args, "take");
    bool value = hm_cli_args_has(args, "value");
    const char *wrong = NULL;

    if (all && !hm_cli_args_has(args, "policy")) {
        wrong = "--all needs --policy latest, mine or authority";
    } else if (all && (take || value || hm_cli_args_has(args, "cell") ||
                       hm_cli_args_has(args, "dot"))) {
        wrong = "--all goes without --cell, --take, --value and --dot";
    } else if (!all && args->arg_count == 0) {
        wrong = "say which HOUSEHOLD, or --all";
    } else if (!all && (!hm_cli_args_has(args, "cell") || take == value)) {
        wrong = "say --cell CELL and one of --take N and --value V";
    } else if (!all && (hm_cli_args_has(args, "policy") || has_filter(args))) {
        wrong = "--policy, --scope, --form and what else selects go with --all";
    } else if (args->arg_count > 0 && has_filter(args)) {
        wrong = "--scope, --form and what else selects go without a HOUSEHOLD";
    }
    return wrong == NULL ? HM_CLI_DONE
                         : hm_cli_fail(cli, HM_CLI_USAGE,
                                       "%s; see hamlet conflict resolve --help", wrong);
}

int hm_cli_conflict_run_resolve(struct hm_cli *cli)
{
    const struct hm_cli_command *row = cli->args.command;
    struct hm_cli_command all = *row;
    int code = check_resolve(cli);
    json_t *body;

    if (code != HM_CLI_DONE) {
        return code;
    }
    if (cli->args.arg_count == 0) {
        all.path = "conflicts/resolve";
        cli->args.command = &all;
    }
    body = hm_cli_request_body(&cli->args, cli->args.arg_count);
    code = hm_cli_send_json(cli, body);
    cli->args.command = row;
    json_decref(body);
    return code;
}

int hm_cli_quarantine_run_release(struct hm_cli *cli)
{
    const struct hm_cli_command *row = cli->args.command;
    bool one = cli->args.arg_count > 0;
    struct hm_cli_command all = *row;
    json_t *body = hm_cli_request_body(&cli->args, cli->args.arg_count);
    bool of_device = json_object_get(body, "device") != NULL;
    int code;

    if (body == NULL) {
        return hm_cli_fail(cli, HM_CLI_USAGE, "an argument is not UTF-8");
    }
    if (one == of_device || (one && json_object_get(body, "revoked") != NULL)) {
        json_decref(body);
        return hm_cli_fail(cli, HM_CLI_USAGE,
                           "either the ID of one, or --device with or without "
                           "--revoked");
    }
    if (!one) {
        all.path = "quarantine/release";
        cli->args.command = &all;
    }
    code = hm_cli_send_json(cli, body);
    cli->args.command = row;
    json_decref(body);
    return code;
}

/* The node has another working folder than the person. */
static int make_absolute(struct hm_cli *cli, const char *name, struct hm_buf *to)
{
    char here[PATH_MAX];

    if (name[0] != '/') {
        if (getcwd(here, sizeof here) == NULL) {
            return hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", name, strerror(errno));
        }
        hm_buf_printf(to, "%s/", here);
    }
    hm_buf_append_str(to, name);
    return HM_CLI_DONE;
}

int hm_cli_read_passphrase(struct hm_cli *cli, const char *name, char *line, int size)
{
    FILE *file = fopen(name, "re");
    bool got;

    if (file == NULL) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", name, strerror(errno));
    }
    got = fgets(line, size, file) != NULL;
    (void)fclose(file); /* read only */
    if (got) {
        line[strcspn(line, "\r\n")] = 0;
    }
    return got && line[0] != 0
               ? HM_CLI_DONE
               : hm_cli_fail(cli, HM_CLI_FAILED, "%s: its first line is empty", name);
}

int hm_cli_backup_run(struct hm_cli *cli)
{
    const char *secret_file = hm_cli_args_get(&cli->args, "passphrase-file");
    char secret[1024] = "";
    struct hm_buf path;
    const char *text;
    json_t *body = NULL;
    int code;

    hm_buf_init(&path, 2 * PATH_MAX);
    code = make_absolute(cli, cli->args.arg[0], &path);
    if (code == HM_CLI_DONE && secret_file != NULL) {
        code = hm_cli_read_passphrase(cli, secret_file, secret, sizeof secret);
    }
    if (code == HM_CLI_DONE) {
        text = hm_buf_str(&path);
        body = text == NULL ? NULL
                            : json_pack("{s:s, s:s*}", "path", text, "passphrase",
                                        secret_file == NULL ? NULL : secret);
        code = body == NULL
                   ? hm_cli_fail(cli, HM_CLI_FAILED, "%s: not UTF-8", cli->args.arg[0])
                   : hm_cli_send_json(cli, body);
    }
    json_decref(body);
    hm_buf_deinit(&path);
    return code;
}

struct waiting {
    struct hm_cli *cli;
    time_t since;
    long shown;
};

static void on_waiting(void *owner, uint64_t sent, uint64_t received)
{
    struct waiting *w = owner;
    long seconds = (long)(time(NULL) - w->since);

    (void)sent;
    (void)received;
    if (seconds >= w->shown + 1) {
        (void)fprintf(w->cli->err, "\rsyncing, %ld s ", seconds);
        (void)fflush(w->cli->err);
        w->shown = seconds;
    }
}

int hm_cli_sync_run(struct hm_cli *cli)
{
    struct waiting w = {.cli = cli, .since = time(NULL)};
    struct hm_cli_request req = {.method = "POST", .owner = &w};
    struct hm_cli_answer answer;
    struct hm_buf path;
    int code;

    hm_buf_init(&path, 4096);
    hm_cli_http_answer_init(&answer, HM_CLI_ANSWER_BYTES_MAX);
    (void)hm_cli_request_path(&cli->args, &path);
    req.path = hm_buf_str(&path);
    if (isatty(fileno(cli->err)) != 0) {
        req.progress = on_waiting;
    }
    code = hm_cli_perform(cli, &req, &answer);
    if (w.shown > 0) {
        (void)fputs("\r                    \r", cli->err);
    }
    if (code == HM_CLI_DONE) {
        code = hm_cli_finish(cli, &answer);
    }
    hm_cli_http_answer_deinit(&answer);
    hm_buf_deinit(&path);
    return code;
}

/* Digests are compared with those of the upstream as they are now, when it can be
 * reached. */
int hm_cli_verify_run(struct hm_cli *cli)
{
    struct hm_cli_request req = {.method = "POST", .path = "/api/v1/sync?wait=30"};
    struct hm_cli_answer answer;
    const char *text;
    int code;

    hm_cli_http_answer_init(&answer, HM_CLI_ANSWER_BYTES_MAX);
    code = hm_cli_perform(cli, &req, &answer);
    text = answer.body.len == 0 ? NULL : hm_buf_str(&answer.body);
    if (code == HM_CLI_DONE && answer.status == 200 && text != NULL &&
        strstr(text, "\"ok\"") == NULL) {
        (void)fputs("hamlet: the upstream can't be reached or differs: digests are "
                    "compared as of the last sync\n",
                    cli->err);
    }
    hm_cli_http_answer_deinit(&answer);
    return code == HM_CLI_NOT_RUNNING ? code : hm_cli_send_json(cli, NULL);
}
