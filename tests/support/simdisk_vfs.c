#include "tests/support/simdisk_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/err.h"

struct hm_simdisk_handle {
    sqlite3_file base; /* SQLite's; first */
    struct hm_simdisk *disk;
    struct hm_simdisk_file *file;
    char *path; /* "" for a file without a name */
    uint64_t boots;
    bool syncs_folder; /* its first sync takes the names along, as on Linux */
    bool deletes;      /* on close */
    int lock;
    struct hm_simdisk_shm *shm; /* NULL: not mapped */
    unsigned shm_shared, shm_exclusive;
};

static struct hm_simdisk_handle *handle_of(sqlite3_file *file)
{
    return (struct hm_simdisk_handle *)file;
}

static bool is_dead(const struct hm_simdisk_handle *h)
{
    return h->boots != h->disk->boots || h->disk->dark;
}

static enum hm_simdisk_verdict gate(struct hm_simdisk_handle *h,
                                    enum hm_simdisk_class class,
                                    enum hm_simdisk_failure *out_failure)
{
    if (h->boots != h->disk->boots) {
        h->disk->last_errno = EIO;
        return HM_SIMDISK_DARK;
    }
    return hm_simdisk_gate(h->disk, class, h->path,
                           class != HM_SIMDISK_READ && class != HM_SIMDISK_SHM,
                           out_failure);
}

/* -- Bytes ---------------------------------------------------------------------------
 */

static int x_read(sqlite3_file *file, void *out, int len, sqlite3_int64 offset)
{
    struct hm_simdisk_handle *h = handle_of(file);
    enum hm_simdisk_failure failure;
    enum hm_simdisk_verdict verdict = gate(h, HM_SIMDISK_READ, &failure);
    int64_t there = h->file->size - offset;

    if (verdict == HM_SIMDISK_BROKEN && failure == HM_SIMDISK_SHORT) {
        there = there < len / 2 ? there : len / 2;
    } else if (verdict != HM_SIMDISK_GO) {
        return SQLITE_IOERR_READ;
    }
    h->disk->counters.reads++;
    h->disk->counters.bytes_read += (uint64_t)len;
    if (there >= len) {
        hm_simdisk_file_read(h->file, offset, out, (size_t)len);
        return SQLITE_OK;
    }
    there = there < 0 ? 0 : there;
    hm_simdisk_file_read(h->file, offset, out, (size_t)there);
    memset((uint8_t *)out + there, 0, (size_t)(len - there));
    return SQLITE_IOERR_SHORT_READ;
}

static int full(struct hm_simdisk *disk)
{
    disk->last_errno = ENOSPC;
    return SQLITE_FULL;
}

static void write_part(struct hm_simdisk_handle *h, const void *bytes, size_t len,
                       int64_t offset)
{
    h->disk->counters.bytes_written += len;
    hm_simdisk_file_write(h->file, ++h->disk->seq, offset, bytes, len);
}

static int x_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    struct hm_simdisk_handle *h = handle_of(file);
    enum hm_simdisk_failure failure;
    enum hm_simdisk_verdict verdict = gate(h, HM_SIMDISK_WRITE, &failure);
    size_t part = (size_t)len;

    if (verdict == HM_SIMDISK_DARK) {
        return SQLITE_IOERR_WRITE;
    }
    h->disk->counters.writes++;
    if (verdict == HM_SIMDISK_BROKEN) {
        part = hm_simdisk_luck(h->disk) % 2 == 0 ? 0 : part / 2;
    }
    part = hm_simdisk_claim(h->disk, h->file, offset, part);
    write_part(h, bytes, part, offset);
    switch (verdict) {
    case HM_SIMDISK_GO:
        if (part == (size_t)len) {
            return SQLITE_OK;
        }
        h->disk->failed++;
        return full(h->disk);
    case HM_SIMDISK_BROKEN:
        return failure == HM_SIMDISK_ENOSPC ? full(h->disk) : SQLITE_IOERR_WRITE;
    case HM_SIMDISK_LAST:
    case HM_SIMDISK_DARK:
    default:
        return SQLITE_IOERR_WRITE;
    }
}

static int x_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct hm_simdisk_handle *h = handle_of(file);
    enum hm_simdisk_failure failure;
    enum hm_simdisk_verdict verdict = gate(h, HM_SIMDISK_TRUNCATE, &failure);
    int64_t before = h->file->size;

    if (verdict == HM_SIMDISK_DARK || verdict == HM_SIMDISK_BROKEN) {
        return SQLITE_IOERR_TRUNCATE;
    }
    h->disk->counters.truncates++;
    hm_simdisk_file_truncate(h->file, ++h->disk->seq, size);
    if (h->file->named) {
        hm_simdisk_release(h->disk, before, size);
    }
    return verdict == HM_SIMDISK_GO ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

static int x_sync(sqlite3_file *file, int flags)
{
    struct hm_simdisk_handle *h = handle_of(file);
    enum hm_simdisk_failure failure;
    struct hm_simdisk_name *name;

    (void)flags; /* a full sync and a sync of the data alone are one here */
    switch (gate(h, HM_SIMDISK_SYNC, &failure)) {
    case HM_SIMDISK_GO:
        break;
    case HM_SIMDISK_BROKEN:
        hm_simdisk_file_drop(h->file);
        return SQLITE_IOERR_FSYNC;
    case HM_SIMDISK_LAST:
    case HM_SIMDISK_DARK:
    default:
        return SQLITE_IOERR_FSYNC;
    }
    h->disk->counters.syncs++;
    hm_simdisk_file_sync(h->file);
    name = hm_simdisk_find(h->disk, h->path);
    if (h->syncs_folder) {
        h->syncs_folder = false;
        hm_simdisk_sync_folder(h->disk);
    } else if (name != NULL && name->now == h->file) {
        hm_simdisk_sync_name(name); /* a new file's name goes with its first sync */
    }
    return SQLITE_OK;
}

static int x_file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    struct hm_simdisk_handle *h = handle_of(file);

    if (is_dead(h)) {
        return SQLITE_IOERR_FSTAT;
    }
    *out = h->file->size;
    return SQLITE_OK;
}

/* -- Locks of the file ---------------------------------------------------------------
 */

static bool others(const struct hm_simdisk_handle *holder,
                   const struct hm_simdisk_handle *h)
{
    return holder != NULL && holder != h;
}

static int lock_shared(struct hm_simdisk_handle *h)
{
    if (h->file->pending != NULL || h->file->exclusive != NULL) {
        return SQLITE_BUSY;
    }
    h->file->shared++;
    return SQLITE_OK;
}

static int lock_exclusive(struct hm_simdisk_handle *h)
{
    struct hm_simdisk_file *f = h->file;

    if (others(f->reserved, h) || others(f->pending, h)) {
        return SQLITE_BUSY;
    }
    f->pending = h; /* no new reader gets in, even if it is busy now */
    h->lock = SQLITE_LOCK_PENDING;
    if (f->shared > 1) {
        return SQLITE_BUSY;
    }
    f->exclusive = h;
    return SQLITE_OK;
}

static int x_lock(sqlite3_file *file, int level)
{
    struct hm_simdisk_handle *h = handle_of(file);
    int rc;

    if (is_dead(h)) {
        return SQLITE_IOERR_LOCK;
    }
    if (h->lock >= level) {
        return SQLITE_OK;
    }
    if (level == SQLITE_LOCK_SHARED) {
        rc = lock_shared(h);
    } else if (level == SQLITE_LOCK_RESERVED) {
        rc = others(h->file->reserved, h) ? SQLITE_BUSY : SQLITE_OK;
        if (rc == SQLITE_OK) {
            h->file->reserved = h;
        }
    } else {
        rc = lock_exclusive(h);
    }
    if (rc == SQLITE_OK) {
        h->lock = level;
    }
    return rc;
}

static int x_unlock(sqlite3_file *file, int level)
{
    struct hm_simdisk_handle *h = handle_of(file);
    struct hm_simdisk_file *f = h->file;

    if (h->lock <= level || h->boots != h->disk->boots) {
        return SQLITE_OK;
    }
    f->reserved = f->reserved == h ? NULL : f->reserved;
    f->pending = f->pending == h ? NULL : f->pending;
    f->exclusive = f->exclusive == h ? NULL : f->exclusive;
    if (level == SQLITE_LOCK_NONE) {
        f->shared--;
    }
    h->lock = level;
    return SQLITE_OK;
}

static int x_check_reserved_lock(sqlite3_file *file, int *out)
{
    struct hm_simdisk_handle *h = handle_of(file);

    if (is_dead(h)) {
        return SQLITE_IOERR_CHECKRESERVEDLOCK;
    }
    *out = h->file->reserved != NULL || h->file->pending != NULL;
    return SQLITE_OK;
}

/* -- The shared index of a WAL -------------------------------------------------------
 */

static int map_shm(struct hm_simdisk_handle *h)
{
    struct hm_simdisk_file *f = h->file;

    if (f->shm == NULL) {
        f->shm = hm_simdisk_zeroed(sizeof *f->shm);
        f->shm->refs = 1; /* the file's, until the last handle leaves */
    }
    f->shm->refs++;
    h->shm = f->shm;
    return SQLITE_OK;
}

static int grow_shm(struct hm_simdisk_handle *h, int index, int bytes)
{
    struct hm_simdisk_shm *shm = h->shm;
    enum hm_simdisk_failure failure;

    if (gate(h, HM_SIMDISK_SHM, &failure) != HM_SIMDISK_GO) {
        return h->disk->last_errno == ENOSPC ? SQLITE_IOERR_SHMSIZE
                                             : SQLITE_IOERR_SHMMAP;
    }
    h->disk->counters.shm_grows++;
    shm->regions =
        hm_simdisk_memory(shm->regions, ((size_t)index + 1) * sizeof shm->regions[0]);
    while (shm->region_count <= (size_t)index) {
        void *region = hm_simdisk_zeroed((size_t)bytes);

        shm->regions[shm->region_count++] = region;
    }
    return SQLITE_OK;
}

static int x_shm_map(sqlite3_file *file, int index, int bytes, int extend,
                     void volatile **out)
{
    struct hm_simdisk_handle *h = handle_of(file);
    int rc = SQLITE_OK;

    *out = NULL;
    if (is_dead(h)) {
        return SQLITE_IOERR_SHMMAP;
    }
    if (h->shm == NULL) {
        rc = map_shm(h);
    }
    if (rc == SQLITE_OK && (size_t)index >= h->shm->region_count && extend != 0) {
        rc = grow_shm(h, index, bytes);
    }
    if (rc == SQLITE_OK && (size_t)index < h->shm->region_count) {
        *out = h->shm->regions[index];
    }
    return rc;
}

static void unlock_slots(struct hm_simdisk_handle *h, unsigned mask)
{
    for (unsigned i = 0; i < HM_SIMDISK_SHM_SLOTS; i++) {
        unsigned bit = 1U << i;

        if ((mask & h->shm_exclusive & bit) != 0) {
            h->shm->slots[i] = 0;
        } else if ((mask & h->shm_shared & bit) != 0) {
            h->shm->slots[i]--;
        }
    }
    h->shm_shared &= ~mask;
    h->shm_exclusive &= ~mask;
}

static int lock_slots(struct hm_simdisk_handle *h, unsigned mask, bool exclusive)
{
    for (unsigned i = 0; i < HM_SIMDISK_SHM_SLOTS; i++) {
        unsigned bit = 1U << i;
        int slot = h->shm->slots[i];

        if ((mask & bit & ~h->shm_exclusive & (exclusive ? ~0U : ~h->shm_shared)) ==
            0) {
            continue;
        }
        if (exclusive ? slot != 0 : slot < 0) {
            return SQLITE_BUSY;
        }
    }
    for (unsigned i = 0; i < HM_SIMDISK_SHM_SLOTS; i++) {
        unsigned bit = 1U << i;

        if ((mask & bit) == 0) {
            continue;
        }
        if (exclusive) {
            h->shm->slots[i] = -1;
            h->shm_exclusive |= bit;
        } else if ((h->shm_shared & bit) == 0) {
            h->shm->slots[i]++;
            h->shm_shared |= bit;
        }
    }
    return SQLITE_OK;
}

static int x_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    struct hm_simdisk_handle *h = handle_of(file);
    unsigned mask = ((1U << count) - 1U) << offset;

    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
        if (h->shm != NULL) {
            unlock_slots(h, mask);
        }
        return SQLITE_OK;
    }
    if (is_dead(h) || h->shm == NULL) {
        return SQLITE_IOERR_SHMLOCK;
    }
    return lock_slots(h, mask, (flags & SQLITE_SHM_EXCLUSIVE) != 0);
}

static void x_shm_barrier(sqlite3_file *file)
{
    (void)file; /* one thread */
}

static int x_shm_unmap(sqlite3_file *file, int deletes)
{
    struct hm_simdisk_handle *h = handle_of(file);
    struct hm_simdisk_shm *shm = h->shm;

    (void)deletes; /* the first to come builds it anew in either case, as on Linux */
    if (shm == NULL) {
        return SQLITE_OK;
    }
    unlock_slots(h, ~0U);
    h->shm = NULL;
    hm_simdisk_shm_unref(shm);
    if (h->boots == h->disk->boots && h->file->shm == shm && shm->refs == 1) {
        h->file->shm = NULL;
        hm_simdisk_shm_unref(shm);
    }
    return SQLITE_OK;
}

/* -- Open files ----------------------------------------------------------------------
 */

static int x_close(sqlite3_file *file)
{
    struct hm_simdisk_handle *h = handle_of(file);

    (void)x_shm_unmap(file, 0);
    (void)x_unlock(file, SQLITE_LOCK_NONE);
    if (h->deletes && !is_dead(h)) {
        struct hm_simdisk_name *name = hm_simdisk_find(h->disk, h->path);

        if (name != NULL && name->now == h->file) {
            hm_simdisk_unlink(h->disk, name);
        }
    }
    hm_simdisk_file_unref(h->file);
    free(h->path);
    return SQLITE_OK;
}

static int x_file_control(sqlite3_file *file, int op, void *arg)
{
    struct hm_simdisk_handle *h = handle_of(file);

    if (op == SQLITE_FCNTL_HAS_MOVED) {
        const struct hm_simdisk_name *name = hm_simdisk_find(h->disk, h->path);

        *(int *)arg = name == NULL || name->now != h->file;
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

static int x_sector_size(sqlite3_file *file)
{
    (void)file;
    return HM_SIMDISK_PAGE_BYTES; /* what Linux says; cuts are finer */
}

static int x_device_characteristics(sqlite3_file *file)
{
    return handle_of(file)->disk->powersafe ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

static const sqlite3_io_methods io_methods = {
    .iVersion = 2,
    .xClose = x_close,
    .xRead = x_read,
    .xWrite = x_write,
    .xTruncate = x_truncate,
    .xSync = x_sync,
    .xFileSize = x_file_size,
    .xLock = x_lock,
    .xUnlock = x_unlock,
    .xCheckReservedLock = x_check_reserved_lock,
    .xFileControl = x_file_control,
    .xSectorSize = x_sector_size,
    .xDeviceCharacteristics = x_device_characteristics,
    .xShmMap = x_shm_map,
    .xShmLock = x_shm_lock,
    .xShmBarrier = x_shm_barrier,
    .xShmUnmap = x_shm_unmap,
};

/* -- Names ---------------------------------------------------------------------------
 */

static struct hm_simdisk *disk_of(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

/* The file at path, made if flags say so. NULL: errno of the disk says why not. */
static struct hm_simdisk_file *open_file(struct hm_simdisk *disk, const char *path,
                                         int flags)
{
    struct hm_simdisk_name *name = hm_simdisk_find(disk, path);
    bool there = name != NULL && name->now != NULL;
    bool makes = !there && (flags & SQLITE_OPEN_CREATE) != 0;
    enum hm_simdisk_failure failure;
    enum hm_simdisk_verdict verdict =
        hm_simdisk_gate(disk, HM_SIMDISK_OPEN, path, makes, &failure);

    if (verdict == HM_SIMDISK_DARK || verdict == HM_SIMDISK_BROKEN) {
        return NULL;
    }
    disk->counters.opens++;
    if (there && (flags & SQLITE_OPEN_EXCLUSIVE) != 0) {
        disk->last_errno = EEXIST;
        return NULL;
    }
    if (!there && !makes) {
        disk->last_errno = ENOENT;
        return NULL;
    }
    if (makes) {
        struct hm_simdisk_file *made = hm_simdisk_link(disk, path);

        if (verdict == HM_SIMDISK_LAST) {
            return NULL;
        }
        made->refs++;
        return made;
    }
    name->now->refs++;
    return name->now;
}

static int x_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *file,
                  int flags, int *out_flags)
{
    enum {
        JOURNALS =
            SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL
    };
    struct hm_simdisk_handle *h = handle_of(file);
    struct hm_simdisk *disk = disk_of(vfs);
    struct hm_simdisk_file *f;
    bool journal = (flags & JOURNALS) != 0 && (flags & SQLITE_OPEN_CREATE) != 0;

    file->pMethods = NULL; /* SQLite then knows that there is nothing to close */
    f = path == NULL ? hm_simdisk_file_create(++disk->file_id)
                     : open_file(disk, path, flags);
    if (f == NULL) {
        return SQLITE_CANTOPEN;
    }
    *h =
        (struct hm_simdisk_handle){.base = {&io_methods},
                                   .disk = disk,
                                   .file = f,
                                   .path = hm_simdisk_text(path == NULL ? "" : path),
                                   .boots = disk->boots,
                                   .syncs_folder = journal,
                                   .deletes = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0};
    if (out_flags != NULL) {
        *out_flags = flags;
    }
    return SQLITE_OK;
}

static int x_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    struct hm_simdisk *disk = disk_of(vfs);
    struct hm_simdisk_name *name = hm_simdisk_find(disk, path);
    enum hm_simdisk_failure failure;
    enum hm_simdisk_verdict verdict;

    if (!disk->dark && (name == NULL || name->now == NULL)) {
        disk->last_errno = ENOENT;
        return SQLITE_IOERR_DELETE_NOENT;
    }
    verdict = hm_simdisk_gate(disk, HM_SIMDISK_DELETE, path, true, &failure);
    if (verdict == HM_SIMDISK_DARK || verdict == HM_SIMDISK_BROKEN) {
        return SQLITE_IOERR_DELETE;
    }
    disk->counters.deletes++;
    hm_simdisk_unlink(disk, name);
    if (verdict == HM_SIMDISK_LAST) {
        return SQLITE_IOERR_DELETE;
    }
    if (sync_folder != 0) {
        hm_simdisk_sync_folder(disk);
    }
    return SQLITE_OK;
}

static int x_access(sqlite3_vfs *vfs, const char *path, int flags, int *out)
{
    const struct hm_simdisk *disk = disk_of(vfs);
    const struct hm_simdisk_name *name = hm_simdisk_find(disk, path);

    if (disk->dark) {
        return SQLITE_IOERR_ACCESS;
    }
    *out = name != NULL && name->now != NULL &&
           (flags != SQLITE_ACCESS_EXISTS || name->now->size > 0); /* as on Linux */
    return SQLITE_OK;
}

static int x_full_pathname(sqlite3_vfs *vfs, const char *path, int max, char *out)
{
    int len = snprintf(out, (size_t)max, "%s", path);

    (void)vfs;
    return len >= 0 && len < max ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int x_randomness(sqlite3_vfs *vfs, int len, char *out)
{
    struct hm_simdisk *disk = disk_of(vfs);

    for (int i = 0; i < len; i++) {
        out[i] = (char)hm_simdisk_luck(disk);
    }
    return len;
}

/* Nobody waits here: whoever holds the lock is in the same thread. */
static int x_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void)vfs;
    return microseconds;
}

static int x_current_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    (void)vfs;
    *out = 212662152000000LL; /* 2026-11-23 00:00, Julian, in milliseconds */
    return SQLITE_OK;
}

static int x_get_last_error(sqlite3_vfs *vfs, int len, char *out)
{
    (void)len;
    (void)out;
    return disk_of(vfs)->last_errno;
}

void hm_simdisk_vfs_init(struct hm_simdisk *disk)
{
    disk->vfs = (sqlite3_vfs){.iVersion = 2,
                              .szOsFile = sizeof(struct hm_simdisk_handle),
                              .mxPathname = 512,
                              .pAppData = disk,
                              .xOpen = x_open,
                              .xDelete = x_delete,
                              .xAccess = x_access,
                              .xFullPathname = x_full_pathname,
                              .xRandomness = x_randomness,
                              .xSleep = x_sleep,
                              .xGetLastError = x_get_last_error,
                              .xCurrentTimeInt64 = x_current_time_int64};
}
