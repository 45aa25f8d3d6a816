#include "storage/rounds.h"

#include "storage/body.h"
#include "storage/units.h"

/* Keys of the body. Kept on disk. */
enum { KEY_CODE = 1, KEY_KIND = 2, KEY_FROM = 3, KEY_TO = 4, KEY_OPEN = 5 };

enum { ARENA_BYTES_MAX = HM_ROUNDS_MAX * 1024 };

static int read_round(const struct hm_admin_item *item, struct hm_arena *arena,
                      void *out)
{
    struct hm_reader r = {.left = item->body};
    struct hm_round round = {
        .id = (uint32_t)item->id, .code = "", .kind = "", .from = "", .to = ""};
    size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
    int err;

    for (; keys > 0 && r.err == HM_OK; keys--) {
        switch (hm_unpack_uint(&r)) {
        case KEY_CODE:
            round.code = hm_body_text(&r, arena);
            break;
        case KEY_KIND:
            round.kind = hm_body_text(&r, arena);
            break;
        case KEY_FROM:
            round.from = hm_body_text(&r, arena);
            break;
        case KEY_TO:
            round.to = hm_body_text(&r, arena);
            break;
        case KEY_OPEN:
            round.open = hm_unpack_bool(&r);
            break;
        default:
            (void)hm_unpack_raw(&r); /* of a newer node; its error sticks in r */
            break;
        }
    }
    err = hm_body_end(&r);
    if (err == HM_OK) {
        memcpy(out, &round, sizeof round);
    }
    return err;
}

static int keep_round(struct hm_store *s, uint64_t id, const struct hm_round *round)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX);
    hm_pack_map(&buf, 5);
    hm_body_put_text(&buf, KEY_CODE, round->code);
    hm_body_put_text(&buf, KEY_KIND, round->kind);
    hm_body_put_text(&buf, KEY_FROM, round->from);
    hm_body_put_text(&buf, KEY_TO, round->to);
    hm_body_put_bool(&buf, KEY_OPEN, round->open);
    err = hm_body_keep(s, HM_ITEM_ROUND, id, &buf);
    hm_buf_deinit(&buf);
    return err;
}

static bool day_ok(const char *day)
{
    return day[0] == 0 || hm_units_is_day(day);
}

static int check_round(struct hm_store *s, const struct hm_round *round)
{
    if (round->code[0] == 0 || strpbrk(round->code, " \t\n@:") != NULL) {
        return hm_store_fail(s, HM_INVALID, "a round's code has no blanks, '@' or ':'");
    }
    if (strlen(round->code) > HM_ROUND_TEXT_BYTES_MAX ||
        strlen(round->kind) > HM_ROUND_TEXT_BYTES_MAX) {
        return hm_store_fail(s, HM_TOOBIG, "a round's code or kind is too long");
    }
    if (!day_ok(round->from) || !day_ok(round->to)) {
        return hm_store_fail(s, HM_INVALID, "a day is not written YYYY-MM-DD");
    }
    if (round->from[0] != 0 && round->to[0] != 0 &&
        strcmp(round->from, round->to) > 0) {
        return hm_store_fail(s, HM_INVALID, "the last day lies before the first");
    }
    return HM_OK;
}

int hm_rounds_open(struct hm_store *s, const struct hm_round *round, uint32_t *out_id)
{
    struct hm_round opened = *round;
    struct hm_round before = {0};
    struct hm_arena arena;
    uint64_t id = 0;
    int err = check_round(s, round);

    if (err != HM_OK) {
        return err;
    }
    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = hm_rounds_find(s, round->code, &arena, &before);
    hm_arena_deinit(&arena);
    if (err == HM_OK && before.open) {
        err = hm_store_fail(s, HM_EXISTS, "round %s is open already", round->code);
    } else if (err == HM_OK) {
        id = before.id;
    } else if (err == HM_NOTFOUND) {
        err = hm_items_next_id(s, HM_ITEM_ROUND, &id);
    }
    opened.open = true;
    if (err == HM_OK) {
        err = keep_round(s, id, &opened);
    }
    if (err == HM_OK) {
        *out_id = (uint32_t)id;
    }
    return err;
}

int hm_rounds_close(struct hm_store *s, const char *code)
{
    struct hm_arena arena;
    struct hm_round round;
    int err;

    hm_arena_init(&arena, ARENA_BYTES_MAX);
    err = hm_rounds_find(s, code, &arena, &round);
    if (err == HM_OK) {
        round.open = false;
        err = keep_round(s, round.id, &round);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_rounds_find(struct hm_store *s, const char *code, struct hm_arena *arena,
                   struct hm_round *out)
{
    struct hm_round *rounds;
    size_t count;
    int err = hm_rounds_list(s, arena, &rounds, &count);

    for (size_t i = 0; err == HM_OK && i < count; i++) {
        if (strcmp(rounds[i].code, code) == 0) {
            *out = rounds[i];
            return HM_OK;
        }
    }
    return err == HM_OK ? HM_NOTFOUND : err;
}

int hm_rounds_get(struct hm_store *s, uint32_t id, struct hm_arena *arena,
                  struct hm_round *out)
{
    return hm_body_get(s, HM_ITEM_ROUND, id, read_round, arena, out);
}

int hm_rounds_list(struct hm_store *s, struct hm_arena *arena,
                   struct hm_round **out_rounds, size_t *out_count)
{
    return hm_body_list(s, HM_ITEM_ROUND, sizeof **out_rounds, HM_ROUNDS_MAX,
                        read_round, arena, out_rounds, out_count);
}
