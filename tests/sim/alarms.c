/* Is everybody who was set back or copied told, with the right count, and nobody else?
 */
#include "storage/alarms.h"
#include "storage/log.h"
#include "tests/sim/sim.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

struct told {
    struct sim_node *centre;
    struct hm_alarm *alarms;
    size_t count;
};

/* The alarm of this kind about a device; *out_count: how many there are. */
static const struct hm_alarm *find(const struct told *told, enum hm_alarm_kind kind,
                                   uint64_t device, unsigned *out_count)
{
    const struct hm_alarm *found = NULL;

    *out_count = 0;
    for (size_t i = 0; i < told->count; i++) {
        if (told->alarms[i].kind == kind && told->alarms[i].device == device) {
            found = &told->alarms[i];
            (*out_count)++;
        }
    }
    return found;
}

static int is_held(struct sim_node *centre, const struct hm_dot *dot, bool *out_held)
{
    struct hm_log log = {.entries = 0};
    int err = hm_log_get(centre->store, dot->incarnation, &log);

    *out_held = log.entries > dot->n;
    return err == HM_NOTFOUND ? HM_OK : err;
}

/* Changes of the node that its image lacks and the centre has, from before it was set
 * back; and whether anything came since. */
static int count_forgotten(struct sim_node *centre, const struct sim_node *n,
                           uint64_t *out_forgotten, bool *out_wrote)
{
    const struct sim_model *model = &centre->sim->model;
    int err = HM_OK;

    *out_forgotten = 0;
    *out_wrote = false;
    for (size_t i = 0; i < model->change_count && err == HM_OK; i++) {
        const struct sim_change *change = &model->changes[i];
        bool held = false;

        if (change->node != n->index || change->gone) {
            continue;
        }
        err = is_held(centre, &change->dot, &held);
        if (i >= n->restore_change) {
            *out_wrote = *out_wrote || held;
        } else if (held &&
                   change->dot.n >= sim_fact(&n->image_own, change->dot.incarnation)) {
            (*out_forgotten)++;
        }
    }
    return err;
}

static bool has_twin(const struct sim *sim, const struct sim_node *n)
{
    for (unsigned i = 1; i < sim->node_count; i++) {
        if (i != n->index && sim->nodes[i].device == n->device) {
            return true;
        }
    }
    return false;
}

static int check_set_back(const struct told *told, const struct sim_node *n)
{
    struct sim *sim = told->centre->sim;
    const struct hm_alarm *alarm;
    uint64_t forgotten = 0;
    unsigned restored = 0;
    unsigned cloned = 0;
    bool wrote = false;
    int err = count_forgotten(told->centre, n, &forgotten, &wrote);

    alarm = find(told, HM_ALARM_RESTORED, n->device, &restored);
    (void)find(told, HM_ALARM_CLONE, n->device, &cloned);
    if (err != HM_OK || forgotten == 0 || !wrote) {
        return err;
    }
    if (restored + cloned == 0) {
        sim_find(sim, SIM_ORACLE_ALARM,
                 "%s was set back, %llu of its changes are at the centre alone, and "
                 "nobody was told",
                 n->name, (unsigned long long)forgotten);
    } else if (n->restores == 1 && cloned == 0 &&
               (restored != 1 || alarm->count != forgotten)) {
        sim_find(sim, SIM_ORACLE_ALARM,
                 "%s was set back: %u alarms, the last counts %llu changes, not %llu",
                 n->name, restored, (unsigned long long)alarm->count,
                 (unsigned long long)forgotten);
    }
    return HM_OK;
}

/* Only what was sent of the branch before it was left can be counted. */
static void check_fork(const struct told *told, const struct sim_node *n)
{
    unsigned count = 0;
    const struct hm_alarm *alarm = find(told, HM_ALARM_FORK, n->device, &count);

    if (n->forked > 0 && (count != 1 || alarm->count < 1 || alarm->count > n->forked)) {
        sim_find(told->centre->sim, SIM_ORACLE_ALARM,
                 "%s left a branch of %u changes: %u alarms, the last counts %llu",
                 n->name, n->forked, count,
                 (unsigned long long)(alarm == NULL ? 0 : alarm->count));
    }
}

static int check_laptop(const struct told *told, const struct sim_node *n)
{
    struct sim *sim = told->centre->sim;
    bool twin = has_twin(sim, n);
    unsigned restored = 0;
    unsigned cloned = 0;
    const struct hm_alarm *alarm = find(told, HM_ALARM_CLONE, n->device, &cloned);

    (void)find(told, HM_ALARM_RESTORED, n->device, &restored);
    if (twin && n->took_turns && (alarm == NULL || alarm->count < 2) &&
        !sim->centre_set_back) {
        sim_find(sim, SIM_ORACLE_ALARM,
                 "%s runs on two machines that take turns, and nobody was told",
                 n->name);
    }
    /* A flipped bit may be in the number of a run. */
    if (!twin && n->restores == 0 && restored + cloned > 0 && !sim->flipped) {
        sim_find(sim, SIM_ORACLE_ALARM,
                 "%s was neither set back nor copied, and an alarm says so", n->name);
    }
    if (n->rolled_back) {
        check_fork(told, n);
        return HM_OK;
    }
    return twin || n->restores == 0 ? HM_OK : check_set_back(told, n);
}

static void check_centre(const struct told *told)
{
    struct sim *sim = told->centre->sim;
    unsigned count = 0;
    const struct hm_alarm *alarm =
        find(told, HM_ALARM_CENTRE_RESTORED, told->centre->device, &count);

    if (!sim->centre_set_back && count > 0 && !sim->flipped) {
        sim_find(sim, SIM_ORACLE_ALARM,
                 "the centre was not set back, and an alarm says so");
    }
    if (!sim->centre_set_back || sim->copied_back || told->centre->restores != 1) {
        return;
    }
    if (alarm == NULL) {
        sim_find(sim, SIM_ORACLE_ALARM, "the centre was set back: no alarm");
    } else if (count == 1 && !sim->flipped &&
               (alarm->count < sim->lost_receipted || alarm->count > sim->lost_held)) {
        sim_find(sim, SIM_ORACLE_ALARM,
                 "the centre was set back: %llu changes are counted as come back; "
                 "laptops had receipts for %llu, the centre held %llu",
                 (unsigned long long)alarm->count,
                 (unsigned long long)sim->lost_receipted,
                 (unsigned long long)sim->lost_held);
    }
}

int sim_alarms_check(struct sim_node *centre)
{
    struct told told = {.centre = centre};
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, ARENA_BYTES);
    err = hm_alarms_list(centre->store, &arena, &told.alarms, &told.count);
    for (unsigned i = 1; i < centre->sim->node_count && err == HM_OK; i++) {
        err = check_laptop(&told, &centre->sim->nodes[i]);
    }
    if (err == HM_OK) {
        check_centre(&told);
    }
    hm_arena_deinit(&arena);
    return err;
}
