/* hamlet init: the one command that needs no running node. */
#include "daemon/cli/cli.h"
#include "daemon/node_init.h"

static int init_done(struct hm_cli *cli, const struct hm_node_init *options)
{
    json_t *made;

    if (!cli->args.json) {
        (void)fprintf(cli->out, "The node is made. Start it with: hamletd --dir %s\n",
                      options->dir);
        return HM_CLI_DONE;
    }
    made = json_pack("{s:s, s:s?}", "dir", options->dir, "name", options->name);
    if (made == NULL) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "the folder's name is not UTF-8");
    }
    hm_cli_print_document(cli, made);
    json_decref(made);
    return HM_CLI_DONE;
}

int hm_cli_init_run(struct hm_cli *cli)
{
    const struct hm_node_init options = {
        .dir = cli->args.arg[0],
        .name = hm_cli_args_get(&cli->args, "name"),
        .web = hm_cli_args_get(&cli->args, "web"),
        .listen = hm_cli_args_get(&cli->args, "listen"),
        .public = hm_cli_args_get(&cli->args, "public"),
        .phones = hm_cli_args_get(&cli->args, "phones"),
        .programme = hm_cli_args_get(&cli->args, "programme"),
        .store = hm_cli_args_get(&cli->args, "store"),
    };
    struct hm_buf errmsg;
    const char *text;
    int code = HM_CLI_DONE;
    int err;

    hm_buf_init(&errmsg, 4096);
    err = hm_node_init(&options, &errmsg);
    if (err != HM_OK) {
        text = errmsg.len == 0 ? hm_err_text(err) : hm_buf_str(&errmsg);
        code = hm_cli_fail(cli, err == HM_DENIED ? HM_CLI_NOT_ALLOWED : HM_CLI_FAILED,
                           "%s", text == NULL ? hm_err_text(err) : text);
    } else {
        code = init_done(cli, &options);
    }
    hm_buf_deinit(&errmsg);
    return code;
}
