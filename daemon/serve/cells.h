/* Cells and values as people and programs see them: names, labels, JSON.
 *
 * The forms of the call are loaded before (hm_call_forms()). One thread. */
#ifndef HM_DAEMON_SERVE_CELLS_H
#define HM_DAEMON_SERVE_CELLS_H

#include "daemon/serve/call.h"

/* A value as JSON: integers are numbers, nil is null, all else is the form's text.
 * NULL without memory. */
json_t *hm_cells_value(struct hm_bytes value);

/* Append the text of a value; nothing for nil. Errors are in out->err. */
void hm_cells_value_text(struct hm_bytes value, struct hm_buf *out);

/* Append the one line that names a cell (docs/api.md). Errors are in out->err. */
void hm_cells_text(const struct hm_call *call, const struct hm_row_key *key,
                   uint32_t field, struct hm_buf *out);

/* The field's entry, NULL for our own and for unknown ones. */
const struct hm_field_entry *hm_cells_entry(const struct hm_call *call,
                                            const struct hm_row_key *key,
                                            uint32_t field);

/* Set form, round, repeat, item in object; with cell also field, cell and label. */
int hm_cells_describe(const struct hm_call *call, const struct hm_row_key *key,
                      json_t *object) HM_MUST_USE;
int hm_cells_describe_cell(const struct hm_call *call, const struct hm_row_key *key,
                           uint32_t field, json_t *object) HM_MUST_USE;

/* The conflicts of one household, each a Conflict, appended to array. form: only of
 * this one, NULL for all. */
int hm_cells_conflicts(struct hm_call *call, const struct hm_household *h,
                       const char *scope, struct hm_arena *arena, const char *form,
                       json_t *array) HM_MUST_USE;

/* What was edited in a dispute by somebody who had not seen the other side: one dot of
 * it. NULL for other conflicts. */
const struct hm_dot *hm_cells_edited(const struct hm_household *h,
                                     const struct hm_policy_conflict *conflict);

/* What a value says in its cell: as hm_cells_value(), and what rows and households say
 * of themselves in words. NULL without memory. */
json_t *hm_cells_said(struct hm_call *call, const struct hm_row_key *key,
                      uint32_t field, struct hm_bytes value);

/* Can the value be taken as a removal of its row? */
bool hm_cells_is_removal(struct hm_bytes value);
/* Who, device, when and dot of a value, set in object. */
int hm_cells_author(struct hm_call *call, const struct hm_author *author, uint32_t user,
                    int64_t utc_ms, const struct hm_dot *dot, struct hm_arena *arena,
                    json_t *object) HM_MUST_USE;

/* Sets a member and takes value, also on error. Errors: HM_NOMEM (also: value NULL). */
int hm_cells_set(json_t *object, const char *name, json_t *value) HM_MUST_USE;
int hm_cells_append(json_t *array, json_t *value) HM_MUST_USE;
/* Text or null. */
json_t *hm_cells_text_or_null(const char *text);

#endif
