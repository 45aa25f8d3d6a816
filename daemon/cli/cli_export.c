/* hamlet export and hamlet quarantine export: an answer that streams to a file or to
 * standard output. */
#include <errno.h>
#include <string.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/cli_file.h"

struct download {
    FILE *to;
    uint64_t bytes;
};

static int on_piece(void *owner, struct hm_bytes piece)
{
    struct download *d = owner;

    d->bytes += piece.len;
    return fwrite(piece.data, 1, piece.len, d->to) == piece.len ? 0 : -1;
}

static void append_id(struct hm_cli *cli, struct hm_buf *path)
{
    if (cli->args.arg_count > 0) {
        hm_buf_append_str(path, "?id=");
        hm_cli_http_encode(path, cli->args.arg[0]);
    }
}

static int fetch(struct hm_cli *cli, struct download *d)
{
    struct hm_cli_request req = {.method = "GET", .write = on_piece, .owner = d};
    struct hm_cli_answer answer;
    struct hm_buf path;
    int code;

    hm_buf_init(&path, 64 * 1024);
    hm_cli_http_answer_init(&answer, HM_CLI_SAVE_BYTES_MAX);
    (void)hm_cli_request_path(&cli->args, &path);
    append_id(cli, &path);
    req.path = hm_buf_str(&path);
    code = req.path == NULL
               ? hm_cli_fail(cli, HM_CLI_FAILED, "%s", hm_err_text(HM_NOMEM))
               : hm_cli_perform(cli, &req, &answer);
    if (code == HM_CLI_DONE && hm_cli_exit_of_status(answer.status) != HM_CLI_DONE) {
        code = hm_cli_problem(cli, &answer);
    }
    hm_cli_http_answer_deinit(&answer);
    hm_buf_deinit(&path);
    return code;
}

static void say_written(struct hm_cli *cli, const char *name, uint64_t bytes)
{
    json_t *document;

    if (!cli->args.json) {
        (void)fprintf(cli->err, "hamlet: %s is written\n", name);
        return;
    }
    document = json_pack("{s:s, s:I}", "file", name, "bytes", (json_int_t)bytes);
    if (document != NULL) {
        hm_cli_print_document(cli, document);
    }
    json_decref(document);
}

static int export_to_file(struct hm_cli *cli, const char *name)
{
    struct hm_cli_file to = {0};
    struct download d = {0};
    int code;

    if (hm_cli_file_open(&to, name) != HM_OK) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", name, strerror(errno));
    }
    d.to = to.file;
    code = fetch(cli, &d);
    if (code == HM_CLI_DONE && hm_cli_file_commit(&to) != HM_OK) {
        code = hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", name, strerror(errno));
    }
    if (code == HM_CLI_DONE) {
        say_written(cli, name, d.bytes);
    }
    hm_cli_file_abort(&to);
    return code;
}

int hm_cli_export_run(struct hm_cli *cli)
{
    const char *name = hm_cli_args_get(&cli->args, "output");
    struct download d = {.to = cli->out};

    if (name != NULL && strcmp(name, "-") != 0) {
        return export_to_file(cli, name);
    }
    if (cli->args.json) {
        return hm_cli_fail(cli, HM_CLI_USAGE,
                           "an export has its own format: --json goes with -o FILE");
    }
    return fetch(cli, &d);
}
