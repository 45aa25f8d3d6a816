/* A hub stands in the open: strangers and broken programs send it anything. It answers
 * with the right status, stays small, and goes on serving laptops. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/e2e_data.h"
#include "tests/support/https.h"
#include "tests/support/test.h"

enum { LARGE_BYTES = 64 * 1024 * 1024, RSS_KB_MAX = 200 * 1024, IDLERS = 200 };

static long post(struct e2e_node *hub, const char *token, const void *body, size_t len)
{
    return hm_https_send(&(struct hm_https_request){.port = hub->hub_port,
                                                    .path = "/sync/v1",
                                                    .token = token,
                                                    .body = body,
                                                    .len = len});
}

/* Resident memory of the node's process, in kB. */
static long resident_kb(const struct e2e_node *node)
{
    char path[64];
    char line[256];
    long kb = -1;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)node->pid);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kb = strtol(line + 6, NULL, 10);
        }
    }
    (void)fclose(file);
    return kb;
}

static void check_healthy(struct e2e_node *hub)
{
    e2e_check_alive(hub);
    assert_int_equal(e2e_cli(hub, "status", NULL)->exit_code, E2E_DONE);
    e2e_step("%ld kB resident", resident_kb(hub));
    assert_in_range(resident_kb(hub), 1, RSS_KB_MAX);
}

/* Deterministic noise. */
static void fill_noise(unsigned char *bytes, size_t len)
{
    uint32_t x = 2463534242U;

    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = (unsigned char)x;
    }
}

HM_TEST(a_stranger_is_401_whatever_it_sends)
{
    struct e2e_node *centre = e2e_centre(false);
    unsigned char noise[5000];

    fill_noise(noise, sizeof noise);
    assert_int_equal(post(centre, NULL, NULL, 0), 401);
    assert_int_equal(post(centre, NULL, noise, sizeof noise), 401);
    assert_int_equal(post(centre, NULL, noise, 1), 401);
    assert_int_equal(post(centre, "", noise, sizeof noise), 401);
    assert_int_equal(post(centre, "not-a-token", noise, sizeof noise), 401);
    assert_int_equal(
        post(centre, "0000000000000000000000000000000000000000000000000000000000000000",
             "\xdd\xff\xff\xff\xff", 5),
        401);
    check_healthy(centre);
    e2e_finish();
}

/* Refused before it is read: 64 MB from a stranger must not become 64 MB of ours. */
HM_TEST(a_body_too_large_is_not_taken)
{
    struct e2e_node *centre = e2e_centre(false);
    unsigned char *large = malloc(LARGE_BYTES);
    long status;

    assert_non_null(large);
    fill_noise(large, LARGE_BYTES);
    status = post(centre, NULL, large, LARGE_BYTES);
    e2e_step("status %ld", status);
    assert_true(status == 401 || status == 413 || status == 0);
    free(large);
    check_healthy(centre);
    e2e_finish();
}

HM_TEST(other_methods_and_paths_are_said_so)
{
    struct e2e_node *centre = e2e_centre(false);
    const struct hm_https_request requests[] = {
        {.port = centre->hub_port, .method = "GET", .path = "/sync/v1"},
        {.port = centre->hub_port, .method = "DELETE", .path = "/sync/v1"},
        {.port = centre->hub_port,
         .method = "GET",
         .path = "/sync/v1/../../etc/passwd"},
        {.port = centre->hub_port, .method = "GET", .path = "/no/such/path"},
        {.port = centre->hub_port, .path = "/enroll/v1", .body = "{}", .len = 2},
    };

    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        long status = hm_https_send(&requests[i]);

        e2e_step("%s: %ld", requests[i].path, status);
        assert_in_range(status, 400, 499);
    }
    check_healthy(centre);
    e2e_finish();
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* What isn't even TLS. */
HM_TEST(noise_on_the_wire_is_survived)
{
    struct e2e_node *centre = e2e_centre(false);
    unsigned char noise[3000];

    fill_noise(noise, sizeof noise);
    for (size_t len = 1; len <= sizeof noise; len = len * 3 + 1) {
        int fd = dial(centre->hub_port);
        int plain = dial(centre->hub_port);

        (void)send(fd, noise, len, MSG_NOSIGNAL);
        (void)send(plain, "GET / HTTP/1.1\r\n\r\n", len < 18 ? len : 18, MSG_NOSIGNAL);
        (void)close(fd);
        (void)close(plain);
    }
    check_healthy(centre);
    e2e_finish();
}

/* Connections that never say anything must not keep laptops out. */
HM_TEST(silent_connections_keep_nobody_out)
{
    struct e2e_commune commune = e2e_commune(60);
    int idle[IDLERS];
    const char *id;

    for (int i = 0; i < IDLERS; i++) {
        idle[i] = dial(commune.centre->hub_port);
    }
    e2e_step("%d silent connections", IDLERS);
    id = e2e_add(commune.a, E2E_HAMLET_A, "Hồ Thị Mới", 2);
    (void)e2e_sync(commune.a);
    e2e_check_field(commune.centre, id, "head_name", "Hồ Thị Mới");
    check_healthy(commune.centre);
    for (int i = 0; i < IDLERS; i++) {
        (void)close(idle[i]);
    }
    e2e_finish();
}

/* A link that breaks in the middle of an upload leaves half a request behind. */
HM_TEST(a_truncated_request_is_forgotten)
{
    struct e2e_commune commune = e2e_commune(60);
    json_int_t before = e2e_household_count(commune.centre);

    e2e_pause(commune.a);
    for (int i = 0; i < 10; i++) {
        char name[32];

        (void)snprintf(name, sizeof name, "Nguyễn Văn %c", 'A' + i);
        (void)e2e_add(commune.a, E2E_HAMLET_A, name, 4);
    }
    hm_proxy_reset(commune.a->proxy);
    hm_proxy_set(commune.a->proxy,
                 &(struct hm_proxy_mode){.cut_up = 900, .always = true});
    (void)e2e_end(e2e_begin(commune.a, NULL, "sync", NULL), 60);
    assert_int_equal(e2e_household_count(commune.centre), before);
    hm_proxy_set(commune.a->proxy, &(struct hm_proxy_mode){0});
    (void)e2e_sync(commune.a);
    assert_int_equal(e2e_household_count(commune.centre), before + 10);
    check_healthy(commune.centre);
    e2e_finish();
}
