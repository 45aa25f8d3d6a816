#include "storage/people.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "protocol/guard.h"
#include "storage/body.h"
#include "storage/people_reset.h"
#include "storage/units.h"

/* Keys of the bodies. Kept on disk. */
enum {
    USER_NAME = 1,
    USER_FULL = 2,
    USER_ROLE = 3,
    USER_UNIT = 4,
    USER_ACTIVE = 5,
    USER_DISABLED = 6
};
enum { PASSPHRASE_HASH = 1 };

enum { SMALL_ARENA = 4 * HM_ITEM_BODY_BYTES_MAX };

static int read_user(const struct hm_admin_item *item, struct hm_arena *arena,
                     void *out)
{
    struct hm_reader r = {.left = item->body};
    struct hm_user user = {.id = (uint32_t)item->id, .name = "", .full_name = ""};
    size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
    int err;

    for (; keys > 0 && r.err == HM_OK; keys--) {
        switch (hm_unpack_uint(&r)) {
        case USER_NAME:
            user.name = hm_body_text(&r, arena);
            break;
        case USER_FULL:
            user.full_name = hm_body_text(&r, arena);
            break;
        case USER_ROLE:
            user.role = hm_body_u32(&r);
            break;
        case USER_UNIT:
            user.unit = hm_body_u32(&r);
            break;
        case USER_ACTIVE:
            user.active = hm_unpack_bool(&r);
            break;
        case USER_DISABLED:
            user.disabled_utc_ms = hm_unpack_int(&r);
            break;
        default:
            (void)hm_unpack_raw(&r); /* of a newer node; its error sticks in r */
            break;
        }
    }
    err = hm_body_end(&r);
    if (err == HM_OK) {
        memcpy(out, &user, sizeof user);
    }
    return err;
}

static bool is_blank_or_control(utf8proc_int32_t letter)
{
    utf8proc_category_t category = utf8proc_category(letter);

    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP || category == UTF8PROC_CATEGORY_CC ||
           category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO ||
           category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CS;
}

static bool name_ok(const char *name)
{
    struct hm_bytes text = hm_bytes_str(name);
    size_t at = 0;

    if (text.len == 0 || text.len > HM_USER_NAME_BYTES_MAX ||
        hm_guard_text(text) != HM_OK) {
        return false;
    }
    while (at < text.len) {
        utf8proc_int32_t letter = 0;
        utf8proc_ssize_t used = utf8proc_iterate(
            text.data + at, (utf8proc_ssize_t)(text.len - at), &letter);

        if (used <= 0 || is_blank_or_control(letter)) {
            return false;
        }
        at += (size_t)used;
    }
    return true;
}

static int check_user(struct hm_store *s, const struct hm_user *user)
{
    struct hm_arena arena;
    struct hm_role role;
    struct hm_unit unit;
    int err;

    if (!name_ok(user->name)) {
        return hm_store_fail(s, HM_INVALID,
                             "a user's name has 1 to 64 bytes, no blanks");
    }
    if (strlen(user->full_name) > HM_USER_TEXT_BYTES_MAX) {
        return hm_store_fail(s, HM_TOOBIG, "a user's full name is too long");
    }
    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_people_get_role(s, user->role, &arena, &role);
    if (err == HM_NOTFOUND) {
        err = hm_store_fail(s, HM_INVALID, "there is no such role");
    }
    if (err == HM_OK) {
        err = hm_units_get(s, user->unit, &arena, &unit);
        if (err == HM_NOTFOUND) {
            err = hm_store_fail(s, HM_INVALID, "there is no such unit");
        }
    }
    hm_arena_deinit(&arena);
    return err;
}

static int keep_user(struct hm_store *s, uint64_t id, const struct hm_user *user)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX);
    hm_pack_map(&buf, user->active ? 5 : 6);
    hm_body_put_text(&buf, USER_NAME, user->name);
    hm_body_put_text(&buf, USER_FULL, user->full_name);
    hm_body_put_uint(&buf, USER_ROLE, user->role);
    hm_body_put_uint(&buf, USER_UNIT, user->unit);
    hm_body_put_bool(&buf, USER_ACTIVE, user->active);
    if (!user->active) {
        hm_body_put_int(&buf, USER_DISABLED, user->disabled_utc_ms);
    }
    err = hm_body_keep(s, HM_ITEM_USER, id, &buf);
    hm_buf_deinit(&buf);
    return err;
}

struct search {
    const char *name;
    struct hm_arena *arena;
    struct hm_user *out;
    bool found;
};

static int compare_name(void *arg, const struct hm_admin_item *item)
{
    struct search *search = arg;
    struct hm_arena arena;
    struct hm_user user;
    int err;

    hm_arena_init(&arena, SMALL_ARENA);
    err = read_user(item, &arena, &user);
    if (err == HM_OK && strcmp(user.name, search->name) == 0) {
        search->found = true;
        err = read_user(item, search->arena, search->out);
    }
    hm_arena_deinit(&arena);
    return err;
}

/* The name as it is kept, whatever keyboard or file system it came from; *out is
 * freed by the caller. */
static int compose(const char *name, utf8proc_uint8_t **out)
{
    utf8proc_ssize_t len =
        utf8proc_map((const utf8proc_uint8_t *)name, 0, out,
                     UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE);

    return len == UTF8PROC_ERROR_NOMEM ? HM_NOMEM : len < 0 ? HM_INVALID : HM_OK;
}

int hm_people_find_user(struct hm_store *s, const char *name, struct hm_arena *arena,
                        struct hm_user *out)
{
    struct hm_user user;
    struct search search = {.arena = arena, .out = &user};
    utf8proc_uint8_t *composed = NULL;
    int err = compose(name, &composed);

    if (err == HM_OK) {
        search.name = (const char *)composed;
        err = hm_items_each(s, HM_ITEM_USER, compare_name, &search);
    } else if (err == HM_INVALID) {
        err = HM_NOTFOUND; /* not UTF-8: nobody is called so */
    }
    free(composed);
    if (err == HM_OK && !search.found) {
        err = HM_NOTFOUND;
    }
    if (err == HM_OK) {
        *out = user;
    }
    return err;
}

static int add_user(struct hm_store *s, const struct hm_user *user, uint32_t *out_id)
{
    struct hm_arena arena;
    struct hm_user same;
    uint64_t id = 0;
    int err = check_user(s, user);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_people_find_user(s, user->name, &arena, &same);
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        return hm_store_fail(s, HM_EXISTS, "there is a user %s already", user->name);
    }
    if (err == HM_NOTFOUND) {
        err = hm_items_next_id(s, HM_ITEM_USER, &id);
    }
    if (err == HM_OK) {
        err = keep_user(s, id, user);
    }
    if (err == HM_OK) {
        *out_id = (uint32_t)id;
    }
    return err;
}

int hm_people_add_user(struct hm_store *s, const struct hm_user *user, uint32_t *out_id)
{
    struct hm_user named = *user;
    utf8proc_uint8_t *composed = NULL;
    int err = compose(user->name, &composed);

    if (err == HM_INVALID) {
        err = hm_store_fail(s, err, "a user's name is not UTF-8");
    }
    if (err == HM_OK) {
        named.name = (const char *)composed;
        err = add_user(s, &named, out_id);
    }
    free(composed);
    return err;
}

int hm_people_change_user(struct hm_store *s, const struct hm_user *user)
{
    struct hm_user changed = *user;
    struct hm_arena arena;
    struct hm_user before;
    int err;

    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_people_get_user(s, user->id, &arena, &before);
    if (err == HM_OK) {
        changed.name = before.name;
        changed.disabled_utc_ms = user->active    ? 0
                                  : before.active ? hm_store_utc_ms(s)
                                                  : before.disabled_utc_ms;
        err = check_user(s, &changed);
    }
    if (err == HM_OK) {
        err = keep_user(s, user->id, &changed);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_people_get_user(struct hm_store *s, uint32_t id, struct hm_arena *arena,
                       struct hm_user *out)
{
    return hm_body_get(s, HM_ITEM_USER, id, read_user, arena, out);
}

int hm_people_list_users(struct hm_store *s, struct hm_arena *arena,
                         struct hm_user **out_users, size_t *out_count)
{
    return hm_body_list(s, HM_ITEM_USER, sizeof **out_users, HM_USERS_MAX, read_user,
                        arena, out_users, out_count);
}

int hm_people_disable_user(struct hm_store *s, uint32_t id)
{
    struct hm_arena arena;
    struct hm_user user;
    int err;

    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_people_get_user(s, id, &arena, &user);
    if (err == HM_OK && user.active) {
        user.active = false;
        user.disabled_utc_ms = hm_store_utc_ms(s);
        err = keep_user(s, id, &user);
    }
    hm_arena_deinit(&arena);
    return err;
}

struct others {
    struct hm_store *s;
    uint32_t id;
    enum hm_right right;
    bool found;
};

static int look_for_other(void *arg, const struct hm_admin_item *item)
{
    struct others *others = arg;
    struct hm_arena arena;
    struct hm_user user;
    struct hm_role role;
    int err = HM_OK;

    if (others->found || item->id == others->id) {
        return HM_OK;
    }
    hm_arena_init(&arena, SMALL_ARENA);
    err = read_user(item, &arena, &user);
    if (err == HM_OK && user.active) {
        err = hm_people_get_role(others->s, user.role, &arena, &role);
        others->found = err == HM_OK && hm_people_has_right(&role, others->right);
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_people_has_other(struct hm_store *s, uint32_t id, enum hm_right right,
                        bool *out_other)
{
    struct others others = {.s = s, .id = id, .right = right};
    int err = hm_items_each(s, HM_ITEM_USER, look_for_other, &others);

    if (err == HM_OK) {
        *out_other = others.found;
    }
    return err;
}

/* Kept apart from the user for fewer eyes: this file knows the item's key. */
int hm_people_set_passphrase(struct hm_store *s, uint32_t user, const char *hash)
{
    struct hm_arena arena;
    struct hm_user found;
    struct hm_buf buf;
    int err;

    if (strncmp(hash, "$argon2id$", 10) != 0 ||
        strlen(hash) >= HM_PASSPHRASE_HASH_BYTES) {
        return hm_store_fail(s, HM_INVALID, "this is not a passphrase's hash");
    }
    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_people_get_user(s, user, &arena, &found);
    hm_arena_deinit(&arena);
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX);
    hm_pack_map(&buf, 1);
    hm_body_put_text(&buf, PASSPHRASE_HASH, hash);
    err = hm_body_keep(s, HM_ITEM_PASSPHRASE, user, &buf);
    hm_buf_deinit(&buf);
    return err;
}

int hm_people_get_passphrase(struct hm_store *s, uint32_t user,
                             char out_hash[HM_PASSPHRASE_HASH_BYTES])
{
    struct hm_admin_item item = {0};
    struct hm_bytes hash = {0};
    struct hm_reader r = {0};
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, SMALL_ARENA);
    err = hm_items_get(s, HM_ITEM_PASSPHRASE, user, &arena, &item);
    if (err == HM_OK || err == HM_NOTFOUND) {
        int own = hm_people_own_passphrase(s, user, item.version, out_hash);

        if (own != HM_NOTFOUND) {
            hm_arena_deinit(&arena);
            return own;
        }
    }
    if (err == HM_OK) {
        r.left = item.body;
        for (size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
             keys > 0 && r.err == HM_OK; keys--) {
            if (hm_unpack_uint(&r) == PASSPHRASE_HASH) {
                hash = hm_unpack_str(&r);
            } else {
                (void)hm_unpack_raw(&r); /* of a newer node; its error sticks in r */
            }
        }
        err = hm_body_end(&r);
    }
    if (err == HM_OK && (hash.len == 0 || hash.len >= HM_PASSPHRASE_HASH_BYTES)) {
        err = HM_VERSION;
    }
    if (err == HM_OK) {
        memcpy(out_hash, hash.data, hash.len);
        out_hash[hash.len] = 0;
    }
    hm_arena_deinit(&arena);
    return err;
}
