/* A log written by hand, in the name of a laptop of the village: births, changes and
 * anything else, sealed with any bounds. For what no honest laptop sends.
 *
 * Failures end the test. One thread. */
#ifndef HM_TESTS_SUPPORT_PEN_H
#define HM_TESTS_SUPPORT_PEN_H

#include "tests/support/build.h"
#include "tests/support/village.h"

enum { HM_PEN_ENTRIES_MAX = 400 };

struct hm_pen {
    struct hm_village *v;
    struct hm_segment_seal seal; /* taken by hm_pen_seal(); tests may change it */
    struct hm_bytes entries[HM_PEN_ENTRIES_MAX];
    struct hm_hash chains[HM_PEN_ENTRIES_MAX];
    size_t count;
    struct hm_arena arena;
};

/* A log with its birth, of the device of n. */
void hm_pen_open(struct hm_pen *pen, struct hm_village *v,
                 const struct hm_village_node *n, uint64_t incarnation);
void hm_pen_close(struct hm_pen *pen);

/* The dot of the next entry. */
struct hm_dot hm_pen_next(const struct hm_pen *pen);
/* Append any bytes; they are copied. */
void hm_pen_raw(struct hm_pen *pen, struct hm_bytes bytes);
/* A new household of the first hamlet with a name; its id. */
struct hm_household_id hm_pen_new(struct hm_pen *pen, const char *name);
/* A root field of a household that stands in the first hamlet. */
void hm_pen_write(struct hm_pen *pen, const struct hm_household_id *id, uint32_t field,
                  const char *text);

/* Entries first_n .. first_n + count - 1 as a segment, in the pen's memory. */
struct hm_bytes hm_pen_seal(struct hm_pen *pen, uint64_t first_n, size_t count);

/* The centre takes bytes as a segment and commits. Returns how many entries of the log
 * it holds then. */
uint64_t hm_pen_take(struct hm_pen *pen, struct hm_bytes bytes);

#endif
