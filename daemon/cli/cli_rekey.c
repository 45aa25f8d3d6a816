/* hamlet rekey: needs a node that is not running. */
#include <inttypes.h>
#include <sodium.h>

#include "daemon/cli/cli.h"
#include "daemon/node_rekey.h"

int hm_cli_rekey_run(struct hm_cli *cli)
{
    struct hm_node_rekey done = {.now = 0};
    struct hm_buf errmsg;
    const char *text;
    int code = HM_CLI_DONE;
    int err = HM_IO;

    hm_buf_init(&errmsg, 16 * 1024);
    if (sodium_init() < 0) {
        hm_buf_append_str(&errmsg, "this machine gives no random numbers");
    } else {
        err = hm_node_rekey(cli->args.dir, &done, &errmsg);
    }
    if (err != HM_OK) {
        text = errmsg.len == 0 ? NULL : hm_buf_str(&errmsg);
        code = hm_cli_fail(cli, err == HM_DENIED ? HM_CLI_NOT_ALLOWED : HM_CLI_FAILED,
                           "%s", text == NULL ? hm_err_text(err) : text);
    } else if (cli->args.json) {
        (void)fprintf(cli->out,
                      "{\"before\":\"%016" PRIx64 "\",\"device\":\"%016" PRIx64 "\"}\n",
                      done.before, done.now);
    } else {
        (void)fprintf(
            cli->out,
            "This node is device %016" PRIx64 " now, and enrolled nowhere; what "
            "it had written is kept. Start it and enroll it with a new code.\n",
            done.now);
    }
    hm_buf_deinit(&errmsg);
    return code;
}
