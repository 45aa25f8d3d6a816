#include "tests/support/proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *word, uint64_t max, uint64_t *out_value)
{
    char *end = NULL;
    unsigned long long value;

    if (word == NULL || *word < '0' || *word > '9') {
        return false;
    }
    value = strtoull(word, &end, 10);
    if (*end != 0 || value > max) {
        return false;
    }
    *out_value = value;
    return true;
}

/* "always" at the end of a command; anything else there is an error. */
static bool parse_always(const char *word, struct hm_proxy_mode *mode)
{
    mode->always = word != NULL;
    return word == NULL || strcmp(word, "always") == 0;
}

/* Changes one thing of the mode. False: not a command about the mode, or a bad one. */
static bool change_mode(struct hm_proxy_mode *mode, char *const *words)
{
    const char *verb = words[0];
    uint64_t number = 0;

    if (strcmp(verb, "throttle") == 0 && parse_number(words[1], UINT32_MAX, &number)) {
        mode->bytes_per_s = (uint32_t)number;
    } else if (strcmp(verb, "delay") == 0 && parse_number(words[1], 600000, &number)) {
        mode->delay_ms = (uint32_t)number;
    } else if (strcmp(verb, "cut") == 0 && words[1] != NULL &&
               parse_number(words[2], UINT64_MAX, &number) &&
               parse_always(words[3], mode)) {
        mode->cut_up = strcmp(words[1], "up") == 0 ? number : 0;
        mode->cut_down = strcmp(words[1], "down") == 0 ? number : 0;
        return mode->cut_up + mode->cut_down == number;
    } else if (strcmp(verb, "cut-every") == 0 &&
               parse_number(words[1], UINT32_MAX, &number)) {
        mode->cut_every_ms = (uint32_t)number;
    } else if (strcmp(verb, "drop-reply") == 0 && parse_always(words[1], mode)) {
        mode->drop_reply = true;
    } else if (strcmp(verb, "down") == 0) {
        mode->down = true;
    } else if (strcmp(verb, "stall") == 0) {
        mode->stall = true;
    } else if (strcmp(verb, "good") == 0) {
        *mode = (struct hm_proxy_mode){0};
    } else {
        return false;
    }
    return true;
}

static void print_counters(struct hm_proxy *proxy, char *answer, size_t size)
{
    struct hm_proxy_counters c = hm_proxy_counters(proxy);

    (void)snprintf(answer, size,
                   "{\"connections\":%" PRIu64 ",\"up\":%" PRIu64 ",\"down\":%" PRIu64
                   ",\"requests\":%" PRIu64 ",\"cuts\":%" PRIu64
                   ",\"swallowed\":%" PRIu64 "}",
                   c.connections, c.up, c.down, c.requests, c.cuts, c.swallowed);
}

static void print_connection(struct hm_proxy *proxy, const char *word, char *answer,
                             size_t size)
{
    struct hm_proxy_connection c;
    uint64_t index = 0;

    if (!parse_number(word, SIZE_MAX, &index) ||
        hm_proxy_connection(proxy, (size_t)index, &c) != HM_OK) {
        (void)snprintf(answer, size, "error: no such connection");
        return;
    }
    (void)snprintf(answer, size,
                   "{\"up\":%" PRIu64 ",\"down\":%" PRIu64 ",\"requests\":%" PRIu64
                   ",\"open\":%s}",
                   c.up, c.down, c.requests, c.open ? "true" : "false");
}

bool hm_proxy_command(struct hm_proxy *proxy, char *line, char *answer, size_t size)
{
    char *words[5] = {NULL};
    char *rest = NULL;
    struct hm_proxy_mode mode = hm_proxy_mode(proxy);

    words[0] = strtok_r(line, " \t\r\n", &rest);
    for (size_t i = 1; i < 5 && words[i - 1] != NULL; i++) {
        words[i] = strtok_r(NULL, " \t\r\n", &rest);
    }
    (void)snprintf(answer, size, "ok");
    if (words[0] == NULL) {
        (void)snprintf(answer, size, "error: empty command");
    } else if (strcmp(words[0], "quit") == 0) {
        return false;
    } else if (strcmp(words[0], "counters") == 0) {
        print_counters(proxy, answer, size);
    } else if (strcmp(words[0], "connection") == 0) {
        print_connection(proxy, words[1], answer, size);
    } else if (strcmp(words[0], "reset") == 0) {
        hm_proxy_reset(proxy);
    } else if (change_mode(&mode, words)) {
        hm_proxy_set(proxy, &mode);
    } else {
        (void)snprintf(answer, size, "error: unknown or malformed command");
    }
    return true;
}
