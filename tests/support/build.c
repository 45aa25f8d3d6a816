#include "tests/support/build.h"

#include "protocol/pack.h"
#include "tests/support/test.h"

void hm_build_begin(struct hm_build *b, struct hm_arena *arena, struct hm_dot dot,
                    struct hm_household_id household, uint32_t scope)
{
    *b = (struct hm_build){.arena = arena, .dot = dot};
    b->change = (struct hm_change){
        .dt_ms = 60000, .user = 3, .rank = 2, .household = household, .scope = scope};
    b->change.rows = hm_arena_array(arena, HM_BUILD_ROWS_MAX, sizeof *b->change.rows);
    assert_non_null(b->change.rows);
}

void hm_build_row(struct hm_build *b, struct hm_row_key key)
{
    struct hm_row_write *row = &b->change.rows[b->change.row_count++];

    assert_true(b->change.row_count <= HM_BUILD_ROWS_MAX);
    row->key = key;
    row->cells = hm_arena_array(b->arena, HM_BUILD_CELLS_MAX, sizeof *row->cells);
    assert_non_null(row->cells);
}

static struct hm_cell_write *last_cell(struct hm_build *b)
{
    struct hm_row_write *row = &b->change.rows[b->change.row_count - 1];

    return &row->cells[row->cell_count - 1];
}

void hm_build_cell(struct hm_build *b, uint32_t field, struct hm_bytes value)
{
    struct hm_row_write *row = &b->change.rows[b->change.row_count - 1];
    const struct hm_item *item = &row->key.item;
    struct hm_dot standard = {item->incarnation, item->n};

    if (item->n == 0) {
        standard = (struct hm_dot){b->change.household.a, b->change.household.n};
    }
    row->cell_count++;
    assert_true(row->cell_count <= HM_BUILD_CELLS_MAX);
    last_cell(b)->field = field;
    CHECK_OK(hm_arena_copy(b->arena, value, &last_cell(b)->value));
    if (standard.n != 0 && hm_dot_compare(&standard, &b->dot) != 0) {
        hm_build_replaces(b, &standard, 1);
    }
}

void hm_build_replaces(struct hm_build *b, const struct hm_dot *dots, size_t count)
{
    struct hm_bytes copy;

    CHECK_OK(hm_arena_copy(b->arena, hm_bytes_of(dots, count * sizeof *dots), &copy));
    last_cell(b)->replaced = (const void *)copy.data;
    last_cell(b)->replaced_count = count;
}

void hm_build_uint(struct hm_build *b, uint32_t field, uint64_t value)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 16);
    hm_pack_uint(&buf, value);
    hm_build_cell(b, field, hm_buf_bytes(&buf));
    hm_buf_deinit(&buf);
}

void hm_build_text(struct hm_build *b, uint32_t field, const char *text)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 8192);
    hm_pack_str(&buf, hm_bytes_str(text));
    CHECK_OK(buf.err);
    hm_build_cell(b, field, hm_buf_bytes(&buf));
    hm_buf_deinit(&buf);
}

static struct hm_bytes keep(struct hm_arena *arena, struct hm_buf *buf)
{
    struct hm_bytes out = {0};

    CHECK_OK(buf->err);
    CHECK_OK(hm_arena_copy(arena, hm_buf_bytes(buf), &out));
    hm_buf_deinit(buf);
    return out;
}

struct hm_bytes hm_build_encode(struct hm_arena *arena, const struct hm_change *change,
                                const struct hm_dot *dot)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 2 * HM_CHANGE_BYTES_MAX);
    hm_change_encode(change, dot, &buf);
    return keep(arena, &buf);
}

struct hm_bytes hm_build_bytes(struct hm_build *b)
{
    return hm_build_encode(b->arena, &b->change, &b->dot);
}

struct hm_bytes hm_build_state(struct hm_arena *arena, const struct hm_household *h)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 2 * HM_HOUSEHOLD_BYTES_MAX);
    hm_household_encode(h, &buf);
    return keep(arena, &buf);
}

struct hm_author hm_build_author(uint64_t incarnation)
{
    return (struct hm_author){.incarnation = incarnation,
                              .device = incarnation % 7,
                              .base_wall_ms = 1700000000000,
                              .clock_offset_ms = -250,
                              .clock_class = HM_CLOCK_CHECKED};
}

void hm_build_family(struct hm_build *b, struct hm_arena *arena, struct hm_dot dot)
{
    static const char *const names[] = {"Nguyễn Văn Hùng", "Trần Thị Lan",
                                        "Nguyễn Thị Hoa", "Nguyễn Văn Đức"};

    hm_build_begin(b, arena, dot, (struct hm_household_id){dot.incarnation, dot.n}, 17);
    hm_build_row(b, (struct hm_row_key){.form = 1});
    hm_build_text(b, 16, "Thôn Nà Lốc, tổ 3");
    hm_build_uint(b, 17, 4);
    for (uint64_t k = 1; k <= 4; k++) {
        hm_build_row(b, (struct hm_row_key){.form = 1,
                                            .repeat = 2,
                                            .item = {dot.incarnation, dot.n, k}});
        hm_build_text(b, 20, names[k - 1]);
        hm_build_uint(b, 21, 1970 + 7 * k);
        hm_build_uint(b, 22, k % 2);
    }
}
