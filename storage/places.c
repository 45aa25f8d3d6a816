#include "storage/places.h"

#include "storage/alarms.h"

struct run {
    uint64_t opening;
    uint64_t number; /* of its newest request */
    int64_t first;   /* when it was here, counted in changes of runs */
    int64_t last;
    int64_t returns; /* requests behind those of another run */
    bool told;       /* it is counted in an alarm */
};

struct runs {
    struct run list[HM_PLACES_KEPT + 1];
    size_t count;
};

static int load(struct hm_store *s, uint64_t device, struct runs *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "SELECT opening, number, began, latest, returns, told FROM opening "
                   "WHERE device = $1 ORDER BY latest LIMIT 16",
                   &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        out->list[out->count++] = (struct run){.opening = hm_stmt_u64(stmt, 0),
                                               .number = hm_stmt_u64(stmt, 1),
                                               .first = hm_stmt_int(stmt, 2),
                                               .last = hm_stmt_int(stmt, 3),
                                               .returns = hm_stmt_int(stmt, 4),
                                               .told = hm_stmt_int(stmt, 5) != 0};
    }
    hm_stmt_reset(stmt);
    return err;
}

static int keep(struct hm_store *s, uint64_t device, const struct run *run)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(
        hm_store_db(s),
        "INSERT INTO opening (device, opening, number, began, latest, returns, told) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (device, opening) DO UPDATE "
        "SET "
        "number = excluded.number, latest = excluded.latest, "
        "returns = excluded.returns, told = excluded.told",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    hm_stmt_bind_u64(stmt, 2, run->opening);
    hm_stmt_bind_u64(stmt, 3, run->number);
    hm_stmt_bind_int(stmt, 4, run->first);
    hm_stmt_bind_int(stmt, 5, run->last);
    hm_stmt_bind_int(stmt, 6, run->returns);
    hm_stmt_bind_int(stmt, 7, run->told);
    return hm_stmt_run(stmt);
}

static int forget(struct hm_store *s, uint64_t device, const struct run *run)
{
    struct hm_stmt *stmt;
    int err =
        hm_db_stmt(hm_store_db(s),
                   "DELETE FROM opening WHERE device = $1 AND opening = $2", &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    hm_stmt_bind_u64(stmt, 2, run->opening);
    return hm_stmt_run(stmt);
}

/* The most runs that were there at one time. */
static uint64_t places(const struct runs *runs)
{
    uint64_t most = 0;

    for (size_t i = 0; i < runs->count; i++) {
        uint64_t here = 0;

        for (size_t j = 0; j < runs->count; j++) {
            here += runs->list[j].first <= runs->list[i].first &&
                    runs->list[j].last >= runs->list[i].first;
        }
        most = here > most ? here : most;
    }
    return most;
}

/* The run was here before the others that have been here since. */
static int take_turn(struct hm_store *s, uint64_t device, struct runs *runs,
                     struct run *run, int64_t now)
{
    int64_t before = run->last;
    bool news = !run->told;
    int err = HM_OK;

    /* One request may have been under way when its machine began another run. */
    if (run->returns++ == 0) {
        return HM_OK;
    }
    run->last = now;
    run->told = true;
    for (size_t i = 0; i < runs->count && err == HM_OK; i++) {
        struct run *other = &runs->list[i];

        if (other != run && other->last > before && !other->told) {
            news = true;
            other->told = true;
            err = keep(s, device, other);
        }
    }
    if (err == HM_OK && news) {
        err = hm_alarms_raise(s, HM_ALARM_CLONE, device, run->opening, places(runs));
    }
    return err;
}

int hm_places_note(struct hm_store *s, uint64_t device, uint64_t opening,
                   uint64_t number)
{
    struct runs runs = {.count = 0};
    struct run *run = NULL;
    int64_t now = 0;
    int err = load(s, device, &runs);

    for (size_t i = 0; i < runs.count; i++) {
        now = runs.list[i].last >= now ? runs.list[i].last : now;
        run = runs.list[i].opening == opening ? &runs.list[i] : run;
    }
    if (err != HM_OK || (run != NULL && number <= run->number)) {
        return err; /* it came late, or twice */
    }
    if (run == NULL) {
        run = &runs.list[runs.count++];
        *run = (struct run){.opening = opening, .first = now + 1, .last = now + 1};
    } else if (run->last < now) {
        err = take_turn(s, device, &runs, run, now + 1);
    }
    run->number = number;
    if (err == HM_OK) {
        err = keep(s, device, run);
    }
    if (err == HM_OK && runs.count > HM_PLACES_KEPT) {
        err = forget(s, device, &runs.list[0]); /* the one that is gone longest */
    }
    return err;
}
