/* Happy path: the bus is opened, its descriptor watched; ask() sends a question for the
 * property, on_answer() takes it; a signal that properties have changed, or that the
 * name has another owner, asks again.
 * Failures: whatever fails ends the connection; the timer opens another one later.
 * Close: the connection, then both handles, then closed(). */
#include "daemon/network_manager.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define NAME "org.freedesktop.NetworkManager"
#define PATH "/org/freedesktop/NetworkManager"

enum { AGAIN_MS = 10 * 60 * 1000, ANSWER_US = 5 * 1000 * 1000, STEPS_MAX = 64 };

struct hm_network_manager {
    uv_loop_t *loop;
    sd_bus *bus; /* NULL: none */
    uv_poll_t
        *poll; /* of the bus's descriptor; its own memory, since it closes later */
    uv_timer_t timer;
    enum hm_metered metered;
    hm_network_manager_cb on_change;
    hm_network_manager_cb closed;
    void *owner;
};

static void on_timer(uv_timer_t *timer);

static void take(struct hm_network_manager *m, enum hm_metered metered)
{
    if (m->metered != metered) {
        m->metered = metered;
        m->on_change(m->owner);
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void hang_up(struct hm_network_manager *m)
{
    if (m->poll != NULL) {
        (void)uv_poll_stop(m->poll);
        uv_close((uv_handle_t *)m->poll, on_poll_closed);
        m->poll = NULL;
    }
    m->bus = sd_bus_close_unref(m->bus);
}

/* The connection is of no use: another one later. */
static void give_up(struct hm_network_manager *m)
{
    hang_up(m);
    (void)uv_timer_start(&m->timer, on_timer, AGAIN_MS, 0);
    take(m, HM_METERED_UNKNOWN);
}

static int on_answer(sd_bus_message *answer, void *arg, sd_bus_error *error)
{
    /* 0 unknown, 1 yes, 2 no, 3 a guess that yes, 4 a guess that no */
    static const enum hm_metered meanings[] = {HM_METERED_UNKNOWN, HM_METERED_YES,
                                               HM_METERED_NO, HM_METERED_YES,
                                               HM_METERED_NO};
    struct hm_network_manager *m = arg;
    uint32_t value = 0;

    (void)error;
    if (sd_bus_message_is_method_error(answer, NULL) > 0 ||
        sd_bus_message_read(answer, "v", "u", &value) < 0 ||
        value >= sizeof meanings / sizeof meanings[0]) {
        value = 0;
    }
    take(m, meanings[value]);
    return 0;
}

static int ask(struct hm_network_manager *m)
{
    sd_bus_message *question = NULL;
    int result = sd_bus_message_new_method_call(
        m->bus, &question, NAME, PATH, "org.freedesktop.DBus.Properties", "Get");

    if (result >= 0) {
        result = sd_bus_message_set_auto_start(question, 0); /* only if it runs */
    }
    if (result >= 0) {
        result = sd_bus_message_append(question, "ss", NAME, "Metered");
    }
    if (result >= 0) {
        result = sd_bus_call_async(m->bus, NULL, question, on_answer, m, ANSWER_US);
    }
    (void)sd_bus_message_unref(question);
    return result;
}

static int on_signal(sd_bus_message *signal, void *arg, sd_bus_error *error)
{
    (void)signal;
    (void)error;
    return ask(arg) < 0 ? -1 : 0;
}

static uint64_t monotonic_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void on_poll(uv_poll_t *poll, int status, int events);

/* What the bus waits for now. */
static void watch(struct hm_network_manager *m)
{
    int wanted = sd_bus_get_events(m->bus);
    uint64_t at_us = UINT64_MAX;
    int events = 0;

    if (wanted < 0 || sd_bus_get_timeout(m->bus, &at_us) < 0) {
        give_up(m);
        return;
    }
    events |= (wanted & POLLIN) != 0 ? UV_READABLE : 0;
    events |= (wanted & POLLOUT) != 0 ? UV_WRITABLE : 0;
    if (uv_poll_start(m->poll, events, on_poll) != 0) {
        give_up(m);
    } else if (at_us == UINT64_MAX) {
        (void)uv_timer_stop(&m->timer);
    } else {
        uint64_t now_us = monotonic_us();

        (void)uv_timer_start(&m->timer, on_timer,
                             at_us > now_us ? (at_us - now_us + 999) / 1000 : 0, 0);
    }
}

static void process(struct hm_network_manager *m)
{
    int result = 1;

    for (int i = 0; i < STEPS_MAX && result > 0; i++) {
        result = sd_bus_process(m->bus, NULL);
    }
    if (result < 0) {
        give_up(m);
    } else {
        watch(m);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct hm_network_manager *m = poll->data;

    (void)events;
    if (status < 0) {
        give_up(m);
    } else {
        process(m);
    }
}

static int subscribe(struct hm_network_manager *m)
{
    int result = sd_bus_match_signal_async(m->bus, NULL, NAME, PATH,
                                           "org.freedesktop.DBus.Properties",
                                           "PropertiesChanged", on_signal, NULL, m);

    if (result >= 0) {
        result = sd_bus_add_match_async(
            m->bus, NULL,
            "type='signal',sender='org.freedesktop.DBus',"
            "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" NAME
            "'",
            on_signal, NULL, m);
    }
    return result < 0 ? result : ask(m);
}

static void dial(struct hm_network_manager *m)
{
    m->poll = sd_bus_open_system(&m->bus) < 0 ? NULL : calloc(1, sizeof *m->poll);
    if (m->poll == NULL) {
        give_up(m);
        return;
    }
    if (uv_poll_init(m->loop, m->poll, sd_bus_get_fd(m->bus)) != 0) {
        free(m->poll);
        m->poll = NULL;
        give_up(m);
        return;
    }
    m->poll->data = m;
    uv_unref((uv_handle_t *)m->poll);
    if (subscribe(m) < 0) {
        give_up(m);
    } else {
        process(m);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct hm_network_manager *m = timer->data;

    if (m->bus == NULL) {
        dial(m);
    } else {
        process(m);
    }
}

int hm_network_manager_open(uv_loop_t *loop, hm_network_manager_cb on_change,
                            void *owner, struct hm_network_manager **out_manager)
{
    struct hm_network_manager *m = calloc(1, sizeof *m);

    if (m == NULL) {
        return HM_NOMEM;
    }
    m->loop = loop;
    m->on_change = on_change;
    m->owner = owner;
    (void)uv_timer_init(loop, &m->timer); /* cannot fail */
    m->timer.data = m;
    uv_unref((uv_handle_t *)&m->timer);
    (void)uv_timer_start(&m->timer, on_timer, 0, 0); /* nothing changes within open */
    *out_manager = m;
    return HM_OK;
}

enum hm_metered hm_network_manager_metered(const struct hm_network_manager *manager)
{
    return manager->metered;
}

static void on_closed(uv_handle_t *handle)
{
    struct hm_network_manager *m = handle->data;
    hm_network_manager_cb closed = m->closed;
    void *owner = m->owner;

    free(m);
    closed(owner);
}

void hm_network_manager_close(struct hm_network_manager *manager,
                              hm_network_manager_cb closed)
{
    manager->closed = closed;
    hang_up(manager);
    uv_close((uv_handle_t *)&manager->timer, on_closed);
}
