/* The command line `hamlet`: one run from argv to exit code.
 *
 * It is a client of the local API (docs/api.md) over DIR/control.sock and knows nothing
 * of storage. Commands are rows of one table; a row whose request follows from its
 * arguments needs no code of its own. One thread; blocks on the socket, on files and on
 * the terminal. */
#ifndef HM_DAEMON_CLI_CLI_H
#define HM_DAEMON_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "daemon/cli/cli_args.h"
#include "daemon/cli/cli_http.h"
#include "protocol/buf.h"

/* What the process ends with: a contract with people's scripts. */
enum hm_cli_exit {
    HM_CLI_DONE = 0,
    HM_CLI_FAILED = 1, /* refused or failed, said in one line on standard error */
    HM_CLI_USAGE = 2,
    HM_CLI_NOT_RUNNING = 3,
    HM_CLI_NOT_ALLOWED = 4,
    HM_CLI_PARTLY =
        5 /* an import with rejected lines, a repair with own work missing */
};

enum {
    HM_CLI_ANSWER_BYTES_MAX = 256 * 1024 * 1024,
    HM_CLI_SAVE_BYTES_MAX = 1024 * 1024
};

/* One run. Streams are borrowed. */
struct hm_cli {
    struct hm_cli_args args;
    FILE *in;
    FILE *out;
    FILE *err;
};

/* Run one command line. Returns one of enum hm_cli_exit. Writes to out what was asked
 * for and to err what went wrong (one line) and progress. */
int hm_cli_main(int argc, char **argv, FILE *in, FILE *out, FILE *err);

/* The table, in the order of the help; ends with a row whose name is NULL. Static. */
const struct hm_cli_command *hm_cli_table(void);

/* Say one line on standard error, "hamlet: ..." . Returns code, for use in a return. */
int hm_cli_fail(struct hm_cli *cli, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The path and query of the command's row: {} are the arguments in their order,
 * percent-encoded; options sent as query follow. Appended to path, which sticks its
 * errors. Returns how many arguments the path took. */
int hm_cli_request_path(const struct hm_cli_args *args, struct hm_buf *path);
/* The request body that the row's options and arguments from index `from` make. The
 * caller owns it; NULL when the command sends none or memory is short. */
json_t *hm_cli_request_body(const struct hm_cli_args *args, int from);

/* Send the row's request with body (borrowed, NULL for none) and deal with the answer
 * as hm_cli_finish() does. Returns an exit code. */
int hm_cli_send_json(struct hm_cli *cli, json_t *body);

/* Perform req for cli: fills in folder and user. On failure one line has been said and
 * an exit code > 0 is returned; 0 means that answer holds an HTTP answer of whatever
 * status. answer must be initialised. */
int hm_cli_perform(struct hm_cli *cli, struct hm_cli_request *req,
                   struct hm_cli_answer *answer);

/* Say the problem in an answer with a status that is not 2xx; with --json print the
 * problem document too. Returns the exit code that the status means. */
int hm_cli_problem(struct hm_cli *cli, struct hm_cli_answer *answer);

/* Print a complete answer: the document itself with --json, else through the row's
 * printer; or its problem. Returns the exit code. */
int hm_cli_finish(struct hm_cli *cli, struct hm_cli_answer *answer);

/* The exit code for an HTTP status, and for a document that came with 2xx. */
int hm_cli_exit_of_status(long status);
int hm_cli_exit_of_document(const char *command, const json_t *document);

/* Print document on one line with --json. For documents made here. */
void hm_cli_print_document(struct hm_cli *cli, const json_t *document);

/* The first line of a file, without its end. Says what is wrong; an empty line is
 * wrong. Returns an exit code. */
int hm_cli_read_passphrase(struct hm_cli *cli, const char *name, char *line, int size);

/* Commands with code of their own; each returns an exit code. */
int hm_cli_init_run(struct hm_cli *cli);
int hm_cli_repair_run(struct hm_cli *cli);
int hm_cli_restore_run(struct hm_cli *cli);
int hm_cli_rekey_run(struct hm_cli *cli);
int hm_cli_verify_run(struct hm_cli *cli);
int hm_cli_user_run_add(struct hm_cli *cli);
int hm_cli_user_run_passwd(struct hm_cli *cli);
int hm_cli_user_run_check(struct hm_cli *cli);
int hm_cli_sync_run(struct hm_cli *cli);
int hm_cli_save_run(struct hm_cli *cli);
int hm_cli_import_run(struct hm_cli *cli);
int hm_cli_form_run_publish(struct hm_cli *cli);
int hm_cli_export_run(struct hm_cli *cli);
int hm_cli_conflict_run_resolve(struct hm_cli *cli);
int hm_cli_quarantine_run_release(struct hm_cli *cli);
int hm_cli_backup_run(struct hm_cli *cli);
int hm_cli_log_run(struct hm_cli *cli);
int hm_cli_metrics_run(struct hm_cli *cli);

/* Printers for people; document is what the table of docs/api.md says. */
void hm_cli_show_status(struct hm_cli *cli, const json_t *document);
void hm_cli_show_invitation(struct hm_cli *cli, const json_t *document);
void hm_cli_show_reset(struct hm_cli *cli, const json_t *document);
void hm_cli_show_enrolled(struct hm_cli *cli, const json_t *document);
void hm_cli_show_sync(struct hm_cli *cli, const json_t *document);
void hm_cli_show_paused(struct hm_cli *cli, const json_t *document);
void hm_cli_show_facts(struct hm_cli *cli, const json_t *document);
void hm_cli_show_form(struct hm_cli *cli, const json_t *document);
void hm_cli_show_household(struct hm_cli *cli, const json_t *document);
void hm_cli_show_saved(struct hm_cli *cli, const json_t *document);
void hm_cli_show_import(struct hm_cli *cli, const json_t *document);
void hm_cli_show_conflicts(struct hm_cli *cli, const json_t *document);
void hm_cli_show_conflict_list(struct hm_cli *cli, const json_t *document);
void hm_cli_show_resolved(struct hm_cli *cli, const json_t *document);
void hm_cli_show_verified(struct hm_cli *cli, const json_t *document);
void hm_cli_show_log(struct hm_cli *cli, const json_t *document);

#endif
