/* cutproxy --target PORT [--listen PORT]
 *
 * A bad link on loopback, for scripts; C tests use the library (proxy.h). Prints
 * "listening PORT" first, then answers each line of standard input with one line; ends
 * at "quit" or at the end of input. The commands:
 *
 *   throttle BYTES_PER_S        0: no limit
 *   delay MS                    one way
 *   cut up|down BYTES [always]  cut when so many bytes passed; once, or every time
 *   drop-reply [always]         let the next request through, lose its reply, cut
 *   down                        refuse connections, reset the open ones
 *   stall                       carry nothing, close nothing
 *   cut-every MS                cut all connections so often; 0: never
 *   good                        undoes all of the above
 *   reset                       resets the open connections, once
 *   counters                    JSON: connections, up, down, requests, cuts, swallowed
 *   connection INDEX            JSON: up, down, requests, open
 *   quit */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/proxy.h"

static bool parse_port(const char *text, uint16_t *out_port)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);

    if (*text == 0 || *end != 0 || value == 0 || value > 65535) {
        return false;
    }
    *out_port = (uint16_t)value;
    return true;
}

static bool parse_arguments(int argc, char **argv, uint16_t *target, uint16_t *port)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint16_t *where = strcmp(argv[i], "--target") == 0   ? target
                          : strcmp(argv[i], "--listen") == 0 ? port
                                                             : NULL;

        if (where == NULL || !parse_port(argv[i + 1], where)) {
            return false;
        }
    }
    return argc % 2 == 1 && *target != 0;
}

int main(int argc, char **argv)
{
    struct hm_proxy *proxy = NULL;
    uint16_t target = 0;
    uint16_t port = 0;
    char line[256];
    char answer[256];
    int err;

    if (!parse_arguments(argc, argv, &target, &port)) {
        (void)fprintf(stderr, "usage: cutproxy --target PORT [--listen PORT]\n");
        return 2;
    }
    err = hm_proxy_start(target, port, &proxy);
    if (err != HM_OK) {
        (void)fprintf(stderr, "cutproxy: cannot listen: %s\n", hm_err_text(err));
        return 1;
    }
    (void)printf("listening %u\n", (unsigned)hm_proxy_port(proxy));
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL &&
           hm_proxy_command(proxy, line, answer, sizeof answer)) {
        (void)puts(answer);
        (void)fflush(stdout);
    }
    hm_proxy_stop(proxy);
    return 0;
}
