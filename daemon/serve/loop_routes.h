/* The routes that only the daemon itself can answer: status, alarms, sync, enroll, log,
 * metrics, healthz. Loop thread only; what comes from the store comes from its
 * threads. */
#ifndef HM_DAEMON_SERVE_LOOP_ROUTES_H
#define HM_DAEMON_SERVE_LOOP_ROUTES_H

#include "daemon/exchange.h"
#include "daemon/serve/api_route.h"
#include "daemon/upstream.h"

enum { HM_LOOP_BODY_BYTES_MAX = 64 * 1024 };

extern const struct hm_exchange_kind hm_exchange_loop;

struct hm_loop_exchange;

/* One route. wants: names of the query's parameters, with blanks between. */
struct hm_loop_route {
    const char *method;
    const char *path; /* below /api/v1, or whole; {} at its end takes a member */
    const char *wants;
    bool always; /* for everybody, without a look for the user */
    void (*run)(struct hm_loop_exchange *loop);
    void (*room)(struct hm_loop_exchange *loop); /* streams */
};

struct hm_loop_exchange {
    struct hm_exchange x;
    const struct hm_loop_route *route;
    const char *member; /* of the path, for {} */
    char user[HM_API_USER_MAX];
    char wait[16]; /* query: wait, lines, follow */
    char lines[16];
    bool follow;
    struct hm_store_job job;
    struct hm_sync_wait waiting;
    void *facts;          /* of a job, freed with the exchange */
    uint64_t line_number; /* log: the next one */
    bool streaming;
    struct hm_loop_exchange *next_follower;
};

/* Runs work, then done, on behalf of an exchange; answers 503 when it cannot. */
void hm_loop_submit(struct hm_loop_exchange *loop, enum hm_store_lane lane,
                    void (*work)(struct hm_store_job *job,
                                 const struct hm_store_side *side),
                    void (*done)(struct hm_store_job *job));

/* In the other files. */
void hm_status_run(struct hm_loop_exchange *loop);
void hm_metrics_run(struct hm_loop_exchange *loop);
void hm_alarms_run_list(struct hm_loop_exchange *loop);
void hm_alarms_run_clear(struct hm_loop_exchange *loop);
void hm_log_route_run(struct hm_loop_exchange *loop);
void hm_log_route_room(struct hm_loop_exchange *loop);
/* Lines were written: tell those who follow. */
void hm_log_route_wake(void);
/* The node stops: end all streams. */
void hm_log_route_end_all(void);
void hm_enroll_run(struct hm_loop_exchange *loop);
void hm_upstreams_run_use(struct hm_loop_exchange *loop);

#endif
