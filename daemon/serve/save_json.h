/* A save as people and programs write it, made ready for storage/save.h.
 *
 * Blocking: reads forms and units through the call. One thread. */
#ifndef HM_DAEMON_SERVE_SAVE_JSON_H
#define HM_DAEMON_SERVE_SAVE_JSON_H

#include "daemon/serve/call.h"
#include "storage/save.h"

/* The filling that a save writes to: a form, and a round where the form has them. */
struct hm_save_filling {
    const struct hm_call_form *form;
    uint32_t round; /* number, 0 for none */
};

/* round: a code, NULL for none. Errors, with a line: HM_NOTFOUND (form, round);
 * HM_INVALID (a round where none belongs, none where one does, a closed one);
 * HM_DENIED (the asker may not write the form). */
int hm_save_json_filling(struct hm_call *call, const char *form_id, const char *round,
                         struct hm_save_filling *out) HM_MUST_USE;

/* The hamlet in which a new household is made. Errors, with a line: HM_NOTFOUND,
 * HM_INVALID (no hamlet), HM_DENIED (not this node's or this user's). */
int hm_save_json_scope(struct hm_call *call, const char *text,
                       uint32_t *out_scope) HM_MUST_USE;

/* The cell value of a text for a field, in arena. HM_INVALID: call->line says why. */
int hm_save_json_value(struct hm_call *call, const struct hm_field_table *table,
                       const struct hm_field_entry *entry, struct hm_bytes text,
                       struct hm_arena *arena, struct hm_bytes *out_value) HM_MUST_USE;
/* May people write this field? HM_INVALID with a line otherwise. */
int hm_save_json_writable(struct hm_call *call,
                          const struct hm_field_entry *entry) HM_MUST_USE;

/* What is said to a household that is merged goes to the one under which it is shown;
 * rows of the others that are shown there go to these, each with a save of its own. */
struct hm_save_json {
    struct hm_save save;
    struct hm_save *others; /* of households that are merged into it */
    size_t other_count;
};

/* Read call->body into saves. household: the id of the path, NULL: from the body.
 * form_id: of the path, NULL: from the body. In arena. Errors as above, and HM_INVALID
 * and HM_NOTFOUND for what the body says. */
int hm_save_json_read(struct hm_call *call, const char *household, const char *form_id,
                      struct hm_arena *arena, struct hm_save_json *out) HM_MUST_USE;

/* The household as a save sees it: its scope, and whether the asker may write there. */
int hm_save_json_target(struct hm_call *call, struct hm_household *h,
                        struct hm_arena *arena, uint32_t *out_scope) HM_MUST_USE;

/* Does the household know an item, in whatever form? */
bool hm_save_json_knows_item(const struct hm_household *h, const struct hm_item *item);

/* Set what every save has: user, rank. */
void hm_save_json_sign(const struct hm_call *call, struct hm_save *save);

#endif
