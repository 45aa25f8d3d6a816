#include "storage/units.h"

#include "storage/body.h"
#include "storage/units_parts.h"

/* Keys of a unit's body, and of a period's map in it. Kept on disk. */
enum {
    KEY_CODE = 1,
    KEY_NAME = 2,
    KEY_KIND = 3,
    KEY_PARENT = 4,
    KEY_FROM = 5,
    KEY_TO = 6,
    KEY_FORMER = 7,
    KEY_NOTE = 8,
    KEY_EARLIER = 9
};

static const char *const KIND_NAMES[] = {"province", "district", "commune", "hamlet"};

const char *hm_unit_kind_name(enum hm_unit_kind kind)
{
    HM_ASSERT(kind >= HM_UNIT_PROVINCE && kind <= HM_UNIT_HAMLET);
    return KIND_NAMES[kind - HM_UNIT_PROVINCE];
}

int hm_unit_kind_from_name(const char *name, enum hm_unit_kind *out_kind)
{
    for (int i = 0; i < HM_UNIT_HAMLET; i++) {
        if (strcmp(name, KIND_NAMES[i]) == 0) {
            *out_kind = (enum hm_unit_kind)(HM_UNIT_PROVINCE + i);
            return HM_OK;
        }
    }
    return HM_INVALID;
}

static int number_at(const char *text, size_t digits)
{
    int number = 0;

    for (size_t i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

bool hm_units_is_day(const char *text)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year;
    int month;
    int day;
    bool leap;

    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-') {
        return false;
    }
    year = number_at(text, 4);
    month = number_at(text + 5, 2);
    day = number_at(text + 8, 2);
    if (year < 1 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static void write_period(struct hm_buf *buf, const struct hm_unit_period *period)
{
    hm_pack_map(buf, 5);
    hm_body_put_text(buf, KEY_CODE, period->code);
    hm_body_put_text(buf, KEY_NAME, period->name);
    hm_body_put_uint(buf, KEY_PARENT, period->parent);
    hm_body_put_text(buf, KEY_FROM, period->valid_from);
    hm_body_put_text(buf, KEY_TO, period->valid_to);
}

static void write_unit(struct hm_buf *buf, const struct hm_unit *unit)
{
    hm_pack_map(buf, 9);
    hm_body_put_text(buf, KEY_CODE, unit->code);
    hm_body_put_text(buf, KEY_NAME, unit->name);
    hm_body_put_uint(buf, KEY_KIND, (uint64_t)unit->kind);
    hm_body_put_uint(buf, KEY_PARENT, unit->parent);
    hm_body_put_text(buf, KEY_FROM, unit->valid_from);
    hm_body_put_text(buf, KEY_TO, unit->valid_to);
    hm_body_put_text(buf, KEY_FORMER, unit->former);
    hm_body_put_text(buf, KEY_NOTE, unit->note);
    hm_pack_uint(buf, KEY_EARLIER);
    hm_pack_array(buf, unit->earlier_count);
    for (size_t i = 0; i < unit->earlier_count; i++) {
        write_period(buf, &unit->earlier[i]);
    }
}

static void read_period(struct hm_reader *r, struct hm_arena *arena,
                        struct hm_unit_period *out)
{
    size_t keys = hm_unpack_map(r, HM_BODY_KEYS_MAX);

    *out = (struct hm_unit_period){
        .code = "", .name = "", .valid_from = "", .valid_to = ""};
    for (; keys > 0 && r->err == HM_OK; keys--) {
        switch (hm_unpack_uint(r)) {
        case KEY_CODE:
            out->code = hm_body_text(r, arena);
            break;
        case KEY_NAME:
            out->name = hm_body_text(r, arena);
            break;
        case KEY_PARENT:
            out->parent = hm_body_u32(r);
            break;
        case KEY_FROM:
            out->valid_from = hm_body_text(r, arena);
            break;
        case KEY_TO:
            out->valid_to = hm_body_text(r, arena);
            break;
        default:
            (void)hm_unpack_raw(r); /* of a newer node; its error sticks in r */
            break;
        }
    }
}

static void read_earlier(struct hm_reader *r, struct hm_arena *arena,
                         struct hm_unit *unit)
{
    size_t count = hm_unpack_array(r, HM_UNITS_PERIODS_MAX);

    if (r->err != HM_OK) {
        return;
    }
    unit->earlier = hm_arena_array(arena, count, sizeof *unit->earlier);
    if (unit->earlier == NULL) {
        r->err = HM_NOMEM;
        return;
    }
    for (; unit->earlier_count < count && r->err == HM_OK; unit->earlier_count++) {
        read_period(r, arena, &unit->earlier[unit->earlier_count]);
    }
}

static void read_key(struct hm_reader *r, uint64_t key, struct hm_arena *arena,
                     struct hm_unit *unit)
{
    switch (key) {
    case KEY_CODE:
        unit->code = hm_body_text(r, arena);
        break;
    case KEY_NAME:
        unit->name = hm_body_text(r, arena);
        break;
    case KEY_KIND:
        unit->kind = (enum hm_unit_kind)hm_unpack_uint_max(r, HM_UNIT_HAMLET);
        break;
    case KEY_PARENT:
        unit->parent = hm_body_u32(r);
        break;
    case KEY_FROM:
        unit->valid_from = hm_body_text(r, arena);
        break;
    case KEY_TO:
        unit->valid_to = hm_body_text(r, arena);
        break;
    case KEY_FORMER:
        unit->former = hm_body_text(r, arena);
        break;
    case KEY_NOTE:
        unit->note = hm_body_text(r, arena);
        break;
    case KEY_EARLIER:
        read_earlier(r, arena, unit);
        break;
    default:
        (void)hm_unpack_raw(r); /* of a newer node; its error sticks in r */
        break;
    }
}

static int read_unit(const struct hm_admin_item *item, struct hm_arena *arena,
                     void *out)
{
    struct hm_reader r = {.left = item->body};
    struct hm_unit unit = {.id = (uint32_t)item->id,
                           .code = "",
                           .name = "",
                           .valid_from = "",
                           .valid_to = "",
                           .former = "",
                           .note = ""};
    size_t keys = hm_unpack_map(&r, HM_BODY_KEYS_MAX);
    int err;

    for (; keys > 0 && r.err == HM_OK; keys--) {
        read_key(&r, hm_unpack_uint(&r), arena, &unit);
    }
    err = hm_body_end(&r);
    if (err == HM_OK && (unit.kind == 0 || item->id > UINT32_MAX)) {
        err = HM_VERSION;
    }
    if (err == HM_OK) {
        memcpy(out, &unit, sizeof unit);
    }
    return err;
}

int hm_units_get(struct hm_store *s, uint32_t id, struct hm_arena *arena,
                 struct hm_unit *out)
{
    return hm_body_get(s, HM_ITEM_UNIT, id, read_unit, arena, out);
}

int hm_units_read_all(struct hm_store *s, struct hm_arena *arena,
                      struct hm_unit **out_units, size_t *out_count)
{
    return hm_body_list(s, HM_ITEM_UNIT, sizeof **out_units, HM_UNITS_MAX, read_unit,
                        arena, out_units, out_count);
}

/* A code must be told from `u17` and from CODE@DATE. */
static bool code_ok(const char *code)
{
    size_t len = strlen(code);

    if (len == 0 || len > HM_UNIT_CODE_BYTES_MAX || strpbrk(code, "@ \t\n,;") != NULL) {
        return false;
    }
    return code[0] != 'u' || code[1] == 0 ||
           strspn(code + 1, "0123456789") != strlen(code + 1);
}

static int check_period(struct hm_store *s, const struct hm_unit_period *period)
{
    if (!code_ok(period->code)) {
        return hm_store_fail(s, HM_INVALID,
                             "a unit's code is missing, too long, has blanks or '@', "
                             "or looks like the id u17");
    }
    if (period->name[0] == 0 || strlen(period->name) > HM_UNIT_TEXT_BYTES_MAX) {
        return hm_store_fail(s, HM_INVALID, "a unit's name is missing or too long");
    }
    if ((period->valid_from[0] != 0 && !hm_units_is_day(period->valid_from)) ||
        (period->valid_to[0] != 0 && !hm_units_is_day(period->valid_to))) {
        return hm_store_fail(s, HM_INVALID, "a day is not written YYYY-MM-DD");
    }
    if (period->valid_from[0] != 0 && period->valid_to[0] != 0 &&
        strcmp(period->valid_from, period->valid_to) > 0) {
        return hm_store_fail(s, HM_INVALID, "the last day lies before the first");
    }
    return HM_OK;
}

static int check_parent(struct hm_store *s, const struct hm_unit *unit)
{
    struct hm_arena arena;
    struct hm_unit found;
    int err;

    if (unit->parent == 0) {
        return unit->kind == HM_UNIT_PROVINCE
                   ? HM_OK
                   : hm_store_fail(s, HM_INVALID, "only a province has no parent");
    }
    hm_arena_init(&arena, 4 * HM_ITEM_BODY_BYTES_MAX);
    err = hm_units_get(s, unit->parent, &arena, &found);
    if (err == HM_NOTFOUND) {
        err = hm_store_fail(s, HM_INVALID, "there is no such parent");
    } else if (err == HM_OK && found.kind >= unit->kind) {
        err =
            hm_store_fail(s, HM_INVALID, "a %s cannot lie in a %s",
                          hm_unit_kind_name(unit->kind), hm_unit_kind_name(found.kind));
    }
    if (err == HM_OK && unit->id != 0) {
        err = hm_units_get(s, unit->id, &arena, &found);
        if (err == HM_OK && found.kind != unit->kind) {
            err = hm_store_fail(s, HM_INVALID, "a unit stays of one kind");
        }
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    hm_arena_deinit(&arena);
    return err;
}

static int check_unit(struct hm_store *s, const struct hm_unit *unit)
{
    struct hm_unit_period now = {unit->code, unit->name, unit->parent, unit->valid_from,
                                 unit->valid_to};
    int err = check_period(s, &now);

    for (size_t i = 0; err == HM_OK && i < unit->earlier_count; i++) {
        err = check_period(s, &unit->earlier[i]);
    }
    if (err == HM_OK &&
        (unit->kind < HM_UNIT_PROVINCE || unit->kind > HM_UNIT_HAMLET)) {
        err = hm_store_fail(s, HM_INVALID, "a unit's kind is missing");
    }
    if (err == HM_OK && (unit->earlier_count > HM_UNITS_PERIODS_MAX ||
                         strlen(unit->former) > HM_UNIT_TEXT_BYTES_MAX ||
                         strlen(unit->note) > HM_UNIT_TEXT_BYTES_MAX)) {
        err = hm_store_fail(s, HM_TOOBIG, "a unit's note or its past is too long");
    }
    return err == HM_OK ? check_parent(s, unit) : err;
}

int hm_units_put(struct hm_store *s, const struct hm_unit *unit, uint32_t *out_id)
{
    uint64_t id = unit->id;
    struct hm_buf buf;
    int err = check_unit(s, unit);

    if (err == HM_OK && id == 0) {
        err = hm_items_next_id(s, HM_ITEM_UNIT, &id);
    }
    if (err == HM_OK && id > UINT32_MAX) {
        err = HM_TOOBIG;
    }
    if (err != HM_OK) {
        return err;
    }
    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX);
    write_unit(&buf, unit);
    err = hm_body_keep(s, HM_ITEM_UNIT, id, &buf);
    hm_buf_deinit(&buf);
    if (err == HM_OK) {
        *out_id = (uint32_t)id;
    }
    return err;
}
