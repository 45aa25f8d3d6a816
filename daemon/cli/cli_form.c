/* hamlet form publish: an XForm as it is, or a workbook through pyxform's xls2xform. */
#define _GNU_SOURCE /* environ */

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/cli/cli.h"

static long on_read(void *owner, uint8_t *into, size_t len)
{
    FILE *file = owner;
    size_t got = fread(into, 1, len, file);

    return got == 0 && ferror(file) != 0 ? -1 : (long)got;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static int publish(struct hm_cli *cli, const char *file_name, const char *name)
{
    FILE *file = fopen(file_name, "rbe");
    struct hm_cli_request req = {.method = "POST",
                                 .content_type = "application/xml",
                                 .read = on_read,
                                 .owner = file};
    struct hm_cli_answer answer;
    struct hm_buf path;
    int code;

    if (file == NULL) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", file_name, strerror(errno));
    }
    hm_buf_init(&path, 64 * 1024);
    hm_cli_http_answer_init(&answer, HM_CLI_ANSWER_BYTES_MAX);
    hm_buf_append_str(&path, "/api/v1/forms?name=");
    hm_cli_http_encode(&path, base_name(name));
    req.path = hm_buf_str(&path);
    code = req.path == NULL
               ? hm_cli_fail(cli, HM_CLI_FAILED, "%s", hm_err_text(HM_NOMEM))
               : hm_cli_perform(cli, &req, &answer);
    if (code == HM_CLI_DONE) {
        code = hm_cli_finish(cli, &answer);
    }
    (void)fclose(file); /* read only */
    hm_cli_http_answer_deinit(&answer);
    hm_buf_deinit(&path);
    return code;
}

/* Run xls2xform, whose messages go to our standard error. */
static int convert(struct hm_cli *cli, const char *from, const char *to)
{
    char *words[] = {(char *)"xls2xform", (char *)from, (char *)to, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 0;
    int rc;

    if (posix_spawn_file_actions_init(&actions) != 0) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s", hm_err_text(HM_NOMEM));
    }
    rc = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (rc == 0) {
        rc = posix_spawnp(&child, words[0], &actions, NULL, words, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    if (rc == ENOENT) {
        return hm_cli_fail(cli, HM_CLI_FAILED,
                           "%s: a workbook needs xls2xform: pipx install pyxform",
                           from);
    }
    if (rc != 0) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "xls2xform: %s", strerror(rc));
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        continue;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? HM_CLI_DONE
               : hm_cli_fail(cli, HM_CLI_FAILED, "%s: xls2xform could not convert it",
                             from);
}

static int publish_workbook(struct hm_cli *cli, const char *name)
{
    const char *tmp = getenv("TMPDIR");
    char folder[512];
    char xml[600];
    int code;

    (void)snprintf(folder, sizeof folder, "%s/hamlet-form-XXXXXX",
                   tmp == NULL || strlen(tmp) > 400 ? "/tmp" : tmp);
    if (mkdtemp(folder) == NULL) {
        return hm_cli_fail(cli, HM_CLI_FAILED, "%s: %s", folder, strerror(errno));
    }
    (void)snprintf(xml, sizeof xml, "%s/form.xml", folder);
    code = convert(cli, name, xml);
    if (code == HM_CLI_DONE) {
        code = publish(cli, xml, name);
    }
    (void)unlink(xml); /* absent when the conversion failed */
    (void)rmdir(folder);
    return code;
}

int hm_cli_form_run_publish(struct hm_cli *cli)
{
    const char *name = cli->args.arg[0];
    size_t len = strlen(name);

    if (len > 5 && strcasecmp(name + len - 5, ".xlsx") == 0) {
        return publish_workbook(cli, name);
    }
    return publish(cli, name, name);
}
