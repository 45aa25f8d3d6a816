/* hamletd: the daemon. */
#include <curl/curl.h>
#include <getopt.h>
#include <libxml/parser.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/daemon.h"
#include "daemon/store_open.h"

enum { USAGE = 2 };

static const char help[] =
    "usage: hamletd --dir DIR [--config FILE] [--check]\n"
    "Runs the node that lives in DIR, in the foreground.\n\n"
    "  --dir DIR      the folder of the node; hamlet init makes one\n"
    "  --config FILE  the configuration, instead of DIR/hamletd.conf\n"
    "  --check        check configuration and data, say what is wrong, and end\n"
    "  --version      the version\n"
    "  --help         this text\n";

struct arguments {
    struct hm_daemon_options daemon;
    bool check;
};

/* -1 to go on, else the exit code. */
static int read_arguments(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'}, {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},     {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'd':
            out->daemon.dir = optarg;
            break;
        case 'c':
            out->daemon.config = optarg;
            break;
        case 'k':
            out->check = true;
            break;
        case 'v':
            (void)printf("hamletd %s\n", hm_store_open_version());
            return 0;
        case 'h':
            (void)fputs(help, stdout);
            return 0;
        default:
            return USAGE; /* getopt has said why */
        }
    }
    if (optind < argc || out->daemon.dir == NULL) {
        (void)fputs(help, stderr);
        return USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int code = read_arguments(argc, argv, &arguments);

    if (code >= 0) {
        return code;
    }
    (void)umask(077);
    (void)signal(SIGPIPE, SIG_IGN);
    xmlInitParser();
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)fputs("hamletd: a library can't be set up\n", stderr);
        return 1;
    }
    code = arguments.check ? hm_daemon_check(&arguments.daemon)
                           : hm_daemon_run(&arguments.daemon);
    curl_global_cleanup();
    xmlCleanupParser();
    return code;
}
