/* Makes a node's store anew from what is left: what can be read of the old one, and
 * what storage/log_files.h keeps beside it.
 *
 * Nothing is believed that does not carry its proof: own entries are those of signed
 * segments, or those whose hash continues their chain; others' are segments signed by
 * their devices; items are signed by the centre; blobs, states and refused changes have
 * their hashes. Own entries are applied to the states that were saved, or to nothing:
 * what a node's people saved is visible at once. The new store has no timeline, no
 * cursors and no receipts, and offers its logs again, so that the next sync brings the
 * rest.
 *
 * Reads the old store and the files, changes neither. Blocking, for long; one thread.
 */
#ifndef HM_STORAGE_REPAIR_H
#define HM_STORAGE_REPAIR_H

#include "storage/files.h"
#include "storage/store.h"

/* X(name, what people read) */
#define HM_REPAIR_KINDS(X)                                                             \
    X(FACTS, "facts about the node")                                                   \
    X(ITEMS, "administrative items")                                                   \
    X(BLOBS, "form packages and dictionaries")                                         \
    X(OWN, "own changes")                                                              \
    X(FOREIGN, "changes of others")                                                    \
    X(STATES, "states of households")                                                  \
    X(QUARANTINE, "quarantined changes")                                               \
    X(TOKENS, "tokens of devices")                                                     \
    X(IMPORTS, "lines of imports")

enum hm_repair_kind {
#define HM_REPAIR_ENUM(name, text) HM_REPAIR_##name,
    HM_REPAIR_KINDS(HM_REPAIR_ENUM)
#undef HM_REPAIR_ENUM
        HM_REPAIR_KIND_COUNT
};

struct hm_repair_count {
    uint64_t found;    /* in whatever source, sound or not */
    uint64_t restored; /* in the new store */
    uint64_t missing;  /* known to have been there, and lost: own and others' changes */
};

struct hm_repair_report {
    struct hm_repair_count counts[HM_REPAIR_KIND_COUNT];
    uint64_t holes;      /* places of the old store that could not be read */
    uint64_t torn_bytes; /* of the files beside it */
    uint64_t set_apart;  /* own changes behind a missing one: in quarantine now */
};

const char *hm_repair_kind_text(enum hm_repair_kind kind);

struct hm_repair_options {
    struct hm_store_options store; /* the new one, where there is no file */
    const char *old_path;          /* NULL: there is no old store */
    const char *scratch_path;      /* of a store to work in, where there is no file */
    const struct hm_files *files;
    const char *dir; /* where log-segments/ and node.facts lie */
};

/* After HM_OK the new store is whole and on the disk; the scratch store is to be
 * removed by the caller in any case, the new one after an error. errmsg gets one line
 * then. Errors: HM_NOTFOUND (nothing says what kind of node this is: neither the old
 * store nor node.facts can be read); HM_NOSPACE, HM_IO, HM_NOMEM .. of the new store.
 */
int hm_repair_run(const struct hm_repair_options *options,
                  struct hm_repair_report *out_report,
                  struct hm_buf *errmsg) HM_MUST_USE;

/* Is anything wrong with a store that only repair can mend? Structure, states, digests,
 * items, blobs, chains, and whether the files beside it know more than it does. Only
 * reads. HM_CORRUPT: a line for each fault in report. */
int hm_repair_check(struct hm_store *s, const struct hm_files *files, const char *dir,
                    struct hm_buf *report) HM_MUST_USE;

#endif
