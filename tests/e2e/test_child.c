/* The harness ends what it starts: a scenario that fails must not leave servers behind.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/test.h"

static pid_t start_shell(const char *script, const struct hm_child_options *options)
{
    char text[512];
    char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, text, NULL};
    pid_t pid;

    (void)strcpy(text, script);
    pid = hm_child_start(argv, options);
    assert_true(pid > 0);
    return pid;
}

HM_TEST(files_and_environment_are_passed)
{
    char out[512];
    char *text;
    int status = 0;
    pid_t pid;

    (void)snprintf(out, sizeof out, "%s/out", hm_test_folder());
    CHECK_OK(setenv("HM_CHILD_TEST", "old", 1));
    pid = start_shell(
        "echo \"$HM_CHILD_TEST\"; cat; exit 5",
        &(struct hm_child_options){.out = out, .environment = {"HM_CHILD_TEST=new"}});
    assert_true(hm_child_wait(pid, 10, &status));
    assert_int_equal(WEXITSTATUS(status), 5);
    text = hm_child_read_file(out, NULL);
    assert_string_equal(text, "new\n");
    free(text);
}

HM_TEST(waiting_is_bounded)
{
    int status = 0;
    pid_t pid = start_shell("exec sleep 60", &(struct hm_child_options){0});
    double begun = hm_child_clock();

    assert_false(hm_child_wait(pid, 0.2, &status));
    assert_true(hm_child_clock() - begun < 5);
    CHECK_OK(kill(pid, SIGKILL));
    assert_true(hm_child_wait(pid, 10, &status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

/* True when the shell that wrote its pid to path is gone within some seconds. Without
 * its parent it is ours to be waited for. */
static bool is_gone(const char *path)
{
    char *text = NULL;
    pid_t pid;

    for (int i = 0; i < 500 && text == NULL; i++) {
        text = hm_child_read_file(path, NULL);
        if (text != NULL && strchr(text, '\n') == NULL) {
            free(text);
            text = NULL;
        }
        hm_child_sleep(0.01);
    }
    assert_non_null(text);
    pid = (pid_t)atol(text);
    free(text);
    assert_true(pid > 1);
    for (int i = 0; i < 500; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid || kill(pid, 0) != 0) {
            return true;
        }
        hm_child_sleep(0.01);
    }
    return false;
}

/* A test process that starts a child and then ends in the given way. */
static void end_a_parent(int signal)
{
    char script[400];
    char path[300];
    int status;
    pid_t pid;

    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    (void)snprintf(path, sizeof path, "%s/pid", hm_test_folder());
    (void)snprintf(script, sizeof script, "echo $$ > %s; exec sleep 60", path);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)start_shell(script, &(struct hm_child_options){0});
        while (access(path, R_OK) != 0) {
            hm_child_sleep(0.01);
        }
        if (signal != 0) {
            (void)kill(getpid(), signal);
        }
        exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(is_gone(path));
}

HM_TEST(children_end_when_the_test_exits)
{
    end_a_parent(0);
}

HM_TEST(children_end_when_the_test_is_killed)
{
    end_a_parent(SIGKILL);
}
