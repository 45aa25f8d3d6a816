/* What a store holds and nobody else may have, kept a second time in files beside it:
 * own log entries, items and blobs, in log-segments/<number>.seg as records
 * (storage/records.h), and the node's facts (storage/facts.h).
 *
 * Independent of the sealing that sending does: entries lie here as segments of their
 * own, signed and without dictionary, so that they can be read when all else is lost.
 * Only appended to; a file of many small segments is written anew as few large ones,
 * under another name until it is on the disk, so that there is no moment in which an
 * entry lies in no durable file. Nothing else is ever removed.
 *
 * What has been filed is found by reading the folder, once. Blocking: not for a loop.
 * One thread at a time per object; the store may be one that only reads. */
#ifndef HM_STORAGE_LOG_FILES_H
#define HM_STORAGE_LOG_FILES_H

#include "storage/files.h"
#include "storage/records.h"
#include "storage/store.h"

#define HM_LOG_FILES_FOLDER "log-segments"

enum {
    HM_LOG_FILES_BYTES_MIN =
        1024 * 1024,             /* a file that has as many is not appended to */
    HM_LOG_FILES_SMALL_MAX = 256 /* the default of small_max */
};

struct hm_log_files_options {
    const struct hm_files *files;
    const char *dir; /* of the node; log-segments/ and node.facts lie in it; copied */
    const uint8_t *secret_key; /* HM_SECRET_KEY_BYTES, borrowed as long as the object */
    uint64_t device;
    unsigned small_max; /* segments appended to a file before it is compacted; 0: the
                         * default */
};

struct hm_log_files;

/* Touches no disk yet. Errors: HM_NOMEM. */
int hm_log_files_create(const struct hm_log_files_options *options,
                        struct hm_log_files **out) HM_MUST_USE;
/* NULL is allowed. */
void hm_log_files_destroy(struct hm_log_files *f);

/* Bring to the disk what s has committed and no file holds. No transaction may be open
 * on s. After an error what is missing is filed by the next call, in a new file: of the
 * one that failed only what was synced before counts.
 *
 * Errors: as hm_files and the store. */
int hm_log_files_file(struct hm_log_files *f, struct hm_store *s) HM_MUST_USE;

struct hm_log_files_stats {
    uint64_t files;
    uint64_t bytes;
    uint64_t entries;     /* own ones that are filed, births too */
    uint64_t compactions; /* since the object was made */
    uint64_t torn_bytes;  /* found when the folder was read: parts of no record */
};
struct hm_log_files_stats hm_log_files_stats(const struct hm_log_files *f);

/* How many entries of an own log lie in files without a gap from its birth on. After
 * the first hm_log_files_file(). */
uint64_t hm_log_files_entries(const struct hm_log_files *f, uint64_t incarnation);

/* Every sound record in dir/log-segments, in the order in which they were written.
 * *out_torn: bytes that belong to none; may be NULL. A code other than HM_OK from fn
 * ends it and is returned. HM_OK when there is no such folder. */
typedef int (*hm_log_files_fn)(void *arg, const struct hm_record *record);
int hm_log_files_each(const struct hm_files *files, const char *dir, hm_log_files_fn fn,
                      void *arg, uint64_t *out_torn) HM_MUST_USE;

/* Do the files say of own logs what s says? Every segment is signed by this node, is a
 * whole chain, and no entry differs from the store's or is one that the store lacks.
 * grows: the node is running, and may have filed what this snapshot of s does not have
 * yet. Inside a transaction of the caller. *out_entries: those that were compared. A
 * line each in report for what is wrong, which is no error. */
int hm_log_files_check(const struct hm_files *files, const char *dir,
                       struct hm_store *s, bool grows, struct hm_buf *report,
                       uint64_t *out_entries) HM_MUST_USE;

#endif
