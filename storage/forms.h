/* Published forms: their numbers, versions and the blobs that they consist of.
 *
 * Runs inside a transaction of the caller. Blocking; thread as the store. */
#ifndef HM_STORAGE_FORMS_H
#define HM_STORAGE_FORMS_H

#include "protocol/form/field_table.h"
#include "protocol/id.h"
#include "storage/blobs.h"
#include "storage/items.h"

enum {
    HM_FORMS_MAX = 1000,
    HM_FORM_TEXT_BYTES_MAX = 256,
    HM_FORM_ROLES_MAX = 32,
    HM_FORM_VERSIONS_MAX = 128 /* earlier ones that are kept, the newest of them */
};

struct hm_form_version {
    const char *version;
    uint8_t xform[HM_CONTENT_HASH_BYTES];
};

struct hm_form_item {
    uint32_t number;     /* permanent, > 0; 0 in put: that of form_id, else a new one */
    const char *form_id; /* "register" */
    const char *version;
    const char *title;
    enum hm_form_fill fill;
    const char *const *write; /* codes of roles that may write it; none: all that may
                               * write households */
    size_t write_count;
    uint8_t xform[HM_CONTENT_HASH_BYTES]; /* blobs */
    uint8_t table[HM_CONTENT_HASH_BYTES]; /* encoded field table */
    bool has_dictionary;
    uint8_t dictionary[HM_CONTENT_HASH_BYTES];
    uint64_t dictionary_id;                /* 0 for none */
    const struct hm_form_version *earlier; /* oldest first */
    size_t earlier_count;
};

/* Publish. The version that was there is added to the earlier ones by this function;
 * earlier in form is ignored. Blobs should be there before.
 * Errors: as hm_items_put(); HM_INVALID (no form_id or version); HM_TOOBIG. */
int hm_forms_put(struct hm_store *s, const struct hm_form_item *form,
                 uint32_t *out_number) HM_MUST_USE;
/* In arena, as the next ones. Errors: HM_NOTFOUND. */
int hm_forms_get(struct hm_store *s, uint32_t number, struct hm_arena *arena,
                 struct hm_form_item *out) HM_MUST_USE;
int hm_forms_find(struct hm_store *s, const char *form_id, struct hm_arena *arena,
                  struct hm_form_item *out) HM_MUST_USE;
/* By number. */
int hm_forms_list(struct hm_store *s, struct hm_arena *arena,
                  struct hm_form_item **out_forms, size_t *out_count) HM_MUST_USE;

/* Field tables, decoded once a version. One object per store connection. */
struct hm_forms;
int hm_forms_open(struct hm_store *s, struct hm_forms **out_forms) HM_MUST_USE;
/* Before the store is closed. NULL is allowed. */
void hm_forms_close(struct hm_forms *forms);
/* The table of a form as it is now, read anew when the form's item has changed.
 * Borrowed until the next call for the same number, or the close.
 * Errors: HM_NOTFOUND (no such form, or its blob has not come yet); HM_CORRUPT (the
 * blob is not a table); HM_VERSION (made by a newer program). */
int hm_forms_load_table(struct hm_forms *forms, uint32_t number,
                        const struct hm_field_table **out_table) HM_MUST_USE;

/* A hm_policy_of_fn (protocol/policy.h); forms is a struct hm_forms. `ask` while the
 * form or its table is not here. When it cannot be read the open transaction is doomed
 * (hm_store_doom()). */
enum hm_field_policy hm_forms_policy_of(void *forms, const struct hm_row_key *row,
                                        uint32_t field);

#endif
