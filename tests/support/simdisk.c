#include "tests/support/simdisk_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/err.h"
#include "tests/fault/loop.h"

enum { PAGE = HM_SIMDISK_PAGE_BYTES };

static uint64_t pages_of(int64_t size)
{
    return (uint64_t)(size + PAGE - 1) / PAGE;
}

struct hm_simdisk *hm_simdisk_create(const char *name, uint64_t seed)
{
    struct hm_simdisk *disk = hm_simdisk_zeroed(sizeof *disk);

    disk->seed = seed;
    disk->limit = UINT64_MAX;
    disk->powersafe = true;
    hm_simdisk_vfs_init(disk);
    if (name != NULL) {
        hm_fault_pause();
        HM_ASSERT(sqlite3_initialize() == SQLITE_OK);
        hm_fault_resume();
        HM_ASSERT(sqlite3_vfs_find(name) == NULL);
        disk->name = hm_simdisk_text(name);
        disk->vfs.zName = disk->name;
        HM_ASSERT(sqlite3_vfs_register(&disk->vfs, 0) == SQLITE_OK);
    }
    return disk;
}

static void forget_names(struct hm_simdisk *disk)
{
    for (size_t i = 0; i < disk->name_count; i++) {
        hm_simdisk_file_unref(disk->names[i].now);
        hm_simdisk_file_unref(disk->names[i].synced);
        free(disk->names[i].path);
    }
    free(disk->names);
    disk->names = NULL;
    disk->name_count = 0;
    disk->used_bytes = 0;
}

void hm_simdisk_destroy(struct hm_simdisk *disk)
{
    if (disk == NULL) {
        return;
    }
    if (disk->name != NULL) {
        HM_ASSERT(sqlite3_vfs_unregister(&disk->vfs) == SQLITE_OK);
    }
    forget_names(disk);
    free(disk->name);
    free(disk);
}

/* -- Names ---------------------------------------------------------------------------
 */

struct hm_simdisk_name *hm_simdisk_find(const struct hm_simdisk *disk, const char *path)
{
    for (size_t i = 0; i < disk->name_count; i++) {
        if (strcmp(disk->names[i].path, path) == 0) {
            return &disk->names[i];
        }
    }
    return NULL;
}

static struct hm_simdisk_file *lookup(const struct hm_simdisk *disk, const char *path)
{
    const struct hm_simdisk_name *name = hm_simdisk_find(disk, path);

    return name == NULL ? NULL : name->now;
}

static struct hm_simdisk_name *add_name(struct hm_simdisk *disk, const char *path)
{
    struct hm_simdisk_name *name;

    disk->names = hm_simdisk_memory(disk->names, (disk->name_count + 1) * sizeof *name);
    name = &disk->names[disk->name_count++];
    *name = (struct hm_simdisk_name){.path = hm_simdisk_text(path)};
    return name;
}

struct hm_simdisk_file *hm_simdisk_link(struct hm_simdisk *disk, const char *path)
{
    struct hm_simdisk_name *name = hm_simdisk_find(disk, path);

    if (name == NULL) {
        name = add_name(disk, path);
    }
    HM_ASSERT(name->now == NULL);
    name->now = hm_simdisk_file_create(++disk->file_id);
    name->now->named = true;
    name->seq = ++disk->seq;
    return name->now;
}

void hm_simdisk_unlink(struct hm_simdisk *disk, struct hm_simdisk_name *name)
{
    hm_simdisk_release(disk, name->now->size, 0);
    name->now->named = false;
    hm_simdisk_file_unref(name->now);
    name->now = NULL;
    name->seq = ++disk->seq;
}

void hm_simdisk_move(struct hm_simdisk *disk, const char *from, const char *to)
{
    struct hm_simdisk_file *file = hm_simdisk_find(disk, from)->now;
    struct hm_simdisk_name *name = hm_simdisk_find(disk, to);

    if (name == NULL) {
        name = add_name(disk, to);
    }
    if (name->now != NULL) {
        hm_simdisk_unlink(disk, name);
    }
    name->now = file;
    name->seq = ++disk->seq;
    name = hm_simdisk_find(disk, from); /* the list may have moved */
    name->now = NULL;
    name->seq = disk->seq; /* both or none, where the pattern goes by order */
}

void hm_simdisk_sync_name(struct hm_simdisk_name *name)
{
    if (name->synced != name->now) {
        hm_simdisk_file_unref(name->synced);
        name->synced = name->now;
        if (name->now != NULL) {
            name->now->refs++;
        }
    }
}

void hm_simdisk_sync_folder(struct hm_simdisk *disk)
{
    for (size_t i = 0; i < disk->name_count; i++) {
        hm_simdisk_sync_name(&disk->names[i]);
    }
}

/* -- Space ---------------------------------------------------------------------------
 */

size_t hm_simdisk_claim(struct hm_simdisk *disk, const struct hm_simdisk_file *f,
                        int64_t offset, size_t len)
{
    uint64_t have = pages_of(f->size);
    uint64_t want = pages_of(offset + (int64_t)len);
    uint64_t room =
        disk->limit <= disk->used_bytes ? 0 : (disk->limit - disk->used_bytes) / PAGE;
    int64_t end;

    if (want <= have || !f->named) { /* scratch files are not counted */
        return len;
    }
    if (want - have <= room) {
        disk->used_bytes += (want - have) * PAGE;
        return len;
    }
    end = (int64_t)(have + room) * PAGE;
    if (end <= offset) {
        return 0;
    }
    disk->used_bytes += room * PAGE;
    return (size_t)(end - offset);
}

void hm_simdisk_release(struct hm_simdisk *disk, int64_t size_before, int64_t size)
{
    disk->used_bytes += (pages_of(size) - pages_of(size_before)) * PAGE;
}

void hm_simdisk_limit(struct hm_simdisk *disk, uint64_t bytes)
{
    disk->limit = bytes;
}

uint64_t hm_simdisk_used_bytes(const struct hm_simdisk *disk)
{
    return disk->used_bytes;
}

/* -- What fails ----------------------------------------------------------------------
 */

static bool counts(const struct hm_simdisk *disk, enum hm_simdisk_class class,
                   bool changes)
{
    return changes || (disk->cut.reads && class == HM_SIMDISK_READ);
}

static bool ends_with(const char *path, const char *suffix)
{
    size_t len = strlen(path);
    size_t end = strlen(suffix);

    return len >= end && strcmp(path + len - end, suffix) == 0;
}

/* Whether an armed fault strikes; each counts what concerns it. */
static bool strikes(struct hm_simdisk *disk, enum hm_simdisk_class class,
                    const char *path, enum hm_simdisk_failure *out_failure)
{
    bool struck = false;

    for (size_t i = 0; i < disk->armed_count; i++) {
        struct hm_simdisk_armed *a = &disk->armed[i];

        if ((a->fault.classes & class) == 0 || a->left == 0 ||
            (a->fault.suffix != NULL && !ends_with(path, a->fault.suffix)) ||
            --a->left > 0) {
            continue;
        }
        a->left = a->fault.lasting ? 1 : 0;
        if (a->fault.failure == HM_SIMDISK_SHORT && class != HM_SIMDISK_READ) {
            continue;
        }
        if (a->fault.failure == HM_SIMDISK_ENOSPC &&
            (class & (HM_SIMDISK_READ | HM_SIMDISK_SYNC | HM_SIMDISK_DELETE)) != 0) {
            continue;
        }
        *out_failure = a->fault.failure;
        struck = true;
    }
    return struck;
}

enum hm_simdisk_verdict hm_simdisk_gate(struct hm_simdisk *disk,
                                        enum hm_simdisk_class class, const char *path,
                                        bool changes,
                                        enum hm_simdisk_failure *out_failure)
{
    disk->last_errno = EIO; /* of what fails next, unless it is said otherwise */
    if (disk->dark) {
        return HM_SIMDISK_DARK;
    }
    disk->counters.changes += changes;
    if (disk->cut_left > 0 && counts(disk, class, changes) && --disk->cut_left == 0) {
        disk->dark = true;
        return HM_SIMDISK_LAST;
    }
    if (disk->armed_count > 0 && strikes(disk, class, path, out_failure)) {
        disk->failed++;
        if (*out_failure == HM_SIMDISK_ENOSPC) {
            disk->last_errno = ENOSPC;
        }
        return HM_SIMDISK_BROKEN;
    }
    return HM_SIMDISK_GO;
}

uint64_t hm_simdisk_luck(struct hm_simdisk *disk)
{
    return hm_simdisk_mix(disk->seed, ++disk->seq, 4);
}

void hm_simdisk_fail(struct hm_simdisk *disk, const struct hm_simdisk_fault *fault)
{
    HM_ASSERT(fault->at > 0 && disk->armed_count < HM_SIMDISK_FAULTS_MAX);
    disk->armed[disk->armed_count++] =
        (struct hm_simdisk_armed){.fault = *fault, .left = fault->at};
}

uint64_t hm_simdisk_failed(const struct hm_simdisk *disk)
{
    return disk->failed;
}

void hm_simdisk_heal(struct hm_simdisk *disk)
{
    disk->armed_count = 0;
    disk->failed = 0;
}

/* -- Power ---------------------------------------------------------------------------
 */

const char *hm_simdisk_pattern_name(enum hm_simdisk_pattern pattern)
{
    static const char *const names[] = {"none",   "all",     "prefix", "suffix",
                                        "writes", "sectors", "torn"};

    HM_ASSERT((size_t)pattern < sizeof names / sizeof names[0]);
    return names[pattern];
}

void hm_simdisk_cut_at(struct hm_simdisk *disk, const struct hm_simdisk_cut *cut)
{
    HM_ASSERT(cut->at > 0);
    disk->cut = *cut;
    disk->cut_left = cut->at;
}

void hm_simdisk_cut_now(struct hm_simdisk *disk, enum hm_simdisk_pattern pattern,
                        uint64_t seed)
{
    disk->cut = (struct hm_simdisk_cut){.at = 1, .pattern = pattern, .seed = seed};
    disk->cut_left = 0;
    disk->dark = true;
}

bool hm_simdisk_is_dark(const struct hm_simdisk *disk)
{
    return disk->dark;
}

void hm_simdisk_set_powersafe(struct hm_simdisk *disk, bool powersafe)
{
    disk->powersafe = powersafe;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

struct seqs {
    uint64_t *list;
    size_t count, max;
};

static void add_seq(struct seqs *seqs, uint64_t seq)
{
    seqs->list =
        hm_simdisk_grow(seqs->list, &seqs->max, seqs->count + 1, sizeof seqs->list[0]);
    seqs->list[seqs->count++] = seq;
}

static void add_seqs_of(struct seqs *seqs, const struct hm_simdisk_file *f)
{
    for (size_t i = 0; f != NULL && i < f->undo_count; i++) {
        add_seq(seqs, f->undo[i].seq);
    }
}

/* Where the patterns in order turn: half of the time at the very last operation, which
 * is the one that the cut met. */
static uint64_t choose_threshold(const struct seqs *seqs, uint64_t seed,
                                 enum hm_simdisk_pattern pattern)
{
    uint64_t luck = hm_simdisk_mix(seed, 5, 5);

    if (pattern == HM_SIMDISK_TORN && luck % 2 == 0) {
        return seqs->list[seqs->count - 1];
    }
    return seqs->list[luck / 2 % seqs->count];
}

static struct hm_simdisk_survival decide(const struct hm_simdisk *disk)
{
    struct hm_simdisk_survival how = {.pattern = disk->cut.pattern,
                                      .seed = disk->cut.seed,
                                      .powersafe = disk->powersafe};
    struct seqs seqs = {0};

    for (size_t i = 0; i < disk->name_count; i++) {
        const struct hm_simdisk_name *name = &disk->names[i];

        add_seqs_of(&seqs, name->now);
        if (name->synced != name->now) {
            add_seqs_of(&seqs, name->synced);
            add_seq(&seqs, name->seq);
        }
    }
    if (seqs.count > 0) {
        qsort(seqs.list, seqs.count, sizeof seqs.list[0], compare_u64);
        how.seq_min = seqs.list[0];
        how.seq_max = seqs.list[seqs.count - 1];
        how.threshold = choose_threshold(&seqs, how.seed, how.pattern);
    }
    free(seqs.list);
    return how;
}

/* Whether the last change of a name is there. */
static bool name_survives(const struct hm_simdisk_survival *how,
                          const struct hm_simdisk_name *name)
{
    switch (how->pattern) {
    case HM_SIMDISK_NONE:
        return false;
    case HM_SIMDISK_ALL:
        return true;
    case HM_SIMDISK_PREFIX:
    case HM_SIMDISK_TORN:
        return name->seq < how->threshold;
    case HM_SIMDISK_SUFFIX:
        return name->seq >= how->threshold;
    case HM_SIMDISK_WRITES:
    case HM_SIMDISK_SECTORS:
        return (hm_simdisk_mix(how->seed, name->seq, 6) & 1) != 0;
    case HM_SIMDISK_PATTERNS_:
    default:
        HM_ASSERT(false);
    }
}

/* Handles of before are dead: their files take no part any more. */
static void end_handles(struct hm_simdisk *disk)
{
    disk->boots++;
    for (size_t i = 0; i < disk->name_count; i++) {
        struct hm_simdisk_file *f = disk->names[i].now;

        if (f != NULL) {
            f->shared = 0;
            f->reserved = f->pending = f->exclusive = NULL;
            hm_simdisk_shm_unref(f->shm);
            f->shm = NULL;
        }
    }
}

void hm_simdisk_boot(struct hm_simdisk *disk)
{
    struct hm_simdisk_survival how;

    disk->cut_left = 0;
    if (!disk->dark) {
        return;
    }
    if (disk->cut.kills) {
        disk->dark = false;
        end_handles(disk);
        return;
    }
    how = decide(disk);
    disk->dark = false;
    disk->used_bytes = 0;
    for (size_t i = 0; i < disk->name_count; i++) {
        struct hm_simdisk_name *name = &disk->names[i];

        if (name->now != name->synced && !name_survives(&how, name)) {
            hm_simdisk_file_unref(name->now);
            name->now = name->synced;
            if (name->now != NULL) {
                name->now->refs++;
            }
        }
        hm_simdisk_sync_name(name);
        if (name->now != NULL) {
            hm_simdisk_file_survive(name->now, &how);
            name->now->named = true;
            hm_simdisk_release(disk, 0, name->now->size);
        }
    }
    end_handles(disk);
}

void hm_simdisk_kill(struct hm_simdisk *disk)
{
    end_handles(disk);
}

/* -- Images --------------------------------------------------------------------------
 */

static void take_files(struct hm_simdisk *disk, const struct hm_simdisk *from)
{
    for (size_t i = 0; i < from->name_count; i++) {
        const struct hm_simdisk_file *f = from->names[i].now;
        struct hm_simdisk_name *name;

        if (f != NULL) {
            name = add_name(disk, from->names[i].path);
            name->now = hm_simdisk_file_copy(f, ++disk->file_id);
            name->now->named = true;
            hm_simdisk_sync_name(name);
            hm_simdisk_release(disk, 0, f->size);
        }
    }
}

struct hm_simdisk *hm_simdisk_copy(const struct hm_simdisk *from, const char *name)
{
    struct hm_simdisk *disk = hm_simdisk_create(name, from->seed);

    disk->powersafe = from->powersafe;
    take_files(disk, from);
    return disk;
}

void hm_simdisk_restore(struct hm_simdisk *disk, const struct hm_simdisk *from)
{
    HM_ASSERT(disk != from);
    end_handles(disk);
    forget_names(disk);
    disk->cut_left = 0;
    disk->dark = false;
    take_files(disk, from);
}

/* -- Looking in ----------------------------------------------------------------------
 */

struct hm_simdisk_counters hm_simdisk_counters(const struct hm_simdisk *disk)
{
    return disk->counters;
}

int64_t hm_simdisk_size(const struct hm_simdisk *disk, const char *path)
{
    const struct hm_simdisk_file *f = lookup(disk, path);

    return f == NULL ? -1 : f->size;
}

bool hm_simdisk_peek(const struct hm_simdisk *disk, const char *path, int64_t offset,
                     void *out, size_t len)
{
    const struct hm_simdisk_file *f = lookup(disk, path);

    if (f != NULL) {
        hm_simdisk_file_read(f, offset, out, len);
    }
    return f != NULL;
}

void hm_simdisk_scribble(struct hm_simdisk *disk, const char *path, int64_t offset,
                         const void *bytes, size_t len)
{
    struct hm_simdisk_file *f = lookup(disk, path);

    HM_ASSERT(f != NULL && offset >= 0 && offset + (int64_t)len <= f->size);
    hm_simdisk_file_scribble(f, offset, bytes, len);
}

void hm_simdisk_flip(struct hm_simdisk *disk, const char *path, int64_t bit)
{
    struct hm_simdisk_file *f = lookup(disk, path);

    HM_ASSERT(f != NULL);
    hm_simdisk_file_flip(f, bit);
}
