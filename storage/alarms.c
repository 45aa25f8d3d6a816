#include "storage/alarms.h"

#define ALARM_COLUMNS "id, kind, device, event, source, since_utc_ms, count"

/* A statement of one number about a kind and a device, as $1 and $2. */
static int number_of(struct hm_store *s, const char *sql, enum hm_alarm_kind kind,
                     uint64_t device, int64_t *out)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s), sql, &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, (int64_t)kind);
    hm_stmt_bind_u64(stmt, 2, device);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out = row ? hm_stmt_int(stmt, 0) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

/* Sets *found false when there is none. */
static int load(struct hm_store *s, const struct hm_alarm *key, struct hm_alarm *out,
                bool *cleared, bool *found)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT id, count, cleared FROM alarms WHERE source = $1 "
                         "AND kind = $2 AND device = $3 AND event = $4",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, key->source);
    hm_stmt_bind_int(stmt, 2, (int64_t)key->kind);
    hm_stmt_bind_u64(stmt, 3, key->device);
    hm_stmt_bind_u64(stmt, 4, key->event);
    err = hm_stmt_step(stmt, found);
    if (err == HM_OK && *found) {
        *out = *key;
        out->id = hm_stmt_u64(stmt, 0);
        out->count = hm_stmt_u64(stmt, 1);
        *cleared = hm_stmt_int(stmt, 2) != 0;
    }
    hm_stmt_reset(stmt);
    return err;
}

static int insert(struct hm_store *s, const struct hm_alarm *alarm)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "INSERT INTO alarms (id, kind, device, event, source, "
                         "since_utc_ms, count, cleared) VALUES "
                         "((SELECT COALESCE(MAX(id), 0) + 1 FROM alarms), $1, $2, $3, "
                         "$4, $5, $6, 0)",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, (int64_t)alarm->kind);
    hm_stmt_bind_u64(stmt, 2, alarm->device);
    hm_stmt_bind_u64(stmt, 3, alarm->event);
    hm_stmt_bind_u64(stmt, 4, alarm->source);
    hm_stmt_bind_int(stmt, 5, alarm->since_utc_ms);
    hm_stmt_bind_u64(stmt, 6, alarm->count);
    return hm_stmt_run(stmt);
}

/* A count that grows makes a cleared alarm stand again, from now on. */
static int grow(struct hm_store *s, uint64_t id, uint64_t count, int64_t since_utc_ms)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "UPDATE alarms SET count = $2, since_utc_ms = CASE WHEN "
                         "cleared = 0 THEN since_utc_ms ELSE $3 END, cleared = 0 "
                         "WHERE id = $1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, id);
    hm_stmt_bind_u64(stmt, 2, count);
    hm_stmt_bind_int(stmt, 3, since_utc_ms);
    return hm_stmt_run(stmt);
}

/* One device can't fill the table: what is too much is counted with its newest. */
static int newest_of_many(struct hm_store *s, const struct hm_alarm *alarm,
                          uint64_t *out_id)
{
    int64_t number = 0;
    int err = number_of(s,
                        "SELECT COUNT(*) FROM alarms WHERE source = 0 AND kind = $1 "
                        "AND device = $2",
                        alarm->kind, alarm->device, &number);

    *out_id = 0;
    if (err != HM_OK || number < HM_ALARMS_A_DEVICE_MAX) {
        return err;
    }
    err = number_of(s,
                    "SELECT MAX(id) FROM alarms WHERE source = 0 AND kind = $1 AND "
                    "device = $2",
                    alarm->kind, alarm->device, &number);
    *out_id = (uint64_t)number;
    return err;
}

/* adds: count is more than what is known, else at least that. */
static int note(struct hm_store *s, const struct hm_alarm *alarm, bool adds)
{
    struct hm_alarm before = {0};
    bool cleared = false;
    bool found = false;
    uint64_t newest = 0;
    int err = load(s, alarm, &before, &cleared, &found);

    if (err == HM_OK && found) {
        uint64_t count = adds ? before.count + alarm->count : alarm->count;

        return count > before.count ? grow(s, before.id, count, alarm->since_utc_ms)
                                    : HM_OK;
    }
    if (err == HM_OK) {
        err = newest_of_many(s, alarm, &newest);
    }
    if (err == HM_OK && newest == 0) {
        err = insert(s, alarm);
    }
    return err; /* beyond the limit there is one to look at already */
}

int hm_alarms_raise(struct hm_store *s, enum hm_alarm_kind kind, uint64_t device,
                    uint64_t event, uint64_t count)
{
    struct hm_alarm alarm = {.kind = kind,
                             .device = device,
                             .event = event,
                             .since_utc_ms = hm_store_utc_ms(s),
                             .count = count};

    return note(s, &alarm, false);
}

int hm_alarms_add(struct hm_store *s, enum hm_alarm_kind kind, uint64_t device,
                  uint64_t event, uint64_t more)
{
    struct hm_alarm alarm = {.kind = kind,
                             .device = device,
                             .event = event,
                             .since_utc_ms = hm_store_utc_ms(s),
                             .count = more};

    return note(s, &alarm, true);
}

int hm_alarms_known(struct hm_store *s, enum hm_alarm_kind kind, uint64_t device,
                    bool *out_known)
{
    int64_t count = 0;
    int err = number_of(s,
                        "SELECT COUNT(*) FROM alarms WHERE source = 0 AND kind = $1 "
                        "AND device = $2",
                        kind, device, &count);

    if (err == HM_OK) {
        *out_known = count > 0;
    }
    return err;
}

/* All clone alarms of a device are one to people, so they go as one. */
int hm_alarms_clear(struct hm_store *s, uint64_t id)
{
    struct hm_stmt *stmt;
    int err = hm_db_stmt(hm_store_db(s),
                         "UPDATE alarms SET cleared = 1 WHERE cleared = 0 AND (id = $1 "
                         "OR (kind = $2 AND EXISTS (SELECT 1 FROM alarms AS one WHERE "
                         "one.id = $1 AND one.kind = $2 AND "
                         "one.device = alarms.device AND one.source = alarms.source)))",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, id);
    hm_stmt_bind_int(stmt, 2, HM_ALARM_CLONE);
    err = hm_stmt_run(stmt);
    return err == HM_OK && hm_db_changes(hm_store_db(s)) == 0 ? HM_NOTFOUND : err;
}

struct list {
    struct hm_alarm *alarms;
    size_t count;
    size_t room;
};

static int add(struct list *list, struct hm_arena *arena, const struct hm_alarm *alarm)
{
    for (size_t i = 0; alarm->kind == HM_ALARM_CLONE && i < list->count; i++) {
        struct hm_alarm *other = &list->alarms[i];

        if (other->kind == alarm->kind && other->device == alarm->device &&
            other->source == alarm->source) {
            other->count = alarm->count > other->count ? alarm->count : other->count;
            return HM_OK;
        }
    }
    if (list->count == list->room) {
        list->room = 2 * list->room + 8;
        list->alarms = hm_arena_grow(arena, list->alarms, list->count, list->room,
                                     sizeof list->alarms[0]);
        if (list->alarms == NULL) {
            return HM_NOMEM;
        }
    }
    list->alarms[list->count++] = *alarm;
    return HM_OK;
}

int hm_alarms_list(struct hm_store *s, struct hm_arena *arena,
                   struct hm_alarm **out_alarms, size_t *out_count)
{
    struct list list = {0};
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(
        hm_store_db(s),
        "SELECT " ALARM_COLUMNS " FROM alarms WHERE cleared = 0 ORDER BY id", &stmt);

    if (err != HM_OK) {
        return err;
    }
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct hm_alarm alarm = {.id = hm_stmt_u64(stmt, 0),
                                 .kind = (enum hm_alarm_kind)hm_stmt_int(stmt, 1),
                                 .device = hm_stmt_u64(stmt, 2),
                                 .event = hm_stmt_u64(stmt, 3),
                                 .source = hm_stmt_u64(stmt, 4),
                                 .since_utc_ms = hm_stmt_int(stmt, 5),
                                 .count = hm_stmt_u64(stmt, 6)};

        err = add(&list, arena, &alarm);
        if (err != HM_OK) {
            break;
        }
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out_alarms = list.alarms;
        *out_count = list.count;
    }
    return err;
}

int hm_alarms_of(struct hm_store *s, uint64_t device, struct hm_arena *arena,
                 struct hm_told_alarm **out_alarms, size_t *out_count)
{
    struct hm_told_alarm *told =
        hm_arena_array(arena, HM_TOLD_ALARMS_MAX, sizeof *told);
    size_t count = 0;
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT kind, event, since_utc_ms, count FROM alarms "
                         "WHERE device = $1 AND source = 0 AND cleared = 0 "
                         "ORDER BY id DESC LIMIT 64",
                         &stmt);

    if (told == NULL) {
        return HM_NOMEM;
    }
    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, device);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        told[count++] =
            (struct hm_told_alarm){.kind = (enum hm_alarm_kind)hm_stmt_int(stmt, 0),
                                   .event = hm_stmt_u64(stmt, 1),
                                   .since_utc_ms = hm_stmt_int(stmt, 2),
                                   .count = hm_stmt_u64(stmt, 3)};
    }
    hm_stmt_reset(stmt);
    if (err == HM_OK) {
        *out_alarms = told;
        *out_count = count;
    }
    return err;
}

static bool is_listed(const struct hm_told_alarm *alarms, size_t count,
                      const struct hm_told_alarm *one)
{
    for (size_t i = 0; i < count; i++) {
        if (alarms[i].kind == one->kind && alarms[i].event == one->event) {
            return true;
        }
    }
    return false;
}

/* What the parent does not list any more was dealt with there. */
static int drop_unlisted(struct hm_store *s, uint64_t parent,
                         const struct hm_told_alarm *alarms, size_t count)
{
    uint64_t ids[2 * HM_TOLD_ALARMS_MAX];
    size_t gone = 0;
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(s),
                         "SELECT id, kind, event FROM alarms "
                         "WHERE source = $1 AND cleared = 0",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, parent);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row &&
           gone < sizeof ids / sizeof ids[0]) {
        struct hm_told_alarm one = {.kind = (enum hm_alarm_kind)hm_stmt_int(stmt, 1),
                                    .event = hm_stmt_u64(stmt, 2)};

        if (!is_listed(alarms, count, &one)) {
            ids[gone++] = hm_stmt_u64(stmt, 0);
        }
    }
    hm_stmt_reset(stmt);
    for (size_t i = 0; i < gone && err == HM_OK; i++) {
        err = hm_db_stmt(hm_store_db(s), "DELETE FROM alarms WHERE id = $1", &stmt);
        if (err == HM_OK) {
            hm_stmt_bind_u64(stmt, 1, ids[i]);
            err = hm_stmt_run(stmt);
        }
    }
    return err;
}

int hm_alarms_take(struct hm_store *s, uint64_t parent,
                   const struct hm_told_alarm *alarms, size_t count)
{
    int err = drop_unlisted(s, parent, alarms, count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_alarm alarm = {.kind = alarms[i].kind,
                                 .device = hm_store_device(s),
                                 .event = alarms[i].event,
                                 .source = parent,
                                 .since_utc_ms = alarms[i].since_utc_ms,
                                 .count = alarms[i].count};

        err = note(s, &alarm, false);
    }
    return err;
}

int hm_alarms_told(struct hm_store *s, uint64_t parent, uint64_t *out_count)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(
        hm_store_db(s), "SELECT COUNT(*) FROM alarms WHERE source = $1 AND cleared = 0",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, parent);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK) {
        *out_count = row ? hm_stmt_u64(stmt, 0) : 0;
    }
    hm_stmt_reset(stmt);
    return err;
}
