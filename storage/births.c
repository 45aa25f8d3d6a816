#include "storage/births.h"

#include "storage/alarms.h"

enum { ARENA_BYTES_MAX = 16 * 1024 * 1024 };

struct log {
    uint64_t incarnation;
    uint64_t parent;
    uint64_t parent_n;
    uint64_t entries;
};

struct tree {
    struct hm_store *s;
    uint64_t device;
    struct log *logs;
    size_t count;
    uint64_t changes; /* of all logs */
};

static int load(struct tree *tree, struct hm_arena *arena)
{
    struct hm_stmt *stmt;
    size_t room = 0;
    bool row = false;
    int err = hm_db_stmt(hm_store_db(tree->s),
                         "SELECT incarnation, parent, parent_n, entries "
                         "FROM incarnation WHERE device = $1",
                         &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_u64(stmt, 1, tree->device);
    while ((err = hm_stmt_step(stmt, &row)) == HM_OK && row) {
        struct log *log;

        if (tree->count == room) {
            room = 2 * room + 16;
            tree->logs = hm_arena_grow(arena, tree->logs, tree->count, room,
                                       sizeof tree->logs[0]);
            if (tree->logs == NULL) {
                err = HM_NOMEM;
                break;
            }
        }
        log = &tree->logs[tree->count++];
        log->incarnation = hm_stmt_u64(stmt, 0);
        log->parent = hm_stmt_u64(stmt, 1);
        log->parent_n = hm_stmt_u64(stmt, 2);
        log->entries = hm_stmt_u64(stmt, 3);
        tree->changes += log->entries == 0 ? 0 : log->entries - 1;
    }
    hm_stmt_reset(stmt);
    return err;
}

static const struct log *find(const struct tree *tree, uint64_t incarnation)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->logs[i].incarnation == incarnation) {
            return &tree->logs[i];
        }
    }
    return NULL;
}

static bool descends(const struct tree *tree, const struct log *log,
                     const struct log *from)
{
    /* As many steps as there are logs: a lying device may say anything. */
    for (size_t i = 0; log != NULL && i <= tree->count; i++) {
        if (log == from) {
            return true;
        }
        log = find(tree, log->parent);
    }
    return false;
}

/* Changes of the device that the disk of this birth did not have. */
static uint64_t unknown_to(const struct tree *tree, const struct log *birth)
{
    uint64_t known = 0;
    const struct log *log = birth;

    for (size_t i = 0; i <= tree->count; i++) {
        const struct log *parent = find(tree, log->parent);
        uint64_t last;

        if (parent == NULL) {
            break;
        }
        last = parent->entries - 1;
        known += log->parent_n < last ? log->parent_n : last;
        log = parent;
    }
    for (size_t i = 0; i < tree->count; i++) {
        if (descends(tree, &tree->logs[i], birth)) {
            known += tree->logs[i].entries - 1;
        }
    }
    return known < tree->changes ? tree->changes - known : 0;
}

/* Births at the same point, this one too. */
static uint64_t births_at(const struct tree *tree, const struct log *birth)
{
    uint64_t count = 0;

    for (size_t i = 0; i < tree->count; i++) {
        count += tree->logs[i].parent == birth->parent &&
                 tree->logs[i].parent_n == birth->parent_n;
    }
    return count;
}

static uint64_t event_of_point(const struct log *birth)
{
    return birth->parent ^ (birth->parent_n * 0x9e3779b97f4a7c15U);
}

static int look_at(const struct tree *tree, const struct log *birth, bool cloned)
{
    const struct log *parent = find(tree, birth->parent);
    uint64_t twins = births_at(tree, birth);

    if (twins > 1) {
        return hm_alarms_raise(tree->s, HM_ALARM_CLONE, tree->device,
                               event_of_point(birth), twins);
    }
    /* Where two machines write, each goes on behind the other's back. */
    if (!cloned && parent != NULL && parent->entries > birth->parent_n + 1) {
        return hm_alarms_raise(tree->s, HM_ALARM_RESTORED, tree->device,
                               birth->incarnation, unknown_to(tree, birth));
    }
    return HM_OK;
}

int hm_births_look(struct hm_store *s, uint64_t device)
{
    struct tree tree = {.s = s, .device = device};
    struct hm_arena arena;
    bool cloned = false;
    int err;

    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = load(&tree, &arena);
    if (err == HM_OK) {
        err = hm_alarms_known(s, HM_ALARM_CLONE, device, &cloned);
    }
    for (size_t i = 0; i < tree.count && err == HM_OK; i++) {
        err = look_at(&tree, &tree.logs[i], cloned);
    }
    hm_arena_deinit(&arena);
    return err;
}
