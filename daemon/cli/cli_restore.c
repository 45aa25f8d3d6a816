/* hamlet restore: makes a node out of a backup; no node runs. */
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#include "daemon/cli/cli.h"
#include "daemon/node_restore.h"

enum { PASSPHRASE_MAX = 1024 };

static const char *role_name(enum hm_node_role role)
{
    static const char *const names[] = {"new", "laptop", "hub", "centre"};

    return names[role];
}

static void time_text(int64_t utc_ms, char out[32])
{
    time_t seconds = (time_t)(utc_ms / 1000);
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        (void)strcpy(out, "an unknown time");
    }
}

static void print(struct hm_cli *cli, const char *dir,
                  const struct hm_node_restore *done)
{
    char device[20];
    char made[32];
    json_t *json;

    (void)snprintf(device, sizeof device, "%016" PRIx64, done->device);
    time_text(done->made_utc_ms, made);
    if (!cli->args.json) {
        (void)fprintf(cli->out,
                      "%s holds %s again, as it was at %s: %" PRIu64 " households.\n"
                      "Start it with: hamletd --dir %s\n",
                      dir, done->name, made, done->households, dir);
        if (done->store_was_apart) {
            (void)fputs("Its store lies in this folder now; the configuration says so "
                        "and has its other settings as they were.\n",
                        cli->out);
        }
        return;
    }
    json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "dir", dir, "node",
                     done->name, "role", role_name(done->role), "device", device,
                     "made", made, "households", (json_int_t)done->households, "bytes",
                     (json_int_t)done->bytes);
    hm_cli_print_document(cli, json);
    json_decref(json);
}

int hm_cli_restore_run(struct hm_cli *cli)
{
    const char *secret_file = hm_cli_args_get(&cli->args, "passphrase-file");
    struct hm_node_restore done = {.device = 0};
    char secret[PASSPHRASE_MAX] = "";
    struct hm_buf errmsg;
    const char *text;
    int code = HM_CLI_DONE;
    int err = HM_IO;

    if (secret_file != NULL) {
        code = hm_cli_read_passphrase(cli, secret_file, secret, sizeof secret);
    }
    if (code != HM_CLI_DONE) {
        return code;
    }
    hm_buf_init(&errmsg, 16 * 1024);
    if (sodium_init() < 0) {
        hm_buf_append_str(&errmsg, "this machine gives no random numbers");
    } else {
        err = hm_node_restore(cli->args.arg[0], cli->args.arg[1], hm_bytes_str(secret),
                              &done, &errmsg);
    }
    sodium_memzero(secret, sizeof secret);
    if (err != HM_OK) {
        text = errmsg.len == 0 ? NULL : hm_buf_str(&errmsg);
        code = hm_cli_fail(cli, err == HM_DENIED ? HM_CLI_NOT_ALLOWED : HM_CLI_FAILED,
                           "%s", text == NULL ? hm_err_text(err) : text);
    } else {
        print(cli, cli->args.arg[1], &done);
    }
    hm_buf_deinit(&errmsg);
    return code;
}
