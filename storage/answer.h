/* What a parent answers to the wishes of one request that only read: feeds,
 * comparisons, pieces of blobs, within the budget that the child asked for.
 *
 * A household that only the asking child's own changes moved is left out of its feed:
 * it has that state already. Runs inside a read transaction of the caller, behind the
 * commit of what the request brought. Blocking; thread as the store. */
#ifndef HM_STORAGE_ANSWER_H
#define HM_STORAGE_ANSWER_H

#include "protocol/downsync.h"
#include "storage/accept.h"
#include "storage/scope0.h"

enum { HM_ANSWER_DICTIONARIES_MAX = 4 };

struct hm_answer {
    struct hm_store *s;
    const struct hm_device *sender;
    const struct hm_accept *accept; /* what the request itself moved */
    struct hm_arena *arena;
    struct hm_buf *reply;
    size_t bytes_max; /* of the reply; the last frame may go over it */
    uint64_t timeline;
    uint32_t *scopes; /* that the sender is assigned, ascending */
    size_t scope_count;
    struct hm_scope0_filter *filter;
    struct hm_dictionary dictionaries[HM_ANSWER_DICTIONARIES_MAX];
    size_t dictionary_count;
    bool wrote_states;
    bool more;
};

/* accept must have been initialised for the same request. */
int hm_answer_init(struct hm_answer *a, struct hm_store *s,
                   const struct hm_hello *hello, const struct hm_device *sender,
                   const struct hm_accept *accept, struct hm_arena *arena,
                   struct hm_buf *reply) HM_MUST_USE;
/* Receipts, and what this node, when it is a hub, knows of these logs at the centre. */
int hm_answer_receipts(struct hm_answer *a, const struct hm_receipt *receipts,
                       size_t count) HM_MUST_USE;
/* A change that was refused; detail is cut to what a frame holds. */
void hm_answer_notice(struct hm_buf *reply, const struct hm_dot *dot, int reason,
                      const char *detail);
/* wish: FEED, COMPARE, BLOB or TELL. */
int hm_answer_wish(struct hm_answer *a,
                   const struct hm_downsync_wish *wish) HM_MUST_USE;
/* Instead of wishes: the sender's own device item alone, which says that it was
 * revoked. */
int hm_answer_own_device(struct hm_answer *a) HM_MUST_USE;
/* MORE, when something did not fit. */
void hm_answer_end(struct hm_answer *a);

#endif
