#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/chaos.h"
#include "tests/support/child.h"
#include "tests/support/e2e_clock.h"
#include "tests/support/test.h"

enum { READY_S = 60, ENDING_S = 30, AIM_S = 2, AIM_DELAY_MS = 60 };

static void enter(const struct chaos *c, struct chaos_node *n, enum chaos_state state)
{
    n->state = state;
    n->since_s = chaos_now_s(c);
    n->disturbances++;
}

/* --- links --- */

static void set_link(const struct chaos *c, const struct chaos_node *n)
{
    if (n->node->proxy != NULL) {
        hm_proxy_set(n->node->proxy,
                     c->holding ? &(struct hm_proxy_mode){.down = true} : &n->link);
    }
}

static void set_links(struct chaos *c, bool holding)
{
    c->holding = holding;
    for (size_t i = 1; i < CHAOS_NODES; i++) {
        set_link(c, &c->nodes[i]);
    }
}

/* From the handshake to the middle of a feed: a sync is some 2 kB up and down. */
static void spoil_link(struct chaos *c, struct chaos_node *n,
                       const struct chaos_fault *fault)
{
    struct hm_rng rng = {fault->random};
    uint64_t bytes = 1 + hm_rng_below(&rng, hm_rng_below(&rng, 2) == 0 ? 800 : 12000);
    bool always = hm_rng_below(&rng, 2) == 0;
    const char *what = "";

    n->link = (struct hm_proxy_mode){.always = always};
    switch (hm_rng_below(&rng, 7)) {
    case 0:
        n->link.down = true;
        what = "refuses connections and resets those that are open";
        break;
    case 1:
        n->link.stall = true;
        what = "is half open: carries nothing, closes nothing";
        break;
    case 2:
        n->link.delay_ms = (uint32_t)(50 + bytes % 700);
        n->link.bytes_per_s = (uint32_t)(2000 + bytes);
        what = "is slow and late";
        break;
    case 3:
        n->link.cut_up = bytes;
        what = "is cut on the way up";
        break;
    case 4:
        n->link.cut_down = bytes;
        what = "is cut on the way down";
        break;
    default:
        n->link.drop_reply = true;
        what = "loses the reply to a request that arrived";
        break;
    }
    set_link(c, n);
    n->link_until_s = chaos_now_s(c) + fault->for_s;
    chaos_say(c, n, "its link %s for %.1f s (%u bytes, %s)", what, fault->for_s,
              (unsigned)bytes, always ? "always" : "once");
}

static void mend_link(struct chaos *c, struct chaos_node *n)
{
    n->link = (struct hm_proxy_mode){0};
    n->link_until_s = 0;
    set_link(c, n);
    chaos_say(c, n, "its link is good");
}

/* --- disks --- */

static long long free_bytes(const struct chaos_node *n)
{
    struct statvfs about;

    CHECK_OK(statvfs(n->node->dir, &about));
    return (long long)(about.f_bavail * about.f_frsize);
}

static const char *ballast(const struct chaos_node *n)
{
    static char path[300];

    (void)snprintf(path, sizeof path, "%s/ballast", n->node->dir);
    return path;
}

/* To the last byte, or to a few pages that one commit may still find. */
static void fill_disk(struct chaos *c, struct chaos_node *n,
                      const struct chaos_fault *fault)
{
    int fd = open(ballast(n), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    long long left =
        fault->random % 2 == 0 ? 0 : (long long)(fault->random % 128) * 4096;
    long long free_now = free_bytes(n);

    assert_true(fd >= 0);
    /* Somebody else may take the room between the look and the fill. */
    if (free_now > left) {
        (void)posix_fallocate(fd, 0, free_now - left);
    }
    CHECK_OK(close(fd));
    n->was_full = true;
    n->full_until_s = chaos_now_s(c) + fault->for_s;
    chaos_say(c, n, "its disk is filled, %lld bytes are left for %.1f s", free_bytes(n),
              fault->for_s);
}

static void empty_disk(struct chaos *c, struct chaos_node *n)
{
    CHECK_OK(unlink(ballast(n)));
    n->full_until_s = 0;
    n->full_over_s = chaos_now_s(c);
    chaos_say(c, n, "its disk has room again, %lld bytes", free_bytes(n));
}

/* --- clocks --- */

static void step_clock(struct chaos *c, struct chaos_node *n, uint64_t random)
{
    static const char *const steps[] = {"+0",    "-2d",  "+3650d", "-20770d",
                                        "-600s", "+45s", "+0",     "-1h"};
    const char *step = steps[random % (sizeof steps / sizeof steps[0])];

    e2e_clock_set(n->node, step);
    chaos_say(c, n, "its clock steps to %s of the true time", step);
}

/* --- processes --- */

static void start(struct chaos *c, struct chaos_node *n)
{
    e2e_launch(n->node);
    n->was_full = n->full_until_s > 0;
    enter(c, n, CHAOS_STARTING);
    chaos_say(c, n, "is started");
}

static void kill_now(struct chaos *c, struct chaos_node *n, double for_s)
{
    int status;

    (void)kill(n->node->pid, SIGKILL);
    assert_true(hm_child_wait(n->node->pid, ENDING_S, &status));
    n->node->pid = 0;
    n->start_s = chaos_now_s(c) + for_s;
    enter(c, n, CHAOS_DOWN);
    chaos_say(c, n, "is killed (SIGKILL), for %.1f s", for_s);
    if (n->index > 0) {
        return;
    }
    /* What was receipted until now must be there: nobody may send it again before
     * that was looked at. */
    for (size_t i = 1; i < CHAOS_NODES; i++) {
        c->nodes[i].promised = c->nodes[i].receipts;
    }
    set_links(c, true);
}

/* Every other kill waits for a save that is on its way, and then a moment more. */
static void aim_kill(struct chaos *c, struct chaos_node *n,
                     const struct chaos_fault *fault)
{
    if (fault->random % 2 == 0) {
        kill_now(c, n, fault->for_s);
        return;
    }
    n->for_s = fault->for_s;
    n->aim_until_s = chaos_now_s(c) + AIM_S;
    n->aim_delay_s = (double)(fault->random / 2 % AIM_DELAY_MS) / 1000;
}

static void turn_aim(struct chaos *c, struct chaos_node *n, double now_s)
{
    const struct chaos_person *p = &n->person;
    bool saving = p->job.job != NULL && now_s >= p->job.begun_s + n->aim_delay_s &&
                  (p->step == CHAOS_PUTTING || p->step == CHAOS_RESOLVING ||
                   p->step == CHAOS_IMPORTING);

    if (n->aim_until_s > 0 && n->node->pid == 0) {
        n->aim_until_s = 0;
    } else if (n->aim_until_s > 0 && (saving || now_s >= n->aim_until_s)) {
        n->aim_until_s = 0;
        kill_now(c, n, n->for_s);
    }
}

static void freeze(struct chaos *c, struct chaos_node *n, double for_s)
{
    (void)kill(n->node->pid, SIGSTOP);
    n->frozen = true;
    n->thaw_s = chaos_now_s(c) + for_s;
    chaos_say(c, n, "is stopped (SIGSTOP) for %.1f s", for_s);
}

static void thaw(struct chaos *c, struct chaos_node *n)
{
    (void)kill(n->node->pid, SIGCONT);
    n->frozen = false;
    chaos_say(c, n, "goes on (SIGCONT)");
}

static bool begin_process_fault(struct chaos *c, struct chaos_node *n,
                                const struct chaos_fault *fault)
{
    if (n->node->pid == 0 || n->frozen || n->state == CHAOS_ENDING ||
        n->aim_until_s > 0) {
        return false;
    }
    if (fault->kind == CHAOS_KILL) {
        aim_kill(c, n, fault);
        return true;
    }
    if (n->state != CHAOS_READY) {
        return false; /* a start may be killed; all else is for who has started */
    }
    if (fault->kind == CHAOS_FREEZE) {
        freeze(c, n, fault->for_s);
    } else {
        (void)kill(n->node->pid, fault->kind == CHAOS_HUP ? SIGHUP : SIGTERM);
        chaos_say(c, n, "is sent %s", fault->kind == CHAOS_HUP ? "SIGHUP" : "SIGTERM");
    }
    if (fault->kind == CHAOS_TERM) {
        n->for_s = fault->for_s;
        enter(c, n, CHAOS_ENDING);
    }
    return true;
}

/* A laptop that is not there takes no wish; then nobody paused. */
static bool begin_pause(struct chaos *c, struct chaos_node *n, double for_s)
{
    static const char *const arguments[] = {"sync", "pause", NULL};

    if (n->state != CHAOS_READY || n->side.job != NULL) {
        return false;
    }
    chaos_job_begin(c, n, &n->side, NULL, arguments);
    n->pause_until_s = chaos_now_s(c) + for_s;
    chaos_say(c, n, "sync is paused for %.1f s", for_s);
    return true;
}

void chaos_faults_begin(struct chaos *c, const struct chaos_fault *fault)
{
    struct chaos_node *n = &c->nodes[fault->node];
    bool done = true;

    switch (fault->kind) {
    case CHAOS_FULL_DISK:
        done = c->small_disks;
        if (done) {
            fill_disk(c, n, fault);
        }
        break;
    case CHAOS_CLOCK:
        done = c->clocks;
        if (done) {
            step_clock(c, n, fault->random);
        }
        break;
    case CHAOS_LINK:
        spoil_link(c, n, fault);
        break;
    case CHAOS_PAUSE:
        done = begin_pause(c, n, fault->for_s);
        break;
    case CHAOS_KILL:
    case CHAOS_TERM:
    case CHAOS_FREEZE:
    case CHAOS_HUP:
    case CHAOS_KINDS:
        done = begin_process_fault(c, n, fault);
        break;
    }
    c->figures.done[fault->kind] += done ? 1 : 0;
}

/* --- turns --- */

/* Only a full disk is a reason to end, and then with a line about it. */
static void take_end(struct chaos *c, struct chaos_node *n, int status)
{
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    bool full = n->was_full && WIFEXITED(status) && strstr(e2e_log(n->node), "disk");

    n->node->pid = 0;
    if (n->state == CHAOS_ENDING && well) {
        chaos_say(c, n, "has ended, for %.1f s", n->for_s);
    } else if (full) {
        c->figures.ended_by_full_disk++;
        chaos_say(c, n, "has ended by itself with %d, its disk being full",
                  WEXITSTATUS(status));
    } else {
        e2e_fail("%s ended by itself%s: status 0x%x", n->node->name,
                 n->state == CHAOS_ENDING ? " after SIGTERM" : "", (unsigned)status);
    }
    n->start_s = chaos_now_s(c) + (n->state == CHAOS_ENDING ? n->for_s : 0.5);
    enter(c, n, CHAOS_DOWN);
}

/* Asks for its status until it answers. */
static void probe(struct chaos *c, struct chaos_node *n)
{
    struct e2e_result *result;

    if (n->probe.job == NULL) {
        n->probe.job = e2e_begin(n->node, NULL, "status", NULL);
        n->probe.disturbances = n->disturbances;
        return;
    }
    if (!e2e_ended(n->probe.job)) {
        return;
    }
    result = e2e_end(n->probe.job, 1);
    n->probe.job = NULL;
    if (result->exit_code == E2E_DONE && n->probe.disturbances == n->disturbances) {
        chaos_say(c, n, "is ready after %.2f s", chaos_now_s(c) - n->since_s);
        enter(c, n, CHAOS_READY);
        if (n->index == 0 && c->holding) {
            chaos_check_receipts(c);
            set_links(c, false);
        }
    }
    e2e_forget(result);
}

static void turn_process(struct chaos *c, struct chaos_node *n, double now_s)
{
    int status;

    if (n->frozen && now_s >= n->thaw_s) {
        thaw(c, n);
    }
    if (n->node->pid != 0 && hm_child_wait(n->node->pid, 0, &status)) {
        take_end(c, n, status);
    }
    turn_aim(c, n, now_s);
    if (n->state == CHAOS_DOWN && now_s >= n->start_s) {
        start(c, n);
    } else if (n->state == CHAOS_STARTING || n->probe.job != NULL) {
        probe(c, n);
    }
    if ((n->state == CHAOS_STARTING && now_s > n->since_s + READY_S) ||
        (n->state == CHAOS_ENDING && now_s > n->since_s + ENDING_S)) {
        e2e_fail("%s is not %s in time", n->node->name,
                 n->state == CHAOS_STARTING ? "ready" : "ended");
    }
}

/* Bytes that came from another node: down to a laptop, up to the centre. */
static void watch_link(struct chaos *c, struct chaos_node *n, double now_s)
{
    struct hm_proxy_counters counters = hm_proxy_counters(n->node->proxy);

    if (counters.down != n->seen.down) {
        n->moved_s = now_s;
    }
    if (counters.up != n->seen.up) {
        c->nodes[0].moved_s = now_s;
    }
    n->seen = counters;
}

void chaos_faults_turn(struct chaos *c)
{
    for (size_t i = 0; i < CHAOS_NODES; i++) {
        struct chaos_node *n = &c->nodes[i];
        double now_s = chaos_now_s(c);

        if (n->full_until_s > 0 && now_s >= n->full_until_s) {
            empty_disk(c, n);
        }
        if (n->link_until_s > 0 && now_s >= n->link_until_s) {
            mend_link(c, n);
        }
        if (i > 0) {
            watch_link(c, n, now_s);
        }
        turn_process(c, n, now_s);
    }
}

void chaos_faults_end(struct chaos *c)
{
    chaos_say(c, NULL, "from now on all is well, but for the clocks");
    for (size_t i = 0; i < CHAOS_NODES; i++) {
        struct chaos_node *n = &c->nodes[i];

        n->full_until_s = n->full_until_s > 0 ? 1e-9 : 0;
        n->link_until_s = n->link_until_s > 0 ? 1e-9 : 0;
        n->pause_until_s = n->pause_until_s > 0 ? 1e-9 : 0;
        n->aim_until_s = 0;
        n->thaw_s = 0;
        n->start_s = 0;
    }
}

bool chaos_all_ready(const struct chaos *c)
{
    for (size_t i = 0; i < CHAOS_NODES; i++) {
        if (c->nodes[i].state != CHAOS_READY || c->nodes[i].probe.job != NULL ||
            c->nodes[i].pause_until_s > 0 || c->nodes[i].full_until_s > 0) {
            return false;
        }
    }
    return !c->holding;
}
