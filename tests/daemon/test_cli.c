#include "tests/support/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/cli/cli.h"
#include "daemon/node_init.h"
#include "tests/support/canned.h"

#define OK(type, body)                                                                 \
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: " type "\r\n\r\n" body
#define OK_JSON(body) OK("application/json", body)
#define PROBLEM(status, detail)                                                        \
    "HTTP/1.1 " status " No\r\nConnection: close\r\n"                                  \
    "Content-Type: application/problem+json\r\n\r\n{\"detail\": \"" detail "\"}"

/* What the last run wrote. */
static char *out_text;
static char *err_text;
static struct canned *server;

/* The node's folder of this test, with room for a socket's address. */
static const char *folder(void)
{
    return hm_test_folder();
}

static const char *in_folder(const char *name)
{
    static char path[2][512];
    static unsigned next;

    next ^= 1;
    (void)snprintf(path[next], sizeof path[next], "%s/%s", folder(), name);
    return path[next];
}

static void serve(const char *answer)
{
    const char *answers[] = {answer};

    server = canned_start(in_folder("control.sock"), answers, 1);
}

/* Run `hamlet --dir FOLDER` and the words behind it, up to NULL. */
static int run_with(const char *input, const char *first, ...)
{
    char *argv[32] = {(char *)"hamlet", (char *)"--dir", (char *)folder()};
    int argc = 3;
    size_t out_len = 0;
    size_t err_len = 0;
    va_list words;
    FILE *in = input[0] == 0 ? fopen("/dev/null", "r")
                             : fmemopen((void *)input, strlen(input), "r");
    FILE *out = open_memstream(&out_text, &out_len);
    FILE *err = open_memstream(&err_text, &err_len);
    int code;

    assert_non_null(in);
    assert_non_null(out);
    assert_non_null(err);
    va_start(words, first);
    for (const char *w = first; w != NULL; w = va_arg(words, const char *)) {
        argv[argc++] = (char *)w;
    }
    va_end(words);
    code = hm_cli_main(argc, argv, in, out, err);
    (void)fclose(in);
    (void)fclose(out);
    (void)fclose(err);
    assert_non_null(out_text);
    assert_non_null(err_text);
    if (server != NULL) {
        canned_join(server);
    }
    return code;
}

#define RUN(...) run_with("", __VA_ARGS__, (const char *)NULL)

static void done(void)
{
    free(out_text);
    free(err_text);
    out_text = NULL;
    err_text = NULL;
    if (server != NULL) {
        canned_free(server);
        server = NULL;
    }
}

static void check_request(const char *part)
{
    if (strstr(canned_request(server, 0), part) == NULL) {
        fail_msg("no \"%s\" in:\n%s", part, canned_request(server, 0));
    }
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void check_file(const char *name, const char *expected)
{
    char text[4096] = "";
    FILE *file = fopen(in_folder(name), "rb");

    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    (void)fclose(file);
    assert_string_equal(text, expected);
}

static bool exists(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

/* --- exit codes ------------------------------------------------------------------ */

HM_TEST(no_node_is_3)
{
    assert_int_equal(RUN("status"), HM_CLI_NOT_RUNNING);
    assert_non_null(strstr(err_text, "no node is running in"));
    assert_string_equal(out_text, "");
    done();
}

/* A socket that nobody listens on. */
static void leave_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s",
                   in_folder("control.sock"));
    CHECK_OK(bind(fd, (struct sockaddr *)&address, sizeof address));
    (void)close(fd);
}

/* A node that was killed leaves its socket behind. */
HM_TEST(dead_socket_is_3)
{
    leave_socket();
    assert_int_equal(RUN("status"), HM_CLI_NOT_RUNNING);
    done();
}

HM_TEST(refused_is_1_with_its_detail)
{
    serve(PROBLEM("404", "household 1.2 is not on this node"));
    assert_int_equal(RUN("household", "show", "1.2"), HM_CLI_FAILED);
    assert_string_equal(err_text, "hamlet: household 1.2 is not on this node\n");
    assert_string_equal(out_text, "");
    done();
}

HM_TEST(not_allowed_is_4)
{
    serve(PROBLEM("403", "lan may not add users"));
    assert_int_equal(RUN("--as", "lan", "user", "list"), HM_CLI_NOT_ALLOWED);
    check_request("Hamlet-User: lan\r\n");
    done();
    serve(PROBLEM("401", "who are you"));
    assert_int_equal(RUN("user", "list", "--json"), HM_CLI_NOT_ALLOWED);
    assert_string_equal(out_text, "{\"detail\": \"who are you\"}\n");
    done();
}

/* The socket's mode is the token: who may not open it is told so, and not that there is
 * no node. */
HM_TEST(socket_of_another_user_is_4)
{
    const uid_t nobody = 65534;
    bool root = geteuid() == 0;

    leave_socket();
    CHECK_OK(chmod(in_folder("control.sock"), 0));
    CHECK_OK(chmod(folder(), 0711));
    if (root) {
        CHECK_OK(seteuid(nobody));
    }
    assert_int_equal(RUN("status"), HM_CLI_NOT_ALLOWED);
    if (root) {
        CHECK_OK(seteuid(0));
    }
    assert_non_null(strstr(err_text, "you may not open"));
    done();
}

HM_TEST(wrong_usage_is_2)
{
    assert_int_equal(RUN("fly"), HM_CLI_USAGE);
    assert_string_equal(err_text,
                        "hamlet: there is no command \"fly\"; see hamlet --help\n");
    done();
    assert_int_equal(RUN("device", "invite"), HM_CLI_USAGE);
    assert_non_null(strstr(err_text, "see hamlet device invite --help"));
    done();
    assert_int_equal(
        RUN("conflict", "resolve", "--all", "--policy", "mine", "--dot", "1.2"),
        HM_CLI_USAGE);
    done();
    assert_int_equal(RUN("conflict", "resolve", "1.2", "--cell", "f:x"), HM_CLI_USAGE);
    done();
    assert_int_equal(RUN("conflict", "resolve", "--all"), HM_CLI_USAGE);
    done();
    assert_int_equal(RUN("export", "--json"), HM_CLI_USAGE);
    done();
}

HM_TEST(statuses)
{
    assert_int_equal(hm_cli_exit_of_status(200), HM_CLI_DONE);
    assert_int_equal(hm_cli_exit_of_status(201), HM_CLI_DONE);
    assert_int_equal(hm_cli_exit_of_status(0), HM_CLI_FAILED);
    assert_int_equal(hm_cli_exit_of_status(302), HM_CLI_FAILED);
    assert_int_equal(hm_cli_exit_of_status(401), HM_CLI_NOT_ALLOWED);
    assert_int_equal(hm_cli_exit_of_status(403), HM_CLI_NOT_ALLOWED);
    assert_int_equal(hm_cli_exit_of_status(404), HM_CLI_FAILED);
    assert_int_equal(hm_cli_exit_of_status(503), HM_CLI_FAILED);
}

/* An answer cut off must not look like a short list. */
HM_TEST(broken_answer_is_1)
{
    serve("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[");
    assert_int_equal(RUN("household", "list", "--json"), HM_CLI_FAILED);
    assert_string_equal(out_text, "");
    done();
    serve(OK_JSON("<html>"));
    assert_int_equal(RUN("status"), HM_CLI_FAILED);
    assert_non_null(strstr(err_text, "not JSON"));
    done();
}

/* --- requests and answers -------------------------------------------------------- */

/* The document goes through byte for byte: numbers and their order stay as they are. */
HM_TEST(json_is_unchanged)
{
    serve(OK_JSON("{\"node\": \"a\",  \"big\": 1.50}"));
    assert_int_equal(RUN("--json", "status"), HM_CLI_DONE);
    assert_string_equal(out_text, "{\"node\": \"a\",  \"big\": 1.50}\n");
    check_request("GET /api/v1/status HTTP/1.1\r\n");
    done();
}

HM_TEST(status_for_people)
{
    serve(OK_JSON("{\"node\":\"thon-1\",\"role\":\"laptop\",\"scopes\":["
                  "{\"scope\":\"19885001\",\"households\":29},"
                  "{\"scope\":\"19885002\",\"households\":0}],"
                  "\"upstream\":{\"url\":\"https://h:8471\",\"state\":\"linked\","
                  "\"last_ok\":\"2026-11-23T08:15:00Z\",\"last_error\":null},"
                  "\"unsent\":{\"changes\":1,\"attachments\":2,\"bytes\":1234,"
                  "\"oldest\":null},\"receipts\":{\"hub\":3,\"centre\":2},"
                  "\"paused\":true,\"households\":30,\"conflicts\":0,\"quarantine\":0,"
                  "\"alarms\":[{\"kind\":\"disk\",\"what_to_do\":\"make room\"}],"
                  "\"clock_offset_ms\":null,\"version\":\"0.1.0\"}"));
    assert_int_equal(RUN("status"), HM_CLI_DONE);
    assert_string_equal(out_text,
                        "thon-1: laptop, version 0.1.0\n"
                        "hamlet      19885001: 29 households\n"
                        "hamlets     1 is empty\n"
                        "upstream    https://h:8471: linked, last reached "
                        "2026-11-23T08:15:00Z\n"
                        "            syncing is paused: hamlet sync resume\n"
                        "unsent      1 change, 2 attachments, 1.2 kB\n"
                        "receipts    3 at the hub, 2 at the centre\n"
                        "holds       30 households, no conflicts, 0 in quarantine\n"
                        "ALARM       disk: make room\n");
    done();
}

HM_TEST(query_is_encoded)
{
    serve(OK_JSON("[]"));
    assert_int_equal(
        RUN("household", "list", "--scope", "1&2", "--where", "head_name = 'Lò'"),
        HM_CLI_DONE);
    check_request(
        "GET /api/v1/households?scope=1%262&where=head_name%20%3D%20%27L%C3%B2"
        "%27 HTTP/1.1\r\n");
    assert_string_equal(out_text, "No households.\n");
    done();
}

/* An id with a slash must not reach another path. */
HM_TEST(path_is_encoded)
{
    serve(OK_JSON("{}"));
    assert_int_equal(RUN("device", "revoke", "a/../b", "--reason", "lost"),
                     HM_CLI_DONE);
    check_request("POST /api/v1/devices/a%2F..%2Fb/revoke HTTP/1.1\r\n");
    check_request("Content-Type: application/json\r\n");
    check_request("\r\n\r\n{\"reason\":\"lost\"}");
    done();
}

HM_TEST(invitation)
{
    serve(OK_JSON("{\"code\":\"hamlet://h.vn:8471/abcd-efgh-ij#KLMN-OP\",\"url\":\"u\","
                  "\"expires\":\"2026-11-24T00:00:00Z\"}"));
    assert_int_equal(RUN("device", "invite", "--scope", "1", "2", "--role", "hub"),
                     HM_CLI_DONE);
    check_request("\r\n\r\n{\"scopes\":[\"1\",\"2\"],\"role\":\"hub\"}");
    assert_string_equal(out_text, "hamlet://h.vn:8471/abcd-efgh-ij#KLMN-OP\n"
                                  "address  h.vn:8471\n"
                                  "secret   abcd efgh ij\n"
                                  "key      KLMN OP\n"
                                  "valid    until 2026-11-24T00:00:00Z, for one "
                                  "device\n");
    done();
}

/* A sync's result decides; its document is printed in each case. */
HM_TEST(sync_offline_is_1)
{
    serve(OK_JSON("{\"result\":\"offline\",\"detail\":\"no route\"}"));
    assert_int_equal(RUN("sync", "--wait", "5", "--json"), HM_CLI_FAILED);
    check_request("POST /api/v1/sync?wait=5 HTTP/1.1\r\n");
    assert_string_equal(out_text, "{\"result\":\"offline\",\"detail\":\"no route\"}\n");
    assert_string_equal(err_text, "hamlet: sync: offline: no route\n");
    done();
    serve(OK_JSON("{\"result\":\"ok\",\"sent\":{\"changes\":2,\"bytes\":99},"
                  "\"received\":{\"households\":0,\"bytes\":10},\"round_trips\":1,"
                  "\"digest_equal\":true}"));
    assert_int_equal(RUN("sync"), HM_CLI_DONE);
    assert_string_equal(out_text,
                        "sent 2 changes (99 B), received no households (10 B), "
                        "1 round trip; both ends are equal\n");
    done();
}

/* It syncs first: the digests of both ends are to be those of now. */
HM_TEST(verify_with_faults_is_1)
{
    const char *answers[] = {
        OK_JSON("{\"result\":\"offline\"}"),
        OK_JSON("{\"ok\":false,\"checks\":[{\"name\":\"store\",\"ok\":true,"
                "\"count\":1,\"detail\":null}]}")};

    server = canned_start(in_folder("control.sock"), answers, 2);
    assert_int_equal(RUN("verify"), HM_CLI_FAILED);
    assert_non_null(strstr(err_text, "as of the last sync"));
    assert_string_equal(out_text, "CHECK  SOUND  COUNT  DETAIL\n"
                                  "store  yes        1  -\n");
    done();
}

HM_TEST(passphrase_from_standard_input)
{
    serve(OK_JSON("{\"name\":\"lan\"}"));
    assert_int_equal(run_with("mật khẩu\r\nrest\n", "user", "add", "lan", "--role",
                              "admin", "--unit", "19885", NULL),
                     HM_CLI_DONE);
    check_request("\r\n\r\n{\"name\":\"lan\",\"role\":\"admin\",\"unit\":\"19885\","
                  "\"passphrase\":\"mật khẩu\"}");
    done();
    assert_int_equal(RUN("user", "passwd", "lan"), HM_CLI_FAILED);
    assert_non_null(strstr(err_text, "no passphrase"));
    done();
    assert_int_equal(run_with("\n", "user", "passwd", "lan", NULL), HM_CLI_FAILED);
    assert_non_null(strstr(err_text, "empty"));
    done();
}

HM_TEST(save_from_file_or_input)
{
    static const char save[] = "{ \"household\": null }\n";

    serve(OK_JSON("{\"household\":\"ab.1\",\"change\":\"ab.1\",\"items\":[\"ab.1.1\"],"
                  "\"findings\":[{\"form\":\"f\",\"field\":\"x\",\"text\":\"odd\"}],"
                  "\"derived\":{\"n\":1}}"));
    assert_int_equal(run_with(save, "household", "put", NULL), HM_CLI_DONE);
    check_request("\r\n\r\n{ \"household\": null }\n");
    assert_string_equal(out_text, "saved household ab.1 as change ab.1\n"
                                  "new rows: ab.1.1\n"
                                  "finding: f, x: odd\n"
                                  "  = n  1\n");
    done();
    write_file("save.json", save);
    serve(OK_JSON("{\"household\":\"ab.1\",\"change\":null}"));
    assert_int_equal(RUN("household", "put", in_folder("save.json")), HM_CLI_DONE);
    check_request("POST /api/v1/households HTTP/1.1\r\n");
    check_request("\r\n\r\n{ \"household\": null }\n");
    assert_string_equal(out_text, "household ab.1 was so already\n");
    done();
    assert_int_equal(RUN("household", "put", in_folder("none")), HM_CLI_FAILED);
    done();
}

/* --- conflicts ------------------------------------------------------------------- */

HM_TEST(conflicts_for_people)
{
    static const char answer[] = OK_JSON(
        "[{\"household\":\"ab.1\",\"scope\":\"1\",\"cell\":\"register:phone\","
        "\"label\":\"Điện thoại\",\"values\":["
        "{\"n\":1,\"value\":\"09\",\"who\":\"lan\",\"device\":\"d1\",\"when\":\"t1\"},"
        "{\"n\":2,\"value\":null,\"who\":\"hà\",\"device\":\"d2\",\"when\":\"t2\"}]}]");

    serve(answer);
    assert_int_equal(RUN("conflict", "show", "ab.1"), HM_CLI_DONE);
    check_request("GET /api/v1/conflicts/ab.1 HTTP/1.1\r\n");
    assert_string_equal(out_text, "\nregister:phone  (Điện thoại)\n"
                                  "N  VALUE  WHO  DEVICE  WHEN\n"
                                  "1  09     lan  d1      t1\n"
                                  "2  -      hà   d2      t2\n");
    done();
    serve(answer);
    assert_int_equal(RUN("conflict", "list"), HM_CLI_DONE);
    assert_string_equal(out_text,
                        "HOUSEHOLD  SCOPE  CELL            LABEL       VALUES\n"
                        "ab.1       1      register:phone  Điện thoại  09, -\n");
    done();
}

HM_TEST(resolve_one_or_all)
{
    serve(OK_JSON("{\"resolved\":1,\"left\":0}"));
    assert_int_equal(RUN("conflict", "resolve", "ab.1", "--cell", "f:x", "--take", "2"),
                     HM_CLI_DONE);
    check_request("POST /api/v1/conflicts/ab.1/resolve HTTP/1.1\r\n");
    check_request("\r\n\r\n{\"cell\":\"f:x\",\"take\":2}");
    assert_string_equal(out_text, "1 conflict decided, 0 left\n");
    done();
    serve(OK_JSON("{\"resolved\":3,\"left\":0}"));
    assert_int_equal(RUN("conflict", "resolve", "--all", "--policy", "latest"),
                     HM_CLI_DONE);
    check_request("POST /api/v1/conflicts/resolve HTTP/1.1\r\n");
    check_request("\r\n\r\n{\"all\":true,\"policy\":\"latest\"}");
    done();
    serve(OK_JSON("{\"resolved\":3,\"left\":0}"));
    assert_int_equal(RUN("conflict", "resolve", "ab.1", "--all", "--policy", "mine"),
                     HM_CLI_DONE);
    check_request("POST /api/v1/conflicts/ab.1/resolve HTTP/1.1\r\n");
    done();
}

/* --- tables in and out ----------------------------------------------------------- */

HM_TEST(import_with_rejected_lines_is_5)
{
    write_file("Bản Mé.csv", "scope,head_name\n1,A\n9,B\n");
    serve(OK_JSON("{\"accepted\":1,\"rejected\":[{\"line\":3,\"reason\":\"no scope "
                  "9\"}],\"duplicates\":0}"));
    assert_int_equal(RUN("import", in_folder("Bản Mé.csv"), "--form", "register"),
                     HM_CLI_PARTLY);
    check_request("POST /api/v1/import?form=register&name=B%E1%BA%A3n%20M%C3%A9.csv ");
    check_request("Content-Type: text/csv\r\n");
    check_request("Transfer-Encoding: chunked\r\n");
    check_request("\r\n\r\nscope,head_name\n1,A\n9,B\n");
    check_file("Bản Mé.rejected.csv",
               "scope,head_name,hamlet_reason\n9,B,no scope 9\n");
    assert_string_equal(out_text, "accepted 1, there already 0, rejected 1\n"
                                  "  line 3: no scope 9\n");
    assert_non_null(strstr(err_text, "Bản Mé.rejected.csv"));
    done();
}

HM_TEST(import_all_accepted_is_0)
{
    write_file("a.csv", "Thôn;Tên\n1;A\n");
    write_file("map", "Thôn = scope\nTên = head_name\n");
    serve(OK_JSON("{\"accepted\":1,\"rejected\":[],\"duplicates\":0}"));
    assert_int_equal(
        RUN("import", in_folder("a.csv"), "--map", in_folder("map"), "--json"),
        HM_CLI_DONE);
    check_request("\r\n\r\nscope;head_name\n1;A\n");
    assert_false(exists("a.rejected.csv"));
    assert_string_equal(out_text,
                        "{\"accepted\":1,\"rejected\":[],\"duplicates\":0}\n");
    done();
}

/* The node may refuse before it has read a large file: its reason must come through. */
HM_TEST(import_refused_early)
{
    FILE *file = fopen(in_folder("big.csv"), "wb");

    assert_non_null(file);
    for (int i = 0; i < 100000; i++) {
        (void)fputs("1234567890,1234567890\n", file);
    }
    assert_int_equal(fclose(file), 0);
    serve("!" PROBLEM("403", "lan may not import"));
    assert_int_equal(RUN("import", in_folder("big.csv")), HM_CLI_NOT_ALLOWED);
    assert_string_equal(err_text, "hamlet: lan may not import\n");
    check_request("Expect: 100-continue\r\n");
    done();
}

HM_TEST(export_to_file_and_output)
{
    static const char answer[] = OK("text/csv", "a,b\n1,2\n");

    serve(answer);
    assert_int_equal(RUN("export", "--form", "register", "-o", in_folder("out.csv")),
                     HM_CLI_DONE);
    check_request("GET /api/v1/export?form=register HTTP/1.1\r\n");
    check_file("out.csv", "a,b\n1,2\n");
    assert_false(exists("out.csv.tmp"));
    done();
    serve(answer);
    assert_int_equal(RUN("export"), HM_CLI_DONE);
    assert_string_equal(out_text, "a,b\n1,2\n");
    done();
}

/* The last good file stays when the next export breaks off. */
HM_TEST(export_broken_off_keeps_the_old_file)
{
    write_file("out.csv", "old\n");
    serve("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na,b\n");
    assert_int_equal(RUN("export", "-o", in_folder("out.csv")), HM_CLI_FAILED);
    check_file("out.csv", "old\n");
    assert_false(exists("out.csv.tmp"));
    done();
    serve(PROBLEM("404", "no form x"));
    assert_int_equal(RUN("export", "-o", in_folder("out.csv")), HM_CLI_FAILED);
    check_file("out.csv", "old\n");
    done();
    assert_int_equal(RUN("export", "-o", "/dev/null"), HM_CLI_FAILED);
    done();
}

HM_TEST(quarantine_export_of_one)
{
    serve(OK("application/x-ndjson", "{\"id\":\"a.1\"}\n"));
    assert_int_equal(RUN("quarantine", "export", "a.1"), HM_CLI_DONE);
    check_request("GET /api/v1/quarantine/export?id=a.1 HTTP/1.1\r\n");
    assert_string_equal(out_text, "{\"id\":\"a.1\"}\n");
    done();
}

HM_TEST(backup_path_is_absolute)
{
    char here[400];
    char expected[512];

    CHECK_OK(chdir(folder()));
    assert_non_null(getcwd(here, sizeof here));
    write_file("secret", "open sesame\nsecond\n");
    serve(OK_JSON("{\"path\":\"p\",\"bytes\":1}"));
    assert_int_equal(RUN("backup", "b.hb", "--passphrase-file", "secret"), HM_CLI_DONE);
    (void)snprintf(expected, sizeof expected,
                   "\r\n\r\n{\"path\":\"%s/b.hb\",\"passphrase\":\"open sesame\"}",
                   here);
    check_request(expected);
    done();
}

/* --- the rest -------------------------------------------------------------------- */

HM_TEST(log_lines_follow)
{
    serve(OK("application/x-ndjson",
             "{\"at\":\"t1\",\"level\":\"info\",\"text\":\"a\"}\n"
             "{\"at\":\"t2\",\"level\":\"error\",\"text\":\"b\"}\n"));
    assert_int_equal(RUN("log", "--follow"), HM_CLI_DONE);
    check_request("GET /api/v1/log?follow=1 HTTP/1.1\r\n");
    assert_string_equal(out_text, "t1 info a\nt2 error b\n");
    done();
}

HM_TEST(metrics_as_text_and_json)
{
    serve(OK("text/plain", "# TYPE a counter\na 1\n"));
    assert_int_equal(RUN("metrics"), HM_CLI_DONE);
    check_request("GET /metrics HTTP/1.1\r\n");
    assert_string_equal(out_text, "# TYPE a counter\na 1\n");
    done();
    serve(OK("text/plain", "# TYPE a counter\na 1\n"));
    assert_int_equal(RUN("metrics", "--json"), HM_CLI_DONE);
    assert_string_equal(out_text, "[{\"name\":\"a\",\"labels\":{},\"value\":1}]\n");
    done();
}

HM_TEST(form_is_sent_as_it_is)
{
    write_file("f.xml", "<h:html/>");
    serve(OK_JSON("{\"id\":\"f\",\"version\":\"1\",\"title\":\"T\",\"fill\":\"once\","
                  "\"warnings\":[{\"node\":\"/a\",\"text\":\"hm\"}]}"));
    assert_int_equal(RUN("form", "publish", in_folder("f.xml")), HM_CLI_DONE);
    check_request("POST /api/v1/forms?name=f.xml HTTP/1.1\r\n");
    check_request("Content-Type: application/xml\r\n");
    check_request("\r\n\r\n<h:html/>");
    assert_string_equal(out_text, "f version 1, filled once: T\nwarning: /a: hm\n");
    done();
}

HM_TEST(help_and_version)
{
    assert_int_equal(RUN("--help"), HM_CLI_DONE);
    assert_non_null(strstr(out_text, "conflict resolve"));
    done();
    assert_int_equal(RUN("conflict", "resolve", "--help"), HM_CLI_DONE);
    assert_non_null(strstr(out_text, "--take N"));
    done();
    assert_int_equal(RUN("--version"), HM_CLI_DONE);
    assert_int_equal(strncmp(out_text, "hamlet ", 7), 0);
    done();
}

/* A folder's path may be longer than a socket's address. */
HM_TEST(long_folder)
{
    char path[600];
    char *argv[] = {(char *)"hamlet", (char *)"--dir", path, (char *)"--json",
                    (char *)"status"};
    const char *answers[] = {OK_JSON("{}")};
    size_t len = 0;
    FILE *in = fopen("/dev/null", "r");
    FILE *out = open_memstream(&out_text, &len);

    assert_non_null(in);
    assert_non_null(out);
    (void)snprintf(path, sizeof path, "%s/%0150d", folder(), 7);
    CHECK_OK(mkdir(path, 0700));
    CHECK_OK(chdir(path));
    server = canned_start("control.sock", answers, 1);
    assert_int_equal(hm_cli_main(5, argv, in, out, stderr), HM_CLI_DONE);
    (void)fclose(in);
    (void)fclose(out);
    assert_string_equal(out_text, "{}\n");
    done();
}

/* init reaches the function that makes nodes with every option. */
static struct hm_node_init seen;
static int init_result;

int hm_node_init(const struct hm_node_init *options, struct hm_buf *errmsg)
{
    seen = *options;
    if (init_result != HM_OK) {
        hm_buf_append_str(errmsg, "there is a node already");
    }
    return init_result;
}

HM_TEST(init_passes_options)
{
    assert_int_equal(RUN("init", "d", "--name", "N", "--web", "off", "--listen",
                         "0.0.0.0:8471", "--public", "h.vn:8471", "--phones", "a:1",
                         "--programme", "vn-poverty", "--store", "sqlite", "--json"),
                     HM_CLI_DONE);
    assert_string_equal(seen.dir, "d");
    assert_string_equal(seen.name, "N");
    assert_string_equal(seen.web, "off");
    assert_string_equal(seen.listen, "0.0.0.0:8471");
    assert_string_equal(seen.public, "h.vn:8471");
    assert_string_equal(seen.phones, "a:1");
    assert_string_equal(seen.programme, "vn-poverty");
    assert_string_equal(seen.store, "sqlite");
    assert_string_equal(out_text, "{\"dir\":\"d\",\"name\":\"N\"}\n");
    done();
    init_result = HM_EXISTS;
    assert_int_equal(RUN("init", "d"), HM_CLI_FAILED);
    assert_null(seen.web);
    assert_string_equal(err_text, "hamlet: there is a node already\n");
    done();
}
