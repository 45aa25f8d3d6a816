/* What the files of the simulated disk share; nobody else includes this. A file: its
 * bytes, and how to undo what was written since its last sync. */
#ifndef HM_TESTS_SUPPORT_SIMDISK_FILE_H
#define HM_TESTS_SUPPORT_SIMDISK_FILE_H

#include <sqlite3.h>

#include "tests/support/simdisk.h"

enum { HM_SIMDISK_PAGE_BYTES = 4096, HM_SIMDISK_SHM_SLOTS = 8 };

struct hm_simdisk_handle; /* an open file, simdisk_vfs.c */

struct hm_simdisk_page {
    unsigned refs; /* files of several disks share a page until one writes */
    uint8_t bytes[HM_SIMDISK_PAGE_BYTES];
};

/* One write or truncation since the last sync. The bytes that were there before stand
 * in the file's before, from at on. */
struct hm_simdisk_undo {
    uint64_t seq; /* order on the whole disk */
    bool truncates;
    int64_t offset; /* where it wrote, or the new size */
    size_t len;     /* what it wrote, or cut off */
    int64_t size_before;
    size_t at;
};

/* A page as it is on the disk, whose writing a failed sync has dropped. */
struct hm_simdisk_lost {
    size_t index;
    struct hm_simdisk_page *page; /* NULL: zeros */
};

/* The shared index of a WAL: memory, gone with its last connection. */
struct hm_simdisk_shm {
    unsigned refs;
    void **regions;
    size_t region_count;
    int slots[HM_SIMDISK_SHM_SLOTS]; /* -1: exclusive, else how many share it */
};

struct hm_simdisk_file {
    unsigned refs; /* names and handles */
    uint64_t id;
    bool named; /* a name leads to it */
    int64_t size;
    struct hm_simdisk_page **pages; /* NULL: zeros. Beyond size all bytes are 0 */
    size_t page_count;
    struct hm_simdisk_undo *undo;
    size_t undo_count, undo_max;
    uint8_t *before;
    size_t before_len, before_max;
    struct hm_simdisk_lost *lost;
    size_t lost_count;
    /* Locks of SQLite. */
    unsigned shared;
    const struct hm_simdisk_handle *reserved, *pending, *exclusive;
    struct hm_simdisk_shm *shm; /* NULL: nobody has it mapped */
};

/* What a cut decides with. */
struct hm_simdisk_survival {
    enum hm_simdisk_pattern pattern;
    uint64_t seed;
    uint64_t seq_min, seq_max; /* of what was not synced */
    uint64_t threshold;        /* for the patterns in order */
    bool powersafe;
};

/* As realloc() and calloc() and strdup(), but it never fails, nor lets a faulty run
 * (tests/fault) make it fail. */
void *hm_simdisk_memory(void *old, size_t bytes);
void *hm_simdisk_zeroed(size_t bytes);
char *hm_simdisk_text(const char *text);
void *hm_simdisk_grow(void *memory, size_t *inout_max, size_t need, size_t item_bytes);
/* A number that depends on nothing but its arguments. */
uint64_t hm_simdisk_mix(uint64_t a, uint64_t b, uint64_t c);

struct hm_simdisk_file *hm_simdisk_file_create(uint64_t id);
struct hm_simdisk_file *hm_simdisk_file_copy(const struct hm_simdisk_file *from,
                                             uint64_t id);
/* NULL is allowed. */
void hm_simdisk_file_unref(struct hm_simdisk_file *f);
void hm_simdisk_shm_unref(struct hm_simdisk_shm *shm);

/* Zeros beyond the end. */
void hm_simdisk_file_read(const struct hm_simdisk_file *f, int64_t offset, void *out,
                          size_t len);
void hm_simdisk_file_write(struct hm_simdisk_file *f, uint64_t seq, int64_t offset,
                           const void *bytes, size_t len);
void hm_simdisk_file_truncate(struct hm_simdisk_file *f, uint64_t seq, int64_t size);
void hm_simdisk_file_sync(struct hm_simdisk_file *f);
/* A sync that failed: what was written is shown, and never reaches the disk unless its
 * page is written again. */
void hm_simdisk_file_drop(struct hm_simdisk_file *f);
/* The power is back: keep what survived. */
void hm_simdisk_file_survive(struct hm_simdisk_file *f,
                             const struct hm_simdisk_survival *how);
void hm_simdisk_file_scribble(struct hm_simdisk_file *f, int64_t offset,
                              const void *bytes, size_t len);
void hm_simdisk_file_flip(struct hm_simdisk_file *f, int64_t bit);

#endif
