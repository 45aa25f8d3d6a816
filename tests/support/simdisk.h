/* A disk in memory under SQLite, which loses power, fails, fills and rots on demand.
 *
 * Each disk is a VFS of its own, under its name: hm_store_options.vfs. It keeps what
 * the system shows and what it took to get there since the last sync of each file, so
 * that after a power cut any part of that can be missing, as on a real disk: writes in
 * any order, sectors of 512 bytes out of one write, a file whose name was never synced.
 * Locks and the shared index of the WAL work between the connections of one disk.
 *
 * Nothing waits, nothing asks for the time, luck comes from the seed. One thread at a
 * time for a disk, its connections and its copies; apart from each other disks share
 * nothing but SQLite's list of VFSs, so every thread and process may have its own.
 * Running out of memory ends the process. */
#ifndef HM_TESTS_SUPPORT_SIMDISK_H
#define HM_TESTS_SUPPORT_SIMDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HM_SIMDISK_SECTOR_BYTES = 512, /* what a cut leaves whole or not at all */
    HM_SIMDISK_FAULTS_MAX = 8      /* armed at once */
};

struct hm_simdisk;

/* An empty disk, registered under name (copied, unique in the process; NULL: not
 * registered, good for being a snapshot). To be released with hm_simdisk_destroy(). */
struct hm_simdisk *hm_simdisk_create(const char *name, uint64_t seed);
/* Every connection must be closed. NULL is allowed. */
void hm_simdisk_destroy(struct hm_simdisk *disk);

/* -- Images --------------------------------------------------------------------------
 *
 * Cheap: pages are shared until one side writes. */

/* A disk with the files that from shows now, all of them synced there; no fault, limit
 * or cut comes along. Connections to from may be open: it is what dd would take. */
struct hm_simdisk *hm_simdisk_copy(const struct hm_simdisk *from, const char *name);
/* Replace the files of disk by what from shows now. Connections that are still open
 * fail from now on and can only be closed. Counters, faults and the limit stay; a cut
 * is over. */
void hm_simdisk_restore(struct hm_simdisk *disk, const struct hm_simdisk *from);

/* -- Power and processes -------------------------------------------------------------
 */

/* What of the writes since the last sync is there after the cut. Chosen by the cut's
 * seed where there is a choice. */
enum hm_simdisk_pattern {
    HM_SIMDISK_NONE,     /* nothing */
    HM_SIMDISK_ALL,      /* everything, the operation that was cut included */
    HM_SIMDISK_PREFIX,   /* in order, up to one of them */
    HM_SIMDISK_SUFFIX,   /* only from one of them on: the disk wrote the newest first */
    HM_SIMDISK_WRITES,   /* each of them or not */
    HM_SIMDISK_SECTORS,  /* each sector as it was at some moment since the sync */
    HM_SIMDISK_TORN,     /* in order up to one of them, and its first sectors only */
    HM_SIMDISK_PATTERNS_ /* how many there are */
};

/* "none", "all" ...; static. */
const char *hm_simdisk_pattern_name(enum hm_simdisk_pattern pattern);

struct hm_simdisk_cut {
    uint64_t at; /* the at-th operation from now fails first; > 0 */
    enum hm_simdisk_pattern pattern;
    uint64_t seed;
    bool reads; /* count reads, too; else only what changes or syncs the disk: writes,
                   syncs, truncations, deletions, files made */
    bool kills; /* kill -9 there, not the power: nothing is lost, and nothing is synced
                   by it; pattern and seed mean nothing */
};

/* The power fails at an operation: it and every later one is an I/O error, until
 * hm_simdisk_boot(). Replaces a cut that has not happened yet. */
void hm_simdisk_cut_at(struct hm_simdisk *disk, const struct hm_simdisk_cut *cut);
void hm_simdisk_cut_now(struct hm_simdisk *disk, enum hm_simdisk_pattern pattern,
                        uint64_t seed);
/* Whether the power is off. */
bool hm_simdisk_is_dark(const struct hm_simdisk *disk);
/* Power on: what survived is there, and synced. A cut that has not happened is
 * forgotten. Connections of before fail from now on and can only be closed, now or
 * later. With the power on it only forgets the cut. */
void hm_simdisk_boot(struct hm_simdisk *disk);
/* kill -9 of every process on this disk: the system keeps what was written; locks and
 * the shared index vanish. Connections as with hm_simdisk_boot(). */
void hm_simdisk_kill(struct hm_simdisk *disk);

/* False: the disk no longer says that a write leaves its neighbours alone (Linux says
 * so, and that is the default). SQLite then fills up sectors, and a torn write spoils
 * the block of 4096 bytes in which it ended. */
void hm_simdisk_set_powersafe(struct hm_simdisk *disk, bool powersafe);

/* -- Faults --------------------------------------------------------------------------
 */

enum hm_simdisk_class {
    HM_SIMDISK_READ = 1,
    HM_SIMDISK_WRITE = 2,
    HM_SIMDISK_SYNC = 4,
    HM_SIMDISK_TRUNCATE = 8,
    HM_SIMDISK_OPEN = 16,
    HM_SIMDISK_DELETE = 32,
    HM_SIMDISK_SHM = 64, /* the shared index of the WAL grows */
    HM_SIMDISK_ANY = 127
};

enum hm_simdisk_failure {
    HM_SIMDISK_EIO,    /* I/O error. A write may have done its first part; a sync has
                          written nothing, and what it should have written counts as
                          written from then on: later syncs succeed, and a cut loses it,
                          as on Linux */
    HM_SIMDISK_ENOSPC, /* the device is full. A write has done its first part; only
                          WRITE, TRUNCATE, OPEN and SHM; others succeed */
    HM_SIMDISK_SHORT /* READ: only the first half is there, as if the file ended; others
                        succeed */
};

struct hm_simdisk_fault {
    unsigned classes;   /* of enum hm_simdisk_class */
    const char *suffix; /* only files whose name ends so; NULL: all. Must outlive the
                           fault */
    uint64_t at;        /* the at-th of them from now; > 0 */
    bool lasting;       /* and every later one */
    enum hm_simdisk_failure failure;
};

/* Arm one more. */
void hm_simdisk_fail(struct hm_simdisk *disk, const struct hm_simdisk_fault *fault);
/* How many operations have failed by faults or the limit since hm_simdisk_heal(). */
uint64_t hm_simdisk_failed(const struct hm_simdisk *disk);
/* Forget every fault. */
void hm_simdisk_heal(struct hm_simdisk *disk);
/* Bytes on the whole disk, in blocks of 4096; beyond it the device is full.
 * UINT64_MAX: no limit. */
void hm_simdisk_limit(struct hm_simdisk *disk, uint64_t bytes);

/* -- Names, as a program uses them beside SQLite -------------------------------------
 *
 * Each counts as operations, and fails, like those of SQLite. Returns 0 or an errno. */

/* An empty file; one that is there loses its name. */
int hm_simdisk_make(struct hm_simdisk *disk, const char *path);
int hm_simdisk_sync(struct hm_simdisk *disk, const char *path);
/* A file at to loses its name. On the disk only after hm_simdisk_sync_names(). */
int hm_simdisk_rename(struct hm_simdisk *disk, const char *from, const char *to);
int hm_simdisk_remove(struct hm_simdisk *disk, const char *path);
int hm_simdisk_sync_names(struct hm_simdisk *disk);

/* -- Looking in ----------------------------------------------------------------------
 */

struct hm_simdisk_counters {
    uint64_t changes; /* what a cut without reads counts */
    uint64_t reads, writes, syncs, truncates, opens, deletes, shm_grows;
    uint64_t bytes_read, bytes_written;
};

/* Since hm_simdisk_create(). */
struct hm_simdisk_counters hm_simdisk_counters(const struct hm_simdisk *disk);
/* In blocks of 4096. */
uint64_t hm_simdisk_used_bytes(const struct hm_simdisk *disk);
/* Size of a file in bytes; -1 when there is none. */
int64_t hm_simdisk_size(const struct hm_simdisk *disk, const char *path);
/* Copy bytes of a file; zeros beyond its end. False when there is none. */
bool hm_simdisk_peek(const struct hm_simdisk *disk, const char *path, int64_t offset,
                     void *out, size_t len);
/* Rot: other bytes within a file, behind the back of the system. The file must be
 * there. */
void hm_simdisk_scribble(struct hm_simdisk *disk, const char *path, int64_t offset,
                         const void *bytes, size_t len);
/* Rot: change a bit, behind the back of the system. The file must be there. */
void hm_simdisk_flip(struct hm_simdisk *disk, const char *path, int64_t bit);

#endif
