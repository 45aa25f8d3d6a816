/* hamlet import and hamlet unit import. */
#include "daemon/cli/cli_import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/cli_file.h"
#include "daemon/cli/cli_print.h"

enum { HEAD_BYTES_MAX = 2 * 1024 * 1024 };

/* The body: the renamed first line, if any, then the file. */
struct upload {
    struct hm_cli *cli;
    FILE *file;
    struct hm_buf head;
    size_t head_sent;
    long long size;
    time_t shown; /* when progress was told last */
    bool terminal;
};

static long on_read(void *owner, uint8_t *into, size_t len)
{
    struct upload *u = owner;
    size_t got;

    if (u->head_sent < u->head.len) {
        got = u->head.len - u->head_sent;
        got = got < len ? got : len;
        memcpy(into, u->head.data + u->head_sent, got);
        u->head_sent += got;
        return (long)got;
    }
    got = fread(into, 1, len, u->file);
    return got == 0 && ferror(u->file) != 0 ? -1 : (long)got;
}

static void on_progress(void *owner, uint64_t sent, uint64_t received)
{
    enum { TERMINAL_EVERY_S = 1, LOG_EVERY_S = 10 };
    struct upload *u = owner;
    time_t now = time(NULL);
    char done[32];
    char all[32];

    (void)received;
    if (now - u->shown < (u->terminal ? TERMINAL_EVERY_S : LOG_EVERY_S)) {
        return;
    }
    u->shown = now;
    (void)fprintf(u->cli->err, "%simport: %s of %s sent%s", u->terminal ? "\r" : "",
                  hm_cli_print_bytes(done, (long long)sent),
                  hm_cli_print_bytes(all, u->size), u->terminal ? "  " : "\n");
    (void)fflush(u->cli->err);
}

static int rename_columns(struct upload *u, const char *map_name)
{
    json_t *map = NULL;
    char text[512] = "";
    int err = hm_cli_import_read_map(map_name, &map, text, sizeof text);

    if (err == HM_OK) {
        err = hm_cli_import_rename(u->file, map, &u->head, text, sizeof text);
    }
    json_decref(map);
    return err == HM_OK ? HM_CLI_DONE : hm_cli_fail(u->cli, HM_CLI_FAILED, "%s", text);
}

static int open_upload(struct upload *u, const char *name)
{
    const char *map = hm_cli_args_get(&u->cli->args, "map");
    struct stat about;

    u->file = fopen(name, "rbe");
    if (u->file == NULL || fstat(fileno(u->file), &about) != 0) {
        return hm_cli_fail(u->cli, HM_CLI_FAILED, "%s: %s", name, strerror(errno));
    }
    if (!S_ISREG(about.st_mode)) { /* it is read again for the rejected lines */
        return hm_cli_fail(u->cli, HM_CLI_FAILED, "%s: not a plain file", name);
    }
    u->size = about.st_size;
    return map == NULL ? HM_CLI_DONE : rename_columns(u, map);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* Says where the rejected records are; a failure is said and does not change what was
 * imported. */
static void write_rejected(struct hm_cli *cli, FILE *in, const json_t *rejected)
{
    char *name = hm_cli_import_rejected_name(cli->args.arg[0]);
    struct hm_cli_file to = {0};
    int err = HM_NOMEM;

    if (name != NULL) {
        err = hm_cli_file_open(&to, name);
    }
    if (err == HM_OK) {
        rewind(in);
        err = hm_cli_import_copy_rejected(in, rejected, to.file);
    }
    if (err == HM_OK) {
        err = hm_cli_file_commit(&to);
    }
    if (err == HM_OK) {
        (void)fprintf(cli->err, "hamlet: the rejected lines are in %s\n", name);
    } else {
        (void)fprintf(cli->err, "hamlet: %s cannot be written: %s\n",
                      name == NULL ? "the file of rejected lines" : name,
                      err == HM_IO ? strerror(errno) : hm_err_text(err));
    }
    hm_cli_file_abort(&to);
    free(name);
}

static int deal_with(struct upload *u, struct hm_cli_answer *answer)
{
    json_t *document = NULL;
    const json_t *rejected;

    if (hm_cli_exit_of_status(answer->status) == HM_CLI_DONE) {
        document = json_loadb((const char *)answer->body.data, answer->body.len,
                              JSON_REJECT_DUPLICATES, NULL);
    }
    rejected = json_object_get(document, "rejected");
    if (json_array_size(rejected) > 0) {
        write_rejected(u->cli, u->file, rejected);
    }
    json_decref(document);
    return hm_cli_finish(u->cli, answer);
}

static int send_upload(struct upload *u)
{
    struct hm_cli_request req = {.method = "POST",
                                 .content_type = "text/csv",
                                 .read = on_read,
                                 .progress = on_progress,
                                 .owner = u};
    struct hm_cli_answer answer;
    struct hm_buf path;
    int code;

    hm_buf_init(&path, 64 * 1024);
    hm_cli_http_answer_init(&answer, HM_CLI_ANSWER_BYTES_MAX);
    (void)hm_cli_request_path(&u->cli->args, &path);
    hm_buf_append_str(&path, memchr(path.data, '?', path.len) == NULL ? "?" : "&");
    hm_buf_append_str(&path, "name=");
    hm_cli_http_encode(&path, base_name(u->cli->args.arg[0]));
    req.path = hm_buf_str(&path);
    u->terminal = isatty(fileno(u->cli->err)) != 0;
    u->shown = time(NULL);
    code = req.path == NULL
               ? hm_cli_fail(u->cli, HM_CLI_FAILED, "%s", hm_err_text(HM_NOMEM))
               : hm_cli_perform(u->cli, &req, &answer);
    if (u->terminal) {
        (void)fputs("\r                                        \r", u->cli->err);
    }
    if (code == HM_CLI_DONE) {
        code = deal_with(u, &answer);
    }
    hm_cli_http_answer_deinit(&answer);
    hm_buf_deinit(&path);
    return code;
}

int hm_cli_import_run(struct hm_cli *cli)
{
    struct upload u = {.cli = cli};
    int code;

    hm_buf_init(&u.head, HEAD_BYTES_MAX);
    code = open_upload(&u, cli->args.arg[0]);
    if (code == HM_CLI_DONE) {
        code = send_upload(&u);
    }
    if (u.file != NULL) {
        (void)fclose(u.file); /* read only */
    }
    hm_buf_deinit(&u.head);
    return code;
}
