#include "daemon/cli/cli.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/cli_print.h"

int hm_cli_fail(struct hm_cli *cli, int code, const char *format, ...)
{
    va_list values;

    (void)fputs("hamlet: ", cli->err);
    va_start(values, format);
    (void)vfprintf(cli->err, format, values);
    va_end(values);
    (void)fputc('\n', cli->err);
    return code;
}

static void print_options(FILE *out, const struct hm_cli_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char left[64];
        char letter[8] = "";

        if (options->letter != 0) {
            (void)snprintf(letter, sizeof letter, "-%c, ", options->letter);
        }
        (void)snprintf(left, sizeof left, "%s--%s%s%s%s", letter, options->name,
                       options->value == NULL ? "" : " ",
                       options->value == NULL ? "" : options->value,
                       options->type == HM_CLI_LIST ? "..." : "");
        (void)fprintf(out, "  %-24s %s\n", left, options->help);
    }
}

static void print_commands(FILE *out, const char *group)
{
    size_t len = group == NULL ? 0 : strlen(group);

    for (const struct hm_cli_command *c = hm_cli_table(); c->name != NULL; c++) {
        char left[80];

        if (group != NULL && (strncmp(c->name, group, len) != 0 ||
                              (c->name[len] != ' ' && c->name[len] != 0))) {
            continue;
        }
        (void)snprintf(left, sizeof left, "%s %s", c->name, c->args);
        (void)fprintf(out, "  %-30s %s\n", left, c->summary);
    }
}

static void print_help(struct hm_cli *cli)
{
    const struct hm_cli_command *c = cli->args.command;

    if (c == NULL || cli->args.group != NULL) {
        (void)fprintf(cli->out, "Usage: hamlet [--dir DIR] [--json] [--as USER] %s\n\n",
                      cli->args.group == NULL ? "COMMAND ..." : cli->args.group);
        print_commands(cli->out, cli->args.group);
    } else {
        (void)fprintf(cli->out, "Usage: hamlet %s%s%s%s\n\n%s.\n", c->name,
                      c->args[0] == 0 ? "" : " ", c->args,
                      c->options == NULL ? "" : " [options]", c->summary);
    }
    if (c != NULL && c->options != NULL) {
        (void)fputc('\n', cli->out);
        print_options(cli->out, c->options);
    }
    (void)fputs("\nFor every command:\n", cli->out);
    print_options(cli->out, hm_cli_args_globals());
}

static int usage(struct hm_cli *cli)
{
    const char *name =
        cli->args.command == NULL ? cli->args.group : cli->args.command->name;

    return hm_cli_fail(cli, HM_CLI_USAGE, "%s; see hamlet %s%s--help",
                       cli->args.problem, name == NULL ? "" : name,
                       name == NULL ? "" : " ");
}

/* A row without code of its own. */
static int run_row(struct hm_cli *cli)
{
    struct hm_buf unused;
    int taken;
    json_t *body;
    int code;

    hm_buf_init(&unused, 64 * 1024);
    taken = hm_cli_request_path(&cli->args, &unused);
    hm_buf_deinit(&unused);
    body = hm_cli_request_body(&cli->args, taken);
    code = hm_cli_send_json(cli, body);
    json_decref(body);
    return code;
}

static int run(struct hm_cli *cli)
{
    const struct hm_cli_command *command = cli->args.command;

    if (cli->args.help) {
        print_help(cli);
        return HM_CLI_DONE;
    }
    if (cli->args.version) {
        (void)fputs("hamlet " HM_RELEASE "\n", cli->out);
        return HM_CLI_DONE;
    }
    if (cli->args.dir == NULL) {
        const char *dir = getenv("HAMLET_DIR");

        cli->args.dir = dir != NULL && dir[0] != 0 ? dir : "/var/lib/hamletd";
    }
    return command->run == NULL ? run_row(cli) : command->run(cli);
}

int hm_cli_main(int argc, char **argv, FILE *in, FILE *out, FILE *err)
{
    struct hm_cli cli = {.in = in, .out = out, .err = err};
    int code;

    if (hm_cli_args_parse(&cli.args, argc, argv, hm_cli_table()) != HM_OK) {
        return usage(&cli);
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return hm_cli_fail(&cli, HM_CLI_FAILED, "%s", hm_err_text(HM_NOMEM));
    }
    code = run(&cli);
    curl_global_cleanup();
    if ((fflush(out) != 0 || ferror(out) != 0) && code == HM_CLI_DONE) {
        return hm_cli_fail(&cli, HM_CLI_FAILED, "standard output cannot be written");
    }
    return code;
}
