/* Accounts: the passphrase comes from standard input and never from the command line,
 * where every user of the machine could read it. */
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sodium.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/cli_print.h"

enum { PASSPHRASE_BYTES_MAX = 1024 };

/* One line without its end. Returns false at the end of input or when it is too long.
 */
static bool read_line(FILE *in, char *line)
{
    size_t len;

    if (fgets(line, PASSPHRASE_BYTES_MAX, in) == NULL) {
        return false;
    }
    len = strcspn(line, "\r\n");
    if (line[len] == 0 && len == PASSPHRASE_BYTES_MAX - 1) {
        return false;
    }
    line[len] = 0;
    return true;
}

static bool ask(struct hm_cli *cli, const char *prompt, char *line)
{
    bool got;

    (void)fputs(prompt, cli->err);
    (void)fflush(cli->err);
    got = read_line(cli->in, line);
    (void)fputc('\n', cli->err); /* the one that the person typed was not shown */
    return got;
}

/* Twice, without echo. */
static int ask_terminal(struct hm_cli *cli, int terminal, char *line)
{
    char again[PASSPHRASE_BYTES_MAX];
    struct termios shown;
    struct termios hidden;
    int code = HM_CLI_DONE;

    if (tcgetattr(terminal, &shown) != 0) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "the terminal does not answer");
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(terminal, TCSAFLUSH, &hidden);
    if (!ask(cli, "Passphrase: ", line) || !ask(cli, "Again: ", again)) {
        code = hm_cli_fail(cli, HM_CLI_FAILED, "no passphrase was given");
    } else if (strcmp(line, again) != 0) {
        code = hm_cli_fail(cli, HM_CLI_FAILED, "the two passphrases differ");
    }
    (void)tcsetattr(terminal, TCSAFLUSH, &shown);
    sodium_memzero(again, sizeof again);
    return code;
}

static int read_passphrase(struct hm_cli *cli, char *line)
{
    int fd = fileno(cli->in);
    int code = HM_CLI_DONE;

    if (fd >= 0 && isatty(fd) != 0) {
        code = ask_terminal(cli, fd, line);
    } else if (!read_line(cli->in, line)) {
        code = hm_cli_fail(cli, HM_CLI_FAILED,
                           "no passphrase was given on standard input");
    }
    if (code == HM_CLI_DONE && line[0] == 0) {
        code = hm_cli_fail(cli, HM_CLI_FAILED, "the passphrase is empty");
    }
    return code;
}

/* body: what the row sends besides; taken over. */
static int send_with_passphrase(struct hm_cli *cli, json_t *body)
{
    char line[PASSPHRASE_BYTES_MAX];
    int code = HM_CLI_USAGE;

    if (body == NULL) {
        return hm_cli_fail(cli, HM_CLI_USAGE, "an argument is not UTF-8");
    }
    code = read_passphrase(cli, line);
    if (code == HM_CLI_DONE &&
        json_object_set_new(body, "passphrase", json_string(line)) != 0) {
        code = hm_cli_fail(cli, HM_CLI_FAILED, "the passphrase is not UTF-8");
    }
    if (code == HM_CLI_DONE) {
        code = hm_cli_send_json(cli, body);
    }
    sodium_memzero(line, sizeof line);
    json_decref(body);
    return code;
}

int hm_cli_user_run_add(struct hm_cli *cli)
{
    return send_with_passphrase(cli, hm_cli_request_body(&cli->args, 0));
}

/* With a code the passphrase is set at this node alone. */
int hm_cli_user_run_passwd(struct hm_cli *cli)
{
    const struct hm_cli_command *row = cli->args.command;
    struct hm_cli_command redeem = *row;
    json_t *body = hm_cli_request_body(&cli->args, 1);
    int code;

    if (json_object_get(body, "code") != NULL) {
        redeem.path = "users/{}/redeem";
        cli->args.command = &redeem;
    }
    code = send_with_passphrase(cli, body);
    cli->args.command = row;
    return code;
}

int hm_cli_user_run_check(struct hm_cli *cli)
{
    return send_with_passphrase(cli, json_object());
}

void hm_cli_show_reset(struct hm_cli *cli, const json_t *document)
{
    json_t *codes = json_object_get(document, "codes");
    const json_t *code;
    size_t at;

    json_array_foreach(codes, at, code)
    {
        hm_cli_print_fill(cli->out, code,
                          "{code}  on {name} ({device}), once, until {expires}\n");
    }
    hm_cli_print_fill(cli->out, document,
                      "On that laptop, also without a link: hamlet user passwd {user} "
                      "--code CODE\n");
}
