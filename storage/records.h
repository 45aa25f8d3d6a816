/* Records: how own segments, items and blobs lie in files beside the store.
 *
 *   "HMR1"  kind(1)  length(4)  BLAKE2b-128 of kind, length and body(16)  body
 *
 * A record that a power cut tore, or that rotted, does not have its hash; reading goes
 * on at the next one that has it. Pure: no file is touched here; any thread. */
#ifndef HM_STORAGE_RECORDS_H
#define HM_STORAGE_RECORDS_H

#include "protocol/hash.h"
#include "storage/blobs.h"

enum hm_record_kind {
    HM_RECORD_SEGMENT =
        1,              /* protocol/segment.h: own entries, sealed without dictionary */
    HM_RECORD_ITEM = 2, /* hm_items_encode() */
    HM_RECORD_BLOB = 3, /* its bytes */
    HM_RECORD_FACTS = 4,     /* storage/facts.h */
    HM_RECORD_DICTIONARY = 5 /* a blob that is a dictionary too */
};

enum {
    HM_RECORD_HEADER_BYTES = 25,
    HM_RECORD_BODY_BYTES_MAX = HM_BLOB_BYTES_MAX,
    HM_RECORDS_FILE_BYTES_MAX = 32 * 1024 * 1024
};

void hm_records_append(struct hm_buf *buf, enum hm_record_kind kind,
                       struct hm_bytes body);

struct hm_record {
    enum hm_record_kind kind;
    struct hm_hash hash;   /* of kind, length and body */
    struct hm_bytes body;  /* a view */
    struct hm_bytes whole; /* with its header */
};

/* The next sound record of *left, which moves behind it. False: there is none, and
 * *left is at its end. *skipped grows by the bytes in front of it that belong to none.
 */
bool hm_records_next(struct hm_bytes *left, struct hm_record *out, uint64_t *skipped);

#endif
