#include "daemon/form_publish.h"

#include <stdio.h>
#include <string.h>

#include "daemon/form_dictionary.h"
#include "protocol/form/field_table.h"

enum { ARENA_BYTES_MAX = 64 * 1024 * 1024 };

/* One form on its way. */
struct publishing {
    struct hm_store *s;
    struct hm_bytes xml;
    struct hm_bytes words;
    struct hm_form_publish_error *error;
    struct hm_xform *form;
    struct hm_field_table *old_table; /* NULL: the form is new */
    struct hm_field_table *table;
    struct hm_form_item item;
    struct hm_arena arena;
};

static int refuse(struct publishing *p, int err, const char *node, const char *reason)
{
    (void)snprintf(p->error->node, sizeof p->error->node, "%s", node);
    (void)snprintf(p->error->reason, sizeof p->error->reason, "%s", reason);
    return err;
}

static int parse(struct publishing *p)
{
    struct hm_xform_error fault = {0};
    int err = hm_xform_parse(p->xml, &p->form, &fault);

    if (err == HM_OK || err == HM_NOMEM) {
        return err;
    }
    p->error->line = fault.line;
    return refuse(p, err, fault.node, fault.reason);
}

/* The version that is published now, if any. */
static int load_old(struct publishing *p, bool *out_same)
{
    uint8_t hash[HM_CONTENT_HASH_BYTES];
    struct hm_form_item old = {0};
    struct hm_bytes bytes;
    int err = hm_forms_find(p->s, p->form->id, &p->arena, &old);

    *out_same = false;
    if (err != HM_OK) {
        return err == HM_NOTFOUND ? HM_OK : err;
    }
    hm_hash_content(p->xml, hash);
    p->item.number = old.number;
    *out_same = memcmp(hash, old.xform, sizeof hash) == 0;
    if (!*out_same && strcmp(old.version, p->form->version) == 0) {
        char text[300];

        (void)snprintf(text, sizeof text,
                       "version '%s' of this form is published with another content: "
                       "give the new one another version",
                       old.version);
        return refuse(p, HM_EXISTS, "", text);
    }
    err = hm_blobs_get(p->s, old.table, &p->arena, &bytes);
    if (err == HM_OK) {
        err = hm_field_table_decode(bytes, &p->old_table);
    }
    return err == HM_NOTFOUND || hm_err_class(err) == HM_CLASS_REJECT ? HM_CORRUPT
                                                                      : err;
}

static int grow(struct publishing *p)
{
    struct hm_field_error fault = {0};
    int err = hm_field_table_grow(p->old_table, p->form, &p->table, &fault);

    if (err == HM_OK || err == HM_NOMEM) {
        return err;
    }
    return refuse(p, err, fault.field, fault.reason);
}

static int put_table(struct publishing *p)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_FIELD_TABLE_BYTES_MAX);
    hm_field_table_encode(p->table, &buf);
    err = buf.err;
    if (err == HM_OK) {
        err = hm_blobs_put(p->s, hm_buf_bytes(&buf), p->item.table);
    }
    hm_buf_deinit(&buf);
    return err;
}

/* The form's number is in every change, so the dictionary should know it. */
static int train(struct publishing *p, struct hm_buf *out)
{
    uint64_t number = p->item.number;
    int err = HM_OK;

    if (number == 0) {
        err = hm_items_next_id(p->s, HM_ITEM_FORM, &number);
    }
    return err == HM_OK
               ? hm_form_dictionary_train(p->table, (uint32_t)number, p->words, out)
               : err;
}

/* A form so small that nothing can be learnt from it does without. */
static int put_dictionary(struct publishing *p)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_DICTIONARY_BYTES_MAX);
    err = train(p, &buf);
    if (err == HM_INVALID) {
        hm_buf_deinit(&buf);
        return HM_OK;
    }
    if (err == HM_OK) {
        err = hm_blobs_put(p->s, hm_buf_bytes(&buf), p->item.dictionary);
    }
    if (err == HM_OK) {
        err = hm_blobs_add_dictionary(p->s, p->item.dictionary, &p->item.dictionary_id);
        p->item.has_dictionary = true;
    }
    hm_buf_deinit(&buf);
    return err;
}

static int put_item(struct publishing *p, uint32_t *out_number)
{
    int err = hm_blobs_put(p->s, p->xml, p->item.xform);

    if (err == HM_OK) {
        err = put_table(p);
    }
    if (err == HM_OK) {
        err = put_dictionary(p);
    }
    if (err != HM_OK) {
        return err;
    }
    p->item.form_id = p->form->id;
    p->item.version = p->form->version;
    p->item.title = p->form->title;
    p->item.fill = p->form->fill;
    p->item.write = p->form->write_roles;
    p->item.write_count = p->form->write_role_count;
    err = hm_forms_put(p->s, &p->item, out_number);
    if (err == HM_INVALID || err == HM_TOOBIG) {
        return refuse(p, err, "", hm_store_errmsg(p->s));
    }
    return err;
}

int hm_form_publish(struct hm_store *s, struct hm_bytes xml, struct hm_bytes words,
                    uint32_t *out_number, struct hm_form_publish_error *error)
{
    struct publishing p = {.s = s, .xml = xml, .words = words, .error = error};
    bool same = false;
    int err;

    *error = (struct hm_form_publish_error){0};
    hm_arena_init(&p.arena, ARENA_BYTES_MAX);
    err = parse(&p);
    if (err == HM_OK && p.form->version[0] == 0) {
        err = refuse(&p, HM_INVALID, "", "the form has no version");
    }
    if (err == HM_OK) {
        err = load_old(&p, &same);
    }
    if (err == HM_OK && same) {
        *out_number = p.item.number;
    } else if (err == HM_OK) {
        err = grow(&p);
        if (err == HM_OK) {
            err = put_item(&p, out_number);
        }
    }
    hm_field_table_destroy(p.old_table);
    hm_field_table_destroy(p.table);
    hm_xform_destroy(p.form);
    hm_arena_deinit(&p.arena);
    return err;
}
