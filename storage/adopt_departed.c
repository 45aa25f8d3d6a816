#include "storage/adopt_departed.h"

#include "storage/devices.h"
#include "storage/households.h"
#include "storage/log.h"

enum { ARENA_BYTES_MAX = HM_HOUSEHOLD_ARENA_BYTES_MAX, IDS_MAX = 256 /* at a time */ };

struct sweep {
    struct hm_store *s;
    uint64_t parent;
    const uint32_t *scopes;
    size_t scope_count;
    struct hm_household_id ids[IDS_MAX]; /* to be forgotten */
    size_t count;
};

static bool holds(const struct sweep *sweep, uint32_t scope)
{
    for (size_t i = 0; i < sweep->scope_count; i++) {
        if (sweep->scopes[i] == scope) {
            return true;
        }
    }
    return false;
}

static int lives_here(const struct sweep *sweep, const struct hm_household *h,
                      bool *out_here)
{
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_household_scopes(h, &scopes, &count);

    *out_here = false;
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        *out_here = *out_here || holds(sweep, scopes[i]);
    }
    return err;
}

/* Does the centre hold every own change to it? */
static int is_safe(const struct sweep *sweep, const struct hm_household *h,
                   bool *out_safe)
{
    int err = HM_OK;

    *out_safe = true;
    for (size_t i = 0; i < h->vv_count && err == HM_OK && *out_safe; i++) {
        uint64_t held = 0;
        unsigned level = 0;
        struct hm_log log;

        err = hm_log_get(sweep->s, h->vv[i].author.incarnation, &log);
        if (err == HM_OK && log.own) {
            err = hm_log_receipt(sweep->s, sweep->parent, h->vv[i].author.incarnation,
                                 &held, &level);
            /* What is not in this log came from the parent: the disk was set back. */
            *out_safe =
                level == HM_LEVEL_CENTRE && (held > h->vv[i].n || held >= log.entries);
        }
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    return err;
}

static int look(void *arg, const struct hm_household_row *row)
{
    struct sweep *sweep = arg;
    struct hm_household h;
    struct hm_arena arena;
    bool here = false;
    bool safe = false;
    int err;

    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = hm_household_decode(row->state, &arena, &h);
    if (err == HM_OK) {
        err = lives_here(sweep, &h, &here);
    }
    if (err == HM_OK && !here) {
        err = is_safe(sweep, &h, &safe);
    }
    if (err == HM_OK && safe) {
        sweep->ids[sweep->count++] = row->id;
    }
    hm_arena_deinit(&arena);
    return err == HM_OK && sweep->count == IDS_MAX ? HM_AGAIN : err;
}

static int serves_nobody(struct hm_store *s, bool *out)
{
    struct hm_device own;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = hm_devices_get(s, hm_store_device(s), &arena, &own);
    *out = err == HM_OK && own.role != HM_DEVICE_HUB;
    hm_arena_deinit(&arena);
    return err == HM_NOTFOUND ? HM_OK : err;
}

int hm_adopt_forget_departed(struct hm_store *s, uint64_t parent,
                             const uint32_t *scopes, size_t scope_count)
{
    struct sweep sweep = {
        .s = s, .parent = parent, .scopes = scopes, .scope_count = scope_count};
    bool forgets = false;
    int err = serves_nobody(s, &forgets);

    for (size_t i = 0; i < scope_count && forgets && err == HM_OK; i++) {
        do {
            sweep.count = 0;
            err = hm_households_each_departed(s, scopes[i], look, &sweep);
            err = err == HM_AGAIN ? HM_OK : err;
            for (size_t j = 0; j < sweep.count && err == HM_OK; j++) {
                err = hm_households_forget(s, &sweep.ids[j]);
            }
        } while (err == HM_OK && sweep.count == IDS_MAX);
    }
    return err;
}
