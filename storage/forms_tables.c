/* Field tables of forms, kept decoded. */
#include <stdlib.h>

#include "storage/forms.h"

struct loaded {
    uint32_t number;
    uint8_t hash[HM_CONTENT_HASH_BYTES]; /* of the blob that it was decoded from */
    struct hm_field_table *table;
};

struct hm_forms {
    struct hm_store *s;
    struct loaded loaded[HM_FORMS_MAX];
    size_t count;
};

int hm_forms_open(struct hm_store *s, struct hm_forms **out_forms)
{
    struct hm_forms *forms = calloc(1, sizeof *forms);

    if (forms == NULL) {
        return HM_NOMEM;
    }
    forms->s = s;
    hm_store_set_forms(s, forms);
    *out_forms = forms;
    return HM_OK;
}

void hm_forms_close(struct hm_forms *forms)
{
    if (forms == NULL) {
        return;
    }
    if (hm_store_forms(forms->s) == forms) {
        hm_store_set_forms(forms->s, NULL);
    }
    for (size_t i = 0; i < forms->count; i++) {
        hm_field_table_destroy(forms->loaded[i].table);
    }
    free(forms);
}

static int decode(struct hm_store *s, const struct hm_form_item *form,
                  struct hm_field_table **out_table)
{
    struct hm_arena arena;
    struct hm_bytes bytes;
    int err;

    hm_arena_init(&arena, 2 * HM_BLOB_BYTES_MAX);
    err = hm_blobs_get(s, form->table, &arena, &bytes);
    if (err == HM_OK) {
        err = hm_field_table_decode(bytes, out_table);
        if (err != HM_OK && err != HM_NOMEM && err != HM_VERSION) {
            err = hm_store_fail(s, HM_CORRUPT, "form %s has no sound field table",
                                form->form_id);
        }
    }
    hm_arena_deinit(&arena);
    return err;
}

/* Where the table of a form is kept; NULL when there is no room for one more. */
static struct loaded *slot_of(struct hm_forms *forms, uint32_t number)
{
    for (size_t i = 0; i < forms->count; i++) {
        if (forms->loaded[i].number == number) {
            return &forms->loaded[i];
        }
    }
    if (forms->count == HM_FORMS_MAX) {
        return NULL;
    }
    forms->loaded[forms->count] = (struct loaded){.number = number};
    return &forms->loaded[forms->count++];
}

int hm_forms_load_table(struct hm_forms *forms, uint32_t number,
                        const struct hm_field_table **out_table)
{
    struct hm_field_table *table = NULL;
    struct hm_form_item form;
    struct hm_arena arena;
    struct loaded *slot;
    int err;

    hm_arena_init(&arena, 4 * HM_ITEM_BODY_BYTES_MAX);
    err = hm_forms_get(forms->s, number, &arena, &form);
    slot = err == HM_OK ? slot_of(forms, number) : NULL;
    if (err == HM_OK && slot == NULL) {
        err = HM_TOOBIG;
    }
    if (err == HM_OK && (slot->table == NULL ||
                         memcmp(slot->hash, form.table, sizeof slot->hash) != 0)) {
        err = decode(forms->s, &form, &table);
        if (err == HM_OK) {
            hm_field_table_destroy(slot->table);
            slot->table = table;
            memcpy(slot->hash, form.table, sizeof slot->hash);
        }
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        *out_table = slot->table;
    }
    return err;
}

enum hm_field_policy hm_forms_policy_of(void *forms, const struct hm_row_key *row,
                                        uint32_t field)
{
    const struct hm_field_table *table;
    const struct hm_field_entry *entry = NULL;
    int err = HM_NOTFOUND;

    if (row->form != HM_FORM_HOUSEHOLD) {
        err = hm_forms_load_table(forms, row->form, &table);
    }
    if (err == HM_OK) {
        entry = hm_field_table_by_number(table, field);
    } else if (err == HM_IO || err == HM_NOMEM || err == HM_CORRUPT) {
        hm_store_doom(((struct hm_forms *)forms)->s, err); /* it may be here, unread */
    }
    return entry == NULL || entry->kind == HM_FIELD_KIND_REPEAT ? HM_FIELD_POLICY_ASK
                                                                : entry->policy;
}
