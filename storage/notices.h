/* What becomes of own values when others replace them by different ones: kept until a
 * person has read it.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_NOTICES_H
#define HM_STORAGE_NOTICES_H

#include "protocol/household.h"
#include "storage/store.h"

struct hm_notice {
    struct hm_hash hash; /* names it: of household, cell and lost dot */
    struct hm_household_id household;
    struct hm_row_key key;
    uint32_t field;
    struct hm_dot lost_dot; /* of this device */
    struct hm_bytes lost;   /* value */
    int64_t lost_utc_ms;    /* when it was written, corrected */
    struct hm_dot dot;      /* what stands there now */
    struct hm_bytes value;
    uint32_t user;
    uint64_t device;
    int64_t utc_ms;       /* when that was written, corrected */
    int64_t since_utc_ms; /* when this node heard of it */
};

/* Hold the state that is kept now against the one that was before, and note every value
 * of this device that is gone from a cell where a value of another device, which says
 * something else, is shown. Not what was refused: that is in quarantine. */
int hm_notices_compare(struct hm_store *s, const struct hm_household *before,
                       const struct hm_household *after) HM_MUST_USE;

/* Oldest first; views are valid during the call. A code other than HM_OK from fn ends
 * it and is returned. */
typedef int (*hm_notice_fn)(void *arg, const struct hm_notice *notice);
int hm_notices_each(struct hm_store *s, hm_notice_fn fn, void *arg) HM_MUST_USE;
int hm_notices_count(struct hm_store *s, uint64_t *out_count) HM_MUST_USE;
/* It has been read. Errors: HM_NOTFOUND. */
int hm_notices_clear(struct hm_store *s, const struct hm_hash *hash) HM_MUST_USE;

#endif
