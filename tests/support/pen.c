#include "tests/support/pen.h"

#include "storage/accept.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static void append(struct hm_pen *pen, struct hm_bytes bytes)
{
    size_t n = pen->count++;

    assert_true(pen->count <= HM_PEN_ENTRIES_MAX);
    pen->entries[n] = bytes;
    pen->chains[n] =
        hm_chain_next(n == 0 ? &HM_CHAIN_START : &pen->chains[n - 1], pen->entries[n]);
}

void hm_pen_raw(struct hm_pen *pen, struct hm_bytes bytes)
{
    struct hm_bytes kept;

    CHECK_OK(hm_arena_copy(&pen->arena, bytes, &kept));
    append(pen, kept);
}

void hm_pen_open(struct hm_pen *pen, struct hm_village *v,
                 const struct hm_village_node *n, uint64_t incarnation)
{
    struct hm_birth birth = {.device = n->node.device,
                             .wall_ms = HM_TEST_START_MS,
                             .version = hm_bytes_str("test")};
    struct hm_buf buf;

    *pen = (struct hm_pen){.v = v,
                           .seal = {.incarnation = incarnation,
                                    .device = n->node.device,
                                    .secret_key = n->node.secret_key}};
    hm_arena_init(&pen->arena, ARENA_BYTES);
    hm_buf_init(&buf, HM_BIRTH_BYTES_MAX);
    hm_birth_encode(&birth, &buf);
    CHECK_OK(buf.err);
    hm_pen_raw(pen, hm_buf_bytes(&buf));
    hm_buf_deinit(&buf);
}

void hm_pen_close(struct hm_pen *pen)
{
    hm_arena_deinit(&pen->arena);
}

struct hm_dot hm_pen_next(const struct hm_pen *pen)
{
    return (struct hm_dot){pen->seal.incarnation, pen->count};
}

static void write_root(struct hm_pen *pen, const struct hm_household_id *id,
                       uint32_t field, const char *text)
{
    struct hm_build b;

    hm_build_begin(&b, &pen->arena, hm_pen_next(pen), *id, pen->v->hamlets[0]);
    b.change.user = HM_USER_OPERATOR;
    b.change.rank = 4;
    hm_build_row(&b, (struct hm_row_key){.form = pen->v->form});
    hm_build_text(&b, field, text);
    append(pen, hm_build_bytes(&b));
}

struct hm_household_id hm_pen_new(struct hm_pen *pen, const char *name)
{
    struct hm_dot dot = hm_pen_next(pen);
    struct hm_household_id id = {dot.incarnation, dot.n};

    write_root(pen, &id, pen->v->name, name);
    return id;
}

void hm_pen_write(struct hm_pen *pen, const struct hm_household_id *id, uint32_t field,
                  const char *text)
{
    write_root(pen, id, field, text);
}

struct hm_bytes hm_pen_seal(struct hm_pen *pen, uint64_t first_n, size_t count)
{
    struct hm_segment_seal seal = pen->seal;
    struct hm_bytes out;
    struct hm_buf buf;

    assert_true(first_n + count <= pen->count);
    seal.first_n = first_n;
    seal.entries = &pen->entries[first_n];
    seal.count = count;
    if (first_n > 0) {
        seal.prev_chain = pen->chains[first_n - 1];
    }
    hm_buf_init(&buf, 2 * HM_SEGMENT_BYTES_MAX);
    CHECK_OK(hm_segment_seal(&seal, &buf));
    CHECK_OK(hm_arena_copy(&pen->arena, hm_buf_bytes(&buf), &out));
    hm_buf_deinit(&buf);
    return out;
}

uint64_t hm_pen_take(struct hm_pen *pen, struct hm_bytes bytes)
{
    struct hm_store *s = pen->v->centre.node.store;
    uint64_t incarnation = 0;
    uint64_t entries = 0;
    struct hm_accept a;
    struct hm_arena arena;

    hm_arena_init(&arena, HM_ACCEPT_ARENA_BYTES_MAX);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_accept_init(&a, s, pen->v->centre.forms, pen->seal.device, &arena));
    CHECK_OK(hm_accept_segment(&a, bytes, &incarnation, &entries));
    CHECK_OK(hm_store_end(s, HM_OK));
    hm_arena_deinit(&arena);
    return entries;
}
