/* The simulated disk as its VFS sees it; nobody else includes this. Names, the order of
 * operations, and what fails. */
#ifndef HM_TESTS_SUPPORT_SIMDISK_DISK_H
#define HM_TESTS_SUPPORT_SIMDISK_DISK_H

#include "tests/support/simdisk_file.h"

/* A name in the one folder of the disk. What it led to when the folder was last synced
 * and what it leads to now are two things. */
struct hm_simdisk_name {
    char *path;
    struct hm_simdisk_file *now;    /* NULL: there is none */
    struct hm_simdisk_file *synced; /* NULL: there is none */
    uint64_t seq;                   /* of the last change of now */
};

struct hm_simdisk_armed {
    struct hm_simdisk_fault fault;
    uint64_t left; /* matching operations until it strikes */
};

struct hm_simdisk {
    sqlite3_vfs vfs;
    char *name; /* NULL: not registered */
    uint64_t seed;
    uint64_t boots; /* handles of a former one are dead */
    uint64_t seq;   /* of the last operation */
    uint64_t file_id;
    struct hm_simdisk_name *names;
    size_t name_count;
    struct hm_simdisk_cut cut;
    uint64_t cut_left; /* counted operations until the power fails; 0: no cut */
    bool dark;
    bool powersafe;
    struct hm_simdisk_armed armed[HM_SIMDISK_FAULTS_MAX];
    size_t armed_count;
    uint64_t failed;
    uint64_t limit;
    uint64_t used_bytes;
    int last_errno;
    struct hm_simdisk_counters counters;
};

/* What becomes of an operation. */
enum hm_simdisk_verdict {
    HM_SIMDISK_GO,
    HM_SIMDISK_DARK,  /* no power: nothing happens */
    HM_SIMDISK_LAST,  /* it happens, and the power fails before it is answered */
    HM_SIMDISK_BROKEN /* out_failure says how */
};

/* Ask before each operation. changes: it counts for a cut without reads. */
enum hm_simdisk_verdict hm_simdisk_gate(struct hm_simdisk *disk,
                                        enum hm_simdisk_class class, const char *path,
                                        bool changes,
                                        enum hm_simdisk_failure *out_failure);
/* A number for the next decision. */
uint64_t hm_simdisk_luck(struct hm_simdisk *disk);

/* The name's entry; NULL: unknown. */
struct hm_simdisk_name *hm_simdisk_find(const struct hm_simdisk *disk,
                                        const char *path);
/* Make an empty file there; the name leads to it from now on. */
struct hm_simdisk_file *hm_simdisk_link(struct hm_simdisk *disk, const char *path);
void hm_simdisk_unlink(struct hm_simdisk *disk, struct hm_simdisk_name *name);
/* The file at from goes by to from now on; both are names of one operation. */
void hm_simdisk_move(struct hm_simdisk *disk, const char *from, const char *to);
/* What the name leads to now is on the disk; so for all names. */
void hm_simdisk_sync_name(struct hm_simdisk_name *name);
void hm_simdisk_sync_folder(struct hm_simdisk *disk);

/* How many of len bytes at offset fit on the disk; changes used_bytes as if they were
 * written. */
size_t hm_simdisk_claim(struct hm_simdisk *disk, const struct hm_simdisk_file *f,
                        int64_t offset, size_t len);
void hm_simdisk_release(struct hm_simdisk *disk, int64_t size_before, int64_t size);

/* Fills disk->vfs, but for its name. */
void hm_simdisk_vfs_init(struct hm_simdisk *disk);

#endif
