/* From a row of the table and its arguments to a request, and from the answer to what
 * is printed and to the exit code. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/cli_print.h"

enum { PATH_BYTES_MAX = 64 * 1024 };

static const char *key_of(const struct hm_cli_option *option)
{
    return option->key == NULL ? option->name : option->key;
}

int hm_cli_request_path(const struct hm_cli_args *args, struct hm_buf *path)
{
    const char *at = args->command->path;
    const char *separator = "?";
    int taken = 0;

    hm_buf_append_str(path, at[0] == '/' ? "" : "/api/v1/");
    while (*at != 0) {
        if (at[0] == '{' && at[1] == '}') {
            if (taken < args->arg_count) {
                hm_cli_http_encode(path, args->arg[taken++]);
            }
            at += 2;
        } else {
            hm_buf_append_u8(path, (uint8_t)*at++);
        }
    }
    for (size_t i = 0; i < args->given_count; i++) {
        const struct hm_cli_given *given = &args->given[i];

        if (given->option->where == HM_CLI_QUERY) {
            hm_buf_append_str(path, separator);
            hm_buf_append_str(path, key_of(given->option));
            hm_buf_append_str(path, "=");
            hm_cli_http_encode(path, given->value == NULL ? "1" : given->value);
            separator = "&";
        }
    }
    return taken;
}

static int add_given(json_t *body, const struct hm_cli_given *given)
{
    const char *key = key_of(given->option);

    switch (given->option->type) {
    case HM_CLI_FLAG:
        return json_object_set_new(body, key, json_true());
    case HM_CLI_TEXT:
        return json_object_set_new(body, key, json_string(given->value));
    case HM_CLI_NUMBER:
        return json_object_set_new(body, key,
                                   json_integer(strtoll(given->value, NULL, 10)));
    case HM_CLI_LIST:
        break;
    }
    if (json_object_get(body, key) == NULL &&
        json_object_set_new(body, key, json_array()) != 0) {
        return -1;
    }
    return json_array_append_new(json_object_get(body, key), json_string(given->value));
}

static bool sends_body(const struct hm_cli_command *command)
{
    if (command->key != NULL) {
        return true;
    }
    for (const struct hm_cli_option *o = command->options; o != NULL && o->name != NULL;
         o++) {
        if (o->where == HM_CLI_BODY) {
            return true;
        }
    }
    return false;
}

json_t *hm_cli_request_body(const struct hm_cli_args *args, int from)
{
    json_t *body = sends_body(args->command) ? json_object() : NULL;
    int failed = 0;

    if (body == NULL) {
        return NULL;
    }
    if (args->command->key != NULL && from < args->arg_count) {
        failed |=
            json_object_set_new(body, args->command->key, json_string(args->arg[from]));
    }
    for (size_t i = 0; i < args->given_count; i++) {
        if (args->given[i].option->where == HM_CLI_BODY) {
            failed |= add_given(body, &args->given[i]);
        }
    }
    if (failed != 0) { /* a word that is not UTF-8 */
        json_decref(body);
        return NULL;
    }
    return body;
}

int hm_cli_perform(struct hm_cli *cli, struct hm_cli_request *req,
                   struct hm_cli_answer *answer)
{
    int err;

    req->dir = cli->args.dir;
    req->user = cli->args.as;
    err = hm_cli_http_perform(req, answer);
    switch (err) {
    case HM_OK:
        return HM_CLI_DONE;
    case HM_NETWORK:
        return hm_cli_fail(cli, HM_CLI_NOT_RUNNING, "%s", answer->text);
    case HM_DENIED:
        return hm_cli_fail(cli, HM_CLI_NOT_ALLOWED, "%s", answer->text);
    default:
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s", answer->text);
    }
}

int hm_cli_exit_of_status(long status)
{
    if (status >= 200 && status < 300) {
        return HM_CLI_DONE;
    }
    return status == 401 || status == 403 ? HM_CLI_NOT_ALLOWED : HM_CLI_FAILED;
}

int hm_cli_exit_of_document(const char *command, const json_t *document)
{
    if (strcmp(command, "import") == 0 || strcmp(command, "unit import") == 0) {
        return json_array_size(json_object_get(document, "rejected")) > 0
                   ? HM_CLI_PARTLY
                   : HM_CLI_DONE;
    }
    if (strcmp(command, "sync") == 0) {
        const char *result = json_string_value(json_object_get(document, "result"));

        return result != NULL && strcmp(result, "ok") == 0 ? HM_CLI_DONE
                                                           : HM_CLI_FAILED;
    }
    if (strcmp(command, "verify") == 0) {
        return json_is_true(json_object_get(document, "ok")) ? HM_CLI_DONE
                                                             : HM_CLI_FAILED;
    }
    return HM_CLI_DONE;
}

static void print_body(struct hm_cli *cli, const struct hm_buf *body)
{
    if (body->len > 0) {
        (void)fwrite(body->data, 1, body->len, cli->out);
        if (body->data[body->len - 1] != '\n') {
            (void)fputc('\n', cli->out);
        }
    }
}

static json_t *parse(const struct hm_buf *body)
{
    return json_loadb((const char *)body->data, body->len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
}

void hm_cli_print_document(struct hm_cli *cli, const json_t *document)
{
    (void)json_dumpf(document, cli->out, JSON_COMPACT | JSON_ENCODE_ANY);
    (void)fputc('\n', cli->out);
}

int hm_cli_problem(struct hm_cli *cli, struct hm_cli_answer *answer)
{
    json_t *problem = parse(&answer->body);
    int code = hm_cli_exit_of_status(answer->status);
    const char *member =
        json_is_string(json_object_get(problem, "detail")) ? "detail" : "title";

    if (json_is_string(json_object_get(problem, member))) {
        (void)fputs("hamlet: ", cli->err);
        hm_cli_print_words(cli->err, json_object_get(problem, member));
        (void)fputc('\n', cli->err);
    } else {
        (void)hm_cli_fail(cli, code, "the node answered with status %ld",
                          answer->status);
    }
    if (cli->args.json && json_is_object(problem)) {
        print_body(cli, &answer->body);
    }
    json_decref(problem);
    return code;
}

static void show(struct hm_cli *cli, const json_t *document)
{
    const struct hm_cli_command *command = cli->args.command;

    if (command->show != NULL) {
        command->show(cli, document);
    } else if (command->columns == NULL) {
        hm_cli_show_facts(cli, document);
    } else if (json_array_size(document) == 0) {
        (void)fprintf(cli->out, "%s\n", command->empty);
    } else {
        hm_cli_print_table(cli->out, document, command->columns);
    }
}

/* An answer of 2xx that still means failure. */
static void say_failure(struct hm_cli *cli, const json_t *document)
{
    if (json_object_get(document, "result") == NULL) {
        (void)hm_cli_fail(cli, HM_CLI_FAILED, "the check found faults");
    } else if (json_is_string(json_object_get(document, "detail"))) {
        hm_cli_print_fill(cli->err, document, "hamlet: sync: {result}: {detail}\n");
    } else {
        hm_cli_print_fill(cli->err, document, "hamlet: sync: {result}\n");
    }
}

int hm_cli_finish(struct hm_cli *cli, struct hm_cli_answer *answer)
{
    json_t *document;
    int code;

    if (hm_cli_exit_of_status(answer->status) != HM_CLI_DONE) {
        return hm_cli_problem(cli, answer);
    }
    document = parse(&answer->body);
    if (document == NULL) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "the node's answer is not JSON");
    }
    code = hm_cli_exit_of_document(cli->args.command->name, document);
    if (cli->args.json) {
        print_body(cli, &answer->body);
    } else {
        show(cli, document);
    }
    if (code == HM_CLI_FAILED) {
        say_failure(cli, document);
    }
    json_decref(document);
    return code;
}

int hm_cli_send_json(struct hm_cli *cli, json_t *body)
{
    struct hm_cli_request req = {.method = cli->args.command->method};
    struct hm_cli_answer answer;
    struct hm_buf path;
    char *text = NULL;
    int code = HM_CLI_FAILED;

    hm_buf_init(&path, PATH_BYTES_MAX);
    hm_cli_http_answer_init(&answer, HM_CLI_ANSWER_BYTES_MAX);
    if (body == NULL && sends_body(cli->args.command)) {
        code = hm_cli_fail(cli, HM_CLI_USAGE, "an argument is not UTF-8");
        goto out;
    }
    (void)hm_cli_request_path(&cli->args, &path);
    req.path = hm_buf_str(&path);
    if (body != NULL) {
        text = json_dumps(body, JSON_COMPACT);
        req.body = hm_bytes_str(text);
        req.content_type = "application/json";
    }
    if (req.path == NULL || (body != NULL && text == NULL)) {
        code = hm_cli_fail(cli, HM_CLI_FAILED, "%s", hm_err_text(HM_NOMEM));
        goto out;
    }
    code = hm_cli_perform(cli, &req, &answer);
    if (code == HM_CLI_DONE) {
        code = hm_cli_finish(cli, &answer);
    }
out:
    free(text);
    hm_cli_http_answer_deinit(&answer);
    hm_buf_deinit(&path);
    return code;
}
