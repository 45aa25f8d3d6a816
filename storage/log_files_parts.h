/* What the files of storage/log_files.h share. Not for others. */
#ifndef HM_STORAGE_LOG_FILES_PARTS_H
#define HM_STORAGE_LOG_FILES_PARTS_H

#include "storage/log.h"
#include "storage/log_files.h"

/* How far an own log is filed: entries 0 .. entries - 1. next: with what is gathered.
 */
struct hm_filed_log {
    uint64_t incarnation;
    uint64_t entries;
    uint64_t next;
};

struct hm_log_files {
    const struct hm_files *files;
    char dir[HM_FILES_PATH_MAX];
    char folder[HM_FILES_PATH_MAX];
    const uint8_t *secret_key;
    uint64_t device;
    unsigned small_max;
    bool scanned;

    struct hm_filed_log *logs;
    size_t log_count;
    size_t log_room;
    /* Records of items and blobs that are filed: the first 64 bits of their hashes,
     * ascending; behind known_sorted those that were gathered since. */
    uint64_t *known;
    size_t known_count;
    size_t known_sorted;
    size_t known_room;
    uint64_t items_at; /* position up to which items are filed */
    uint64_t items_next;
    int64_t blobs_at; /* rows of blobs and dictionaries when they were looked at last */
    int64_t blobs_next;
    uint64_t facts; /* first 64 bits of what is in the file; 0: unknown */

    uint64_t number; /* of the file that is appended to; 0: the next write begins one */
    uint64_t number_max;
    uint64_t size;          /* of that file */
    unsigned small_records; /* appended to it since it was compact */
    struct hm_log_files_stats stats;
};

/* Append to buf, up to about bytes_max, records of what s holds and no file does; what
 * they are is noted in the "next" members. */
int hm_log_files_gather(struct hm_log_files *f, struct hm_store *s, size_t bytes_max,
                        struct hm_buf *buf, unsigned *out_records) HM_MUST_USE;
/* What was gathered is on the disk, or is not. */
void hm_log_files_note(struct hm_log_files *f, bool on_disk);

/* Note what a record of a file holds. */
int hm_log_files_learn(struct hm_log_files *f,
                       const struct hm_record *record) HM_MUST_USE;

/* Write the present file anew, its small segments joined to large ones. */
int hm_log_files_compact(struct hm_log_files *f) HM_MUST_USE;

/* folder/<number>.seg */
int hm_log_files_path(const struct hm_log_files *f, uint64_t number,
                      char out[HM_FILES_PATH_MAX]) HM_MUST_USE;

#endif
