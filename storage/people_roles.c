/* Roles and what they allow. */
#include "storage/body.h"
#include "storage/people.h"

/* Keys of the body. Kept on disk. */
enum { KEY_CODE = 1, KEY_RANK = 2, KEY_VI = 3, KEY_EN = 4, KEY_RIGHTS = 5 };

static const struct {
    enum hm_right right;
    const char *text;
} RIGHTS[] = {
#define RIGHT_ROW(name, bit, text) {HM_RIGHT_##name, (text)},
    HM_RIGHT_TABLE(RIGHT_ROW)
#undef RIGHT_ROW
};

int hm_right_from_text(struct hm_bytes text, enum hm_right *out_right)
{
    for (size_t i = 0; i < sizeof RIGHTS / sizeof RIGHTS[0]; i++) {
        if (hm_bytes_equal(text, hm_bytes_str(RIGHTS[i].text))) {
            *out_right = RIGHTS[i].right;
            return HM_OK;
        }
    }
    return HM_INVALID;
}

const char *hm_right_text(enum hm_right right)
{
    for (size_t i = 0; i < sizeof RIGHTS / sizeof RIGHTS[0]; i++) {
        if (RIGHTS[i].right == right) {
            return RIGHTS[i].text;
        }
    }
    return "?";
}

static int read_role(const struct hm_admin_item *item, struct hm_arena *arena,
                     void *out)
{
    struct hm_reader r = {.left = item->body};
    struct hm_role role = {
        .id = (uint32_t)item->id, .code = "", .title_vi = "", .title_en = ""};
    size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
    int err;

    for (; keys > 0 && r.err == HM_OK; keys--) {
        switch (hm_unpack_uint(&r)) {
        case KEY_CODE:
            role.code = hm_body_text(&r, arena);
            break;
        case KEY_RANK:
            role.rank = (uint8_t)hm_unpack_uint_max(&r, HM_ROLE_RANK_MAX);
            break;
        case KEY_VI:
            role.title_vi = hm_body_text(&r, arena);
            break;
        case KEY_EN:
            role.title_en = hm_body_text(&r, arena);
            break;
        case KEY_RIGHTS:
            role.rights = hm_unpack_uint(&r);
            break;
        default:
            (void)hm_unpack_raw(&r); /* of a newer node; its error sticks in r */
            break;
        }
    }
    err = hm_body_end(&r);
    if (err == HM_OK) {
        memcpy(out, &role, sizeof role);
    }
    return err;
}

static bool code_ok(const char *code)
{
    size_t len = strlen(code);

    return len > 0 && len <= HM_ROLE_CODE_BYTES_MAX &&
           strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

/* An id for a role: its own, that of its code, or a new one. */
static int role_id(struct hm_store *s, const struct hm_role *role, uint64_t *out_id)
{
    struct hm_arena arena;
    struct hm_role found;
    int err = HM_OK;

    if (role->id != 0) {
        *out_id = role->id;
        return HM_OK;
    }
    hm_arena_init(&arena, HM_ROLES_MAX * 4096);
    err = hm_people_find_role(s, role->code, &arena, &found);
    if (err == HM_OK) {
        *out_id = found.id;
    } else if (err == HM_NOTFOUND) {
        err = hm_items_next_id(s, HM_ITEM_ROLE, out_id);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_people_put_role(struct hm_store *s, const struct hm_role *role, uint32_t *out_id)
{
    struct hm_buf buf;
    uint64_t id = 0;
    int err;

    if (!code_ok(role->code) || role->rank > HM_ROLE_RANK_MAX) {
        return hm_store_fail(s, HM_INVALID,
                             "a role needs a code of a-z, 0-9, - and _, and a rank of "
                             "0 to 15");
    }
    if (strlen(role->title_vi) > HM_USER_TEXT_BYTES_MAX ||
        strlen(role->title_en) > HM_USER_TEXT_BYTES_MAX) {
        return hm_store_fail(s, HM_TOOBIG, "a role's title is too long");
    }
    err = role_id(s, role, &id);
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX);
    hm_pack_map(&buf, 5);
    hm_body_put_text(&buf, KEY_CODE, role->code);
    hm_body_put_uint(&buf, KEY_RANK, role->rank);
    hm_body_put_text(&buf, KEY_VI, role->title_vi);
    hm_body_put_text(&buf, KEY_EN, role->title_en);
    hm_body_put_uint(&buf, KEY_RIGHTS, role->rights);
    err = hm_body_keep(s, HM_ITEM_ROLE, id, &buf);
    hm_buf_deinit(&buf);
    if (err == HM_OK) {
        *out_id = (uint32_t)id;
    }
    return err;
}

int hm_people_get_role(struct hm_store *s, uint32_t id, struct hm_arena *arena,
                       struct hm_role *out)
{
    return hm_body_get(s, HM_ITEM_ROLE, id, read_role, arena, out);
}

int hm_people_list_roles(struct hm_store *s, struct hm_arena *arena,
                         struct hm_role **out_roles, size_t *out_count)
{
    return hm_body_list(s, HM_ITEM_ROLE, sizeof **out_roles, HM_ROLES_MAX, read_role,
                        arena, out_roles, out_count);
}

int hm_people_find_role(struct hm_store *s, const char *code, struct hm_arena *arena,
                        struct hm_role *out)
{
    struct hm_role *roles;
    size_t count;
    int err = hm_people_list_roles(s, arena, &roles, &count);

    for (size_t i = 0; err == HM_OK && i < count; i++) {
        if (strcmp(roles[i].code, code) == 0) {
            *out = roles[i];
            return HM_OK;
        }
    }
    return err == HM_OK ? HM_NOTFOUND : err;
}
