/* The filter of a household list: `field=value and field~text and conflicts>0`.
 *
 *   condition = name ("=" | "!=" | "~" | ">" | "<") value, joined by "and"
 *   name      = a field of a form's own row, repeat.field, or one of the counts
 *               members, conflicts, findings
 *   value     = a word, or text in double quotes
 *
 * "~" finds a part, whatever the case and the marks over and under letters; > and <
 * compare numbers. For repeat.field one row that fits is enough.
 *
 * Blocking: reads the forms of the call. One thread. */
#ifndef HM_DAEMON_SERVE_WHERE_H
#define HM_DAEMON_SERVE_WHERE_H

#include "daemon/serve/call.h"

enum { HM_WHERE_CONDITIONS_MAX = 16 };

struct hm_where_counts {
    uint64_t members;
    uint64_t conflicts;
    uint64_t findings;
};

struct hm_where;

/* In the call's arena. Errors: HM_INVALID, with a line. */
int hm_where_parse(struct hm_call *call, const char *text,
                   struct hm_where **out_where) HM_MUST_USE;
int hm_where_matches(struct hm_call *call, const struct hm_where *where,
                     const struct hm_household *h, const struct hm_where_counts *counts,
                     struct hm_arena *arena, bool *out_matches) HM_MUST_USE;

#endif
