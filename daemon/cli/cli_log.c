/* hamlet log --follow, and hamlet metrics as JSON. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/cli_metrics.h"

/* Lines arrive in pieces. */
struct follow {
    struct hm_cli *cli;
    struct hm_buf line;
};

static void print_line(struct follow *f)
{
    json_t *one = NULL;
    json_t *list;

    if (f->cli->args.json) {
        (void)fwrite(f->line.data, 1, f->line.len, f->cli->out);
        (void)fputc('\n', f->cli->out);
        return;
    }
    one = json_loadb((const char *)f->line.data, f->line.len, 0, NULL);
    list = one == NULL ? NULL : json_pack("[O]", one);
    if (list != NULL) {
        hm_cli_show_log(f->cli, list);
    }
    json_decref(list);
    json_decref(one);
}

static int on_piece(void *owner, struct hm_bytes piece)
{
    struct follow *f = owner;

    for (size_t i = 0; i < piece.len; i++) {
        if (piece.data[i] != '\n') {
            hm_buf_append_u8(&f->line, piece.data[i]);
            continue;
        }
        if (f->line.err == HM_OK && f->line.len > 0) {
            print_line(f);
        }
        hm_buf_clear(&f->line);
    }
    return fflush(f->cli->out) == 0 ? 0 : -1;
}

static int follow(struct hm_cli *cli)
{
    struct follow f = {.cli = cli};
    struct hm_cli_request req = {.method = "GET", .write = on_piece, .owner = &f};
    struct hm_cli_answer answer;
    struct hm_buf path;
    int code;

    hm_buf_init(&f.line, HM_CLI_SAVE_BYTES_MAX);
    hm_buf_init(&path, 4096);
    hm_cli_http_answer_init(&answer, HM_CLI_SAVE_BYTES_MAX);
    (void)hm_cli_request_path(&cli->args, &path);
    req.path = hm_buf_str(&path);
    code = hm_cli_perform(cli, &req, &answer);
    if (code == HM_CLI_DONE && hm_cli_exit_of_status(answer.status) != HM_CLI_DONE) {
        code = hm_cli_problem(cli, &answer);
    }
    hm_cli_http_answer_deinit(&answer);
    hm_buf_deinit(&path);
    hm_buf_deinit(&f.line);
    return code;
}

int hm_cli_log_run(struct hm_cli *cli)
{
    return hm_cli_args_has(&cli->args, "follow") ? follow(cli)
                                                 : hm_cli_send_json(cli, NULL);
}

static int print_metrics(struct hm_cli *cli, struct hm_cli_answer *answer)
{
    json_t *document;

    if (hm_cli_exit_of_status(answer->status) != HM_CLI_DONE) {
        return hm_cli_problem(cli, answer);
    }
    if (!cli->args.json) {
        (void)fwrite(answer->body.data, 1, answer->body.len, cli->out);
        return HM_CLI_DONE;
    }
    document = hm_cli_metrics_parse(hm_buf_bytes(&answer->body));
    if (document == NULL) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "the node's counters make no sense");
    }
    hm_cli_print_document(cli, document);
    json_decref(document);
    return HM_CLI_DONE;
}

int hm_cli_metrics_run(struct hm_cli *cli)
{
    struct hm_cli_request req = {.method = "GET", .path = cli->args.command->path};
    struct hm_cli_answer answer;
    int code;

    hm_cli_http_answer_init(&answer, HM_CLI_ANSWER_BYTES_MAX);
    code = hm_cli_perform(cli, &req, &answer);
    if (code == HM_CLI_DONE) {
        code = print_metrics(cli, &answer);
    }
    hm_cli_http_answer_deinit(&answer);
    return code;
}
