#include "storage/forms.h"

#include "storage/body.h"

/* Keys of the body. Kept on disk. */
enum {
    KEY_FORM_ID = 1,
    KEY_VERSION = 2,
    KEY_TITLE = 3,
    KEY_FILL = 4,
    KEY_WRITE = 5,
    KEY_XFORM = 6,
    KEY_TABLE = 7,
    KEY_DICTIONARY = 8, /* absent for none */
    KEY_DICTIONARY_ID = 9,
    KEY_EARLIER = 10 /* arrays of version, xform */
};

enum { ARENA_BYTES_MAX = HM_FORMS_MAX * 2 * HM_ITEM_BODY_BYTES_MAX };

static void read_write(struct hm_reader *r, struct hm_arena *arena,
                       struct hm_form_item *form)
{
    size_t count = hm_unpack_array(r, HM_FORM_ROLES_MAX);
    const char **roles = hm_arena_array(arena, count, sizeof *roles);

    if (roles == NULL) {
        r->err = HM_NOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        roles[i] = hm_body_text(r, arena);
    }
    form->write = roles;
    form->write_count = count;
}

static void read_earlier(struct hm_reader *r, struct hm_arena *arena,
                         struct hm_form_item *form)
{
    size_t count = hm_unpack_array(r, HM_FORM_VERSIONS_MAX);
    struct hm_form_version *versions = hm_arena_array(arena, count, sizeof *versions);

    if (versions == NULL) {
        r->err = HM_NOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        hm_unpack_array_exact(r, 2);
        versions[i].version = hm_body_text(r, arena);
        hm_unpack_bin_exact(r, versions[i].xform, HM_CONTENT_HASH_BYTES);
    }
    form->earlier = versions;
    form->earlier_count = count;
}

static void read_key(struct hm_reader *r, uint64_t key, struct hm_arena *arena,
                     struct hm_form_item *form)
{
    switch (key) {
    case KEY_FORM_ID:
        form->form_id = hm_body_text(r, arena);
        break;
    case KEY_VERSION:
        form->version = hm_body_text(r, arena);
        break;
    case KEY_TITLE:
        form->title = hm_body_text(r, arena);
        break;
    case KEY_FILL:
        form->fill = (enum hm_form_fill)hm_unpack_uint_max(r, HM_FORM_FILL_MANY);
        break;
    case KEY_WRITE:
        read_write(r, arena, form);
        break;
    case KEY_XFORM:
        hm_unpack_bin_exact(r, form->xform, HM_CONTENT_HASH_BYTES);
        break;
    case KEY_TABLE:
        hm_unpack_bin_exact(r, form->table, HM_CONTENT_HASH_BYTES);
        break;
    case KEY_DICTIONARY:
        form->has_dictionary = true;
        hm_unpack_bin_exact(r, form->dictionary, HM_CONTENT_HASH_BYTES);
        break;
    case KEY_DICTIONARY_ID:
        form->dictionary_id = hm_unpack_uint(r);
        break;
    case KEY_EARLIER:
        read_earlier(r, arena, form);
        break;
    default:
        (void)hm_unpack_raw(r); /* of a newer node; its error sticks in r */
        break;
    }
}

static int read_form(const struct hm_admin_item *item, struct hm_arena *arena,
                     void *out)
{
    struct hm_reader r = {.left = item->body};
    struct hm_form_item form = {
        .number = (uint32_t)item->id, .form_id = "", .version = "", .title = ""};
    size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
    int err;

    for (; keys > 0 && r.err == HM_OK; keys--) {
        read_key(&r, hm_unpack_uint(&r), arena, &form);
    }
    err = hm_body_end(&r);
    if (err == HM_OK && (form.fill == 0 || item->id > UINT32_MAX)) {
        err = HM_VERSION;
    }
    if (err == HM_OK) {
        memcpy(out, &form, sizeof form);
    }
    return err;
}

static struct hm_bytes hash_bytes(const uint8_t hash[HM_CONTENT_HASH_BYTES])
{
    return hm_bytes_of(hash, HM_CONTENT_HASH_BYTES);
}

/* Versions that the form has had: those that before had, and before's own when form is
 * another one. The oldest go when there are too many. */
static void write_earlier(struct hm_buf *buf, const struct hm_form_item *form,
                          const struct hm_form_item *before)
{
    size_t count = before == NULL ? 0 : before->earlier_count;
    bool moved = before != NULL && strcmp(before->version, form->version) != 0;
    size_t first = count + moved > HM_FORM_VERSIONS_MAX ? 1 : 0;

    hm_pack_uint(buf, KEY_EARLIER);
    hm_pack_array(buf, count + moved - first);
    for (size_t i = first; i < count; i++) {
        hm_pack_array(buf, 2);
        hm_pack_str(buf, hm_bytes_str(before->earlier[i].version));
        hm_pack_bin(buf, hash_bytes(before->earlier[i].xform));
    }
    if (moved) {
        hm_pack_array(buf, 2);
        hm_pack_str(buf, hm_bytes_str(before->version));
        hm_pack_bin(buf, hash_bytes(before->xform));
    }
}

static void write_form(struct hm_buf *buf, const struct hm_form_item *form,
                       const struct hm_form_item *before)
{
    hm_pack_map(buf, form->has_dictionary ? 10 : 8);
    hm_body_put_text(buf, KEY_FORM_ID, form->form_id);
    hm_body_put_text(buf, KEY_VERSION, form->version);
    hm_body_put_text(buf, KEY_TITLE, form->title);
    hm_body_put_uint(buf, KEY_FILL, (uint64_t)form->fill);
    hm_pack_uint(buf, KEY_WRITE);
    hm_pack_array(buf, form->write_count);
    for (size_t i = 0; i < form->write_count; i++) {
        hm_pack_str(buf, hm_bytes_str(form->write[i]));
    }
    hm_body_put_bin(buf, KEY_XFORM, hash_bytes(form->xform));
    hm_body_put_bin(buf, KEY_TABLE, hash_bytes(form->table));
    if (form->has_dictionary) {
        hm_body_put_bin(buf, KEY_DICTIONARY, hash_bytes(form->dictionary));
        hm_body_put_uint(buf, KEY_DICTIONARY_ID, form->dictionary_id);
    }
    write_earlier(buf, form, before);
}

static int check_form(struct hm_store *s, const struct hm_form_item *form)
{
    if (form->form_id[0] == 0 || form->version[0] == 0) {
        return hm_store_fail(s, HM_INVALID, "a form needs an id and a version");
    }
    if (form->fill < HM_FORM_FILL_ONCE || form->fill > HM_FORM_FILL_MANY) {
        return hm_store_fail(s, HM_INVALID, "a form must say how often it is filled");
    }
    if (strlen(form->form_id) > HM_FORM_TEXT_BYTES_MAX ||
        strlen(form->version) > HM_FORM_TEXT_BYTES_MAX ||
        strlen(form->title) > HM_FORM_TEXT_BYTES_MAX ||
        form->write_count > HM_FORM_ROLES_MAX) {
        return hm_store_fail(s, HM_TOOBIG,
                             "a form's id, version, title or list of "
                             "roles is too long");
    }
    return HM_OK;
}

int hm_forms_put(struct hm_store *s, const struct hm_form_item *form,
                 uint32_t *out_number)
{
    struct hm_form_item before;
    struct hm_arena arena;
    struct hm_buf buf;
    uint64_t number = form->number;
    bool there;
    int err = check_form(s, form);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, ARENA_BYTES_MAX);
    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX);
    err = number != 0 ? hm_forms_get(s, form->number, &arena, &before)
                      : hm_forms_find(s, form->form_id, &arena, &before);
    there = err == HM_OK;
    if (there) {
        number = before.number;
    } else if (err == HM_NOTFOUND) {
        err = number == 0 ? hm_items_next_id(s, HM_ITEM_FORM, &number) : HM_OK;
    }
    if (err == HM_OK && number > UINT32_MAX) {
        err = HM_TOOBIG;
    }
    if (err == HM_OK) {
        write_form(&buf, form, there ? &before : NULL);
        err = hm_body_keep(s, HM_ITEM_FORM, number, &buf);
    }
    hm_buf_deinit(&buf);
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        *out_number = (uint32_t)number;
    }
    return err;
}

int hm_forms_get(struct hm_store *s, uint32_t number, struct hm_arena *arena,
                 struct hm_form_item *out)
{
    return hm_body_get(s, HM_ITEM_FORM, number, read_form, arena, out);
}

int hm_forms_list(struct hm_store *s, struct hm_arena *arena,
                  struct hm_form_item **out_forms, size_t *out_count)
{
    return hm_body_list(s, HM_ITEM_FORM, sizeof **out_forms, HM_FORMS_MAX, read_form,
                        arena, out_forms, out_count);
}

int hm_forms_find(struct hm_store *s, const char *form_id, struct hm_arena *arena,
                  struct hm_form_item *out)
{
    struct hm_form_item *forms;
    size_t count;
    int err = hm_forms_list(s, arena, &forms, &count);

    for (size_t i = 0; err == HM_OK && i < count; i++) {
        if (strcmp(forms[i].form_id, form_id) == 0) {
            *out = forms[i];
            return HM_OK;
        }
    }
    return err == HM_OK ? HM_NOTFOUND : err;
}
