/* hamlet repair: needs a node that is not running. */
#include <sodium.h>

#include "daemon/cli/cli.h"
#include "daemon/node_repair.h"

static json_t *counts_json(const struct hm_repair_report *report)
{
    json_t *list = json_array();

    for (int i = 0; i < HM_REPAIR_KIND_COUNT; i++) {
        const struct hm_repair_count *count = &report->counts[i];

        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:I, s:I, s:I}", "what",
                      hm_repair_kind_text((enum hm_repair_kind)i), "found",
                      (json_int_t)count->found, "restored", (json_int_t)count->restored,
                      "missing", (json_int_t)count->missing));
    }
    return list;
}

static void print_json(struct hm_cli *cli, const struct hm_node_repair *done)
{
    const struct hm_repair_report *report = &done->report;
    json_t *json = json_pack(
        "{s:b, s:s?, s:s?, s:o, s:I, s:I, s:I}", "sound", done->sound, "damage",
        done->damage[0] == 0 ? NULL : done->damage, "old_store",
        done->aside[0] == 0 ? NULL : done->aside, "kinds",
        done->sound ? json_array() : counts_json(report), "unreadable_places",
        (json_int_t)report->holes, "torn_bytes", (json_int_t)report->torn_bytes,
        "set_apart", (json_int_t)report->set_apart);

    hm_cli_print_document(cli, json);
    json_decref(json);
}

static void print_words(struct hm_cli *cli, const struct hm_node_repair *done)
{
    const struct hm_repair_report *report = &done->report;
    FILE *out = cli->out;

    if (done->sound) {
        (void)fputs("The store is sound; nothing was done.\n", out);
        return;
    }
    for (int i = 0; i < HM_REPAIR_KIND_COUNT; i++) {
        const struct hm_repair_count *count = &report->counts[i];

        (void)fprintf(out, "%s: %llu found, %llu restored, %llu missing\n",
                      hm_repair_kind_text((enum hm_repair_kind)i),
                      (unsigned long long)count->found,
                      (unsigned long long)count->restored,
                      (unsigned long long)count->missing);
    }
    if (report->set_apart > 0) {
        (void)fprintf(
            out,
            "%llu own changes came behind missing ones and are in quarantine: "
            "hamlet quarantine list\n",
            (unsigned long long)report->set_apart);
    }
    if (done->aside[0] != 0) {
        (void)fprintf(out, "The old store is kept as %s\n", done->aside);
    }
    (void)fprintf(out,
                  "Start the node again; the next sync brings what its upstream or "
                  "its laptops have.\n");
}

int hm_cli_repair_run(struct hm_cli *cli)
{
    struct hm_node_repair done = {.sound = false};
    struct hm_buf errmsg;
    const char *text;
    int code = HM_CLI_DONE;
    int err = HM_IO;

    hm_buf_init(&errmsg, 4096);
    if (sodium_init() < 0) {
        hm_buf_append_str(&errmsg, "this machine gives no random numbers");
    } else {
        err = hm_node_repair(cli->args.dir, &done, &errmsg);
    }
    if (err != HM_OK) {
        text = errmsg.len == 0 ? NULL : hm_buf_str(&errmsg);
        code = hm_cli_fail(cli, err == HM_DENIED ? HM_CLI_NOT_ALLOWED : HM_CLI_FAILED,
                           "%s", text == NULL ? hm_err_text(err) : text);
    } else {
        if (cli->args.json) {
            print_json(cli, &done);
        } else {
            print_words(cli, &done);
        }
        if (done.report.counts[HM_REPAIR_OWN].missing > 0 ||
            done.report.set_apart > 0) {
            code = HM_CLI_PARTLY;
        }
    }
    hm_buf_deinit(&errmsg);
    return code;
}
