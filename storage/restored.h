/* A store that came out of a backup: what must be different from its first start on.
 *
 * Its feeds have positions that others have seen with another content, so a new history
 * begins: a timeline of its own, by which children notice and offer their logs again.
 * Numbers and versions of administrative items that were given out since the backup are
 * not given out again.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_RESTORED_H
#define HM_STORAGE_RESTORED_H

#include "storage/store.h"

/* Say that this store is what a backup held; its first start acts on it. */
int hm_restored_mark(struct hm_store *s) HM_MUST_USE;
/* To be called at every start, before anything else is done with the store. A store
 * that is marked begins its new history, and is not marked any more. */
int hm_restored_begin(struct hm_store *s) HM_MUST_USE;
/* Begin a new history here and now: somebody has shown what this store cannot know
 * (storage/claims.h). Not more often than every 10 minutes, whoever shows it;
 * *out_begun says whether it was done. */
int hm_restored_notice(struct hm_store *s, bool *out_begun) HM_MUST_USE;

#endif
