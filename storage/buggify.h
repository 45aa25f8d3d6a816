/* Places where the program may lawfully do what it hardly ever does: send one state at
 * a time, forget a child's cursor, seal a single entry. The simulator's build
 * (-DHM_BUGGIFY=ON) lets them happen often; in every other build they are nothing.
 *
 * Whatever a point does must be right by the protocol, only rare. */
#ifndef HM_STORAGE_BUGGIFY_H
#define HM_STORAGE_BUGGIFY_H

#include <stdbool.h>

enum hm_buggify_point {
    HM_BUGGIFY_ONE_STATE,      /* a reply has room for one state */
    HM_BUGGIFY_ONE_SEGMENT,    /* a request has room for one segment */
    HM_BUGGIFY_ONE_ENTRY,      /* a segment has room for one entry */
    HM_BUGGIFY_CHECKPOINT,     /* the WAL is copied back after every commit */
    HM_BUGGIFY_SEGMENT_WAITS,  /* a parent can't judge a segment yet */
    HM_BUGGIFY_CURSOR_UNKNOWN, /* a parent does not know a child's position */
    HM_BUGGIFY_POINTS
};

#ifdef HM_BUGGIFY
/* Whether it happens this time. Defined by the simulator. */
bool hm_buggify(enum hm_buggify_point point);
#else
static inline bool hm_buggify(enum hm_buggify_point point)
{
    (void)point;
    return false;
}
#endif

#endif
