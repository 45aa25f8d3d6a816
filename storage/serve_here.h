/* The part of a request that is not work: who asks, what was forgotten here.
 *
 * Runs inside the transaction that stores the request, before its segments. Blocking;
 * thread as the store. */
#ifndef HM_STORAGE_SERVE_HERE_H
#define HM_STORAGE_SERVE_HERE_H

#include "protocol/here.h"
#include "storage/devices.h"

struct hm_serve_here {
    uint64_t alarms; /* that the child holds of this parent */
    bool centre;     /* this node signs items */
    uint64_t items;  /* that were forgotten here, and came back */
};

/* HERE, ITEM and CURSOR frames of a request whose frames have been checked. A cursor
 * that names this node's timeline and a position or a salt that it does not have is of
 * a history that this node has forgotten: it begins another one.
 *
 * Errors: the store's; what is wrong with a frame is HM_MALFORMED .. as their readers
 * say. */
int hm_serve_here_look(struct hm_store *s, uint64_t sender, struct hm_bytes body,
                       struct hm_arena *arena, struct hm_serve_here *here) HM_MUST_USE;
/* Entries first_n .. behind - 1 of the log have come: were they missed? */
int hm_serve_here_came(struct hm_store *s, uint64_t incarnation, uint64_t first_n,
                       uint64_t behind) HM_MUST_USE;
/* What the reply tells of alarms. */
int hm_serve_here_tell(struct hm_store *s, uint64_t sender, uint64_t alarms_there,
                       struct hm_arena *arena, struct hm_buf *reply) HM_MUST_USE;

#endif
