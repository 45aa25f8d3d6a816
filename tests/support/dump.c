#include "tests/support/dump.h"

#include <inttypes.h>

#include "protocol/pack.h"
#include "tests/support/test.h"

static void dump_text(struct hm_bytes text, struct hm_buf *out)
{
    hm_buf_append_u8(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c == '"' || c == '\\' || c < 0x20) {
            hm_buf_printf(out, "\\x%02x", c);
        } else {
            hm_buf_append_u8(out, c);
        }
    }
    hm_buf_append_u8(out, '"');
}

static void dump_hex(struct hm_bytes bytes, struct hm_buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        hm_buf_printf(out, "%02x", bytes.data[i]);
    }
}

static void dump_f64(uint64_t bits, struct hm_buf *out)
{
    double number;

    memcpy(&number, &bits, sizeof number);
    hm_buf_printf(out, "%.17g", number);
}

static void dump_item(struct hm_reader *r, struct hm_buf *out)
{
    struct hm_pack_head head = hm_pack_head_read(r);
    bool is_map = head.kind == HM_PACK_MAP;

    CHECK_OK(r->err);
    switch (head.kind) {
    case HM_PACK_NIL:
        hm_buf_append_str(out, "null");
        break;
    case HM_PACK_BOOL:
        hm_buf_append_str(out, head.bits != 0 ? "true" : "false");
        break;
    case HM_PACK_UINT:
        hm_buf_printf(out, "%" PRIu64, head.bits);
        break;
    case HM_PACK_INT:
        hm_buf_printf(out, "%" PRId64, (int64_t)head.bits);
        break;
    case HM_PACK_F64:
        dump_f64(head.bits, out);
        break;
    case HM_PACK_STR:
        dump_text(hm_reader_take(r, head.count), out);
        break;
    case HM_PACK_BIN:
        hm_buf_append_str(out, "h'");
        dump_hex(hm_reader_take(r, head.count), out);
        hm_buf_append_str(out, "'");
        break;
    case HM_PACK_ARRAY:
    case HM_PACK_MAP:
        hm_buf_append_str(out, is_map ? "{" : "[");
        for (uint64_t i = 0; i < head.count; i++) {
            hm_buf_append_str(out, i == 0 ? "" : ", ");
            if (is_map) {
                dump_item(r, out);
                hm_buf_append_str(out, ": ");
            }
            dump_item(r, out);
        }
        hm_buf_append_str(out, is_map ? "}" : "]");
        break;
    }
}

void hm_dump_value(struct hm_bytes value, struct hm_buf *out)
{
    struct hm_reader r = {.left = value};

    dump_item(&r, out);
    CHECK_OK(hm_unpack_end(&r));
}

static void dump_dots(const char *title, const struct hm_dot *dots, size_t count,
                      struct hm_buf *out)
{
    char text[HM_ID_TEXT_MAX];

    hm_buf_append_str(out, title);
    for (size_t i = 0; i < count; i++) {
        hm_dot_to_text(&dots[i], text);
        hm_buf_printf(out, " %s", text);
    }
}

static void dump_key(const struct hm_row_key *key, struct hm_buf *out)
{
    char item[HM_ID_TEXT_MAX];

    hm_item_to_text(&key->item, item);
    hm_buf_printf(
        out, "  row form %" PRIu32 " round %" PRIu32 " repeat %" PRIu32 "%s%s\n",
        key->form, key->round, key->repeat, item[0] == 0 ? "" : " item ", item);
}

void hm_dump_change(const struct hm_change *change, const struct hm_dot *dot,
                    struct hm_buf *out)
{
    char text[HM_ID_TEXT_MAX];

    hm_dot_to_text(dot, text);
    hm_buf_printf(out, "change %s\n", text);
    hm_household_id_to_text(&change->household, text);
    hm_buf_printf(
        out,
        "  household %s scope %" PRIu32 " user %" PRIu32 " rank %u dt %" PRId64 "\n",
        text, change->scope, change->user, (unsigned)change->rank, change->dt_ms);
    for (size_t i = 0; i < change->row_count; i++) {
        const struct hm_row_write *row = &change->rows[i];

        dump_key(&row->key, out);
        for (size_t j = 0; j < row->cell_count; j++) {
            const struct hm_cell_write *cell = &row->cells[j];

            hm_buf_printf(out, "    %" PRIu32 " = ", cell->field);
            hm_dump_value(cell->value, out);
            if (cell->replaced_count > 0) {
                dump_dots(" replaces", cell->replaced, cell->replaced_count, out);
            }
            hm_buf_append_str(out, "\n");
        }
    }
    if (change->reason.len > 0) {
        hm_buf_append_str(out, "  reason ");
        dump_text(change->reason, out);
        hm_buf_append_str(out, "\n");
    }
}

void hm_dump_birth(const struct hm_birth *birth, struct hm_buf *out)
{
    hm_buf_printf(
        out, "birth\n  device %" PRIu64 "\n  parent %016" PRIx64 ".%" PRIu64 " chain ",
        birth->device, birth->parent_incarnation, birth->parent_n);
    dump_hex(hm_hash_bytes(&birth->parent_chain), out);
    hm_buf_append_str(out, "\n  boot ");
    dump_hex(hm_bytes_of(birth->boot_id, HM_BOOT_ID_BYTES), out);
    hm_buf_printf(out, "\n  wall %" PRId64 " class %d offset %" PRId64 "\n  version ",
                  birth->wall_ms, (int)birth->clock_class, birth->clock_offset_ms);
    dump_text(birth->version, out);
    hm_buf_append_str(out, "\n");
}

void hm_dump_segment(const struct hm_segment *segment, const struct hm_bytes *entries,
                     struct hm_buf *out)
{
    hm_buf_printf(out,
                  "segment\n  incarnation %016" PRIx64 " device %" PRIu64
                  " first %" PRIu64 " count %zu dictionary %016" PRIx64
                  "\n  after chain ",
                  segment->incarnation, segment->device, segment->first_n,
                  segment->count, segment->dictionary);
    dump_hex(hm_hash_bytes(&segment->prev_chain), out);
    hm_buf_append_str(out, "\n  chain ");
    dump_hex(hm_hash_bytes(&segment->chain), out);
    hm_buf_append_str(out, "\n  signature ");
    dump_hex(hm_bytes_of(segment->signature, HM_SIGNATURE_BYTES), out);
    hm_buf_append_str(out, "\n");
    for (size_t i = 0; i < segment->count; i++) {
        struct hm_dot dot = {segment->incarnation, segment->first_n + i};
        struct hm_change change;
        struct hm_birth birth;
        struct hm_arena arena;

        if (dot.n == 0) {
            CHECK_OK(hm_birth_decode(entries[i], &birth));
            hm_dump_birth(&birth, out);
            continue;
        }
        hm_arena_init(&arena, 4 * 1024 * 1024);
        CHECK_OK(hm_change_decode(entries[i], &dot, &arena, &change));
        hm_dump_change(&change, &dot, out);
        hm_arena_deinit(&arena);
    }
}

static void dump_cell(const struct hm_cell *cell, struct hm_buf *out)
{
    for (size_t i = 0; i < cell->sibling_count; i++) {
        hm_buf_printf(out, "    %" PRIu32 " = ", cell->field);
        hm_dump_value(cell->siblings[i].value, out);
        dump_dots(" by", &cell->siblings[i].dot, 1, out);
        hm_buf_append_str(out, "\n");
    }
    if (cell->rm_count > 0) {
        hm_buf_printf(out, "    %" PRIu32, cell->field);
        dump_dots(" waits for", cell->rm, cell->rm_count, out);
        hm_buf_append_str(out, "\n");
    }
}

void hm_dump_state(const struct hm_household *h, struct hm_buf *out)
{
    char text[HM_ID_TEXT_MAX];

    hm_household_id_to_text(&h->id, text);
    hm_buf_printf(out, "state %s home %" PRIu32 "%s\n", text, h->home,
                  h->home_known ? "" : " (not known)");
    for (size_t i = 0; i < h->vv_count; i++) {
        const struct hm_author *author = &h->vv[i].author;

        hm_buf_printf(out,
                      "  seen %016" PRIx64 ".%" PRIu64 " device %" PRIu64
                      " class %d offset %" PRId64 "\n",
                      author->incarnation, h->vv[i].n, author->device,
                      (int)author->clock_class, author->clock_offset_ms);
    }
    for (size_t i = 0; i < h->stamp_count; i++) {
        const struct hm_stamp *stamp = &h->stamps[i];

        hm_dot_to_text(&stamp->dot, text);
        hm_buf_printf(out, "  stamp %s user %" PRIu32 " rank %u wall %" PRId64 "\n",
                      text, stamp->user, (unsigned)stamp->rank, stamp->wall_ms);
    }
    for (size_t i = 0; i < h->row_count; i++) {
        dump_key(&h->rows[i].key, out);
        for (size_t j = 0; j < h->rows[i].cell_count; j++) {
            dump_cell(&h->rows[i].cells[j], out);
        }
    }
}
