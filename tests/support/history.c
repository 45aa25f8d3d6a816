#include "tests/support/history.h"

#include <string.h>

#include "protocol/pack.h"
#include "tests/support/build.h"
#include "tests/support/test.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, ROW_KINDS = 5, FIELDS = 3 };

uint64_t hm_history_incarnation(size_t author)
{
    static const uint64_t incarnations[HM_HISTORY_AUTHORS] = {
        3, 0x77, 0xbeef, 0x8000000000000001U, UINT64_MAX};

    return incarnations[author];
}

size_t hm_history_author(const struct hm_history_entry *entry)
{
    size_t author = 0;

    while (hm_history_incarnation(author) != entry->dot.incarnation) {
        author++;
    }
    return author;
}

void hm_history_begin(const struct hm_history *history, struct hm_household *h,
                      struct hm_arena *arena)
{
    hm_household_init(h, &history->id, arena);
}

void hm_history_apply(const struct hm_history_entry *entry, struct hm_household *h)
{
    struct hm_author author = hm_build_author(entry->dot.incarnation);
    bool applied = false;

    if (entry->refused) {
        CHECK_OK(hm_household_refuse(h, &entry->change, &entry->dot, &author));
        return;
    }
    CHECK_OK(hm_household_apply(h, &entry->change, &entry->dot, &author, &applied));
}

/* Into ascending dots, unless it is there. */
static size_t insert_dot(struct hm_dot *dots, size_t count, struct hm_dot dot)
{
    size_t at = 0;

    while (at < count && hm_dot_compare(&dots[at], &dot) < 0) {
        at++;
    }
    if (at < count && hm_dot_compare(&dots[at], &dot) == 0) {
        return count;
    }
    memmove(dots + at + 1, dots + at, (count - at) * sizeof *dots);
    dots[at] = dot;
    return count + 1;
}

/* What stood on the author's screen, now and then not all of it, and now and then a
 * write that nobody has seen, or ever will. */
static void replace_seen(struct hm_build *b, struct hm_rng *rng,
                         const struct hm_household *seen, const struct hm_row_key *key,
                         uint32_t field)
{
    const struct hm_cell *cell = hm_row_cell(hm_household_row(seen, key), field);
    struct hm_dot dots[HM_HISTORY_ENTRIES_MAX + 1];
    size_t count = 0;
    uint64_t author =
        hm_history_incarnation((size_t)hm_rng_below(rng, HM_HISTORY_AUTHORS));
    uint64_t ahead = 1 + hm_rng_below(rng, 12);

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if (hm_rng_below(rng, 8) != 0) {
            dots[count++] = cell->siblings[i].dot;
        }
    }
    if (hm_rng_below(rng, 16) == 0 && author != b->dot.incarnation) {
        ahead += hm_household_seen(seen, author);
        count = insert_dot(dots, count, (struct hm_dot){author, ahead});
    }
    hm_build_replaces(b, dots, count);
}

static void random_value(struct hm_build *b, struct hm_rng *rng, uint32_t field)
{
    static const char *const words[] = {"Thào", "Vàng A Sình", "", "hộ nghèo"};

    switch (hm_rng_below(rng, 6)) {
    case 0:
        hm_build_cell(b, field, hm_bytes_of("\xc0", 1));
        break;
    case 1:
        hm_build_cell(b, field, hm_bytes_of("\x92\x01\x81\x05\xff", 5));
        break;
    case 2:
    case 3:
        hm_build_uint(b, field, hm_rng_wide(rng));
        break;
    default:
        hm_build_text(b, field, words[hm_rng_below(rng, 4)]);
    }
}

/* The keys of the rows that a history writes to, in order. */
static struct hm_row_key row_key(struct hm_dot dot, size_t kind)
{
    uint64_t first = hm_history_incarnation(0);

    switch (kind) {
    case 0:
        return (struct hm_row_key){.form = HM_FORM_HOUSEHOLD};
    case 1:
        return (struct hm_row_key){.form = 1};
    case 2:
        return (struct hm_row_key){1, 0, 2, {first, 1, 1}};
    case 3:
        return (struct hm_row_key){1, 2026, 2, {dot.incarnation, dot.n, 1}};
    default:
        return (struct hm_row_key){2, 2026, 0, {first, 1, 2}};
    }
}

static void write_entry(struct hm_history *history, struct hm_rng *rng,
                        const struct hm_household *seen, struct hm_dot dot)
{
    struct hm_history_entry *entry = &history->entries[history->count];
    struct hm_build b;

    hm_build_begin(&b, &history->arena, dot, history->id,
                   (uint32_t)(10 + hm_rng_below(rng, 5)));
    b.change.dt_ms = (int64_t)hm_rng_below(rng, 100000) - 1000;
    for (size_t kind = 0; kind < ROW_KINDS; kind++) {
        struct hm_row_key key = row_key(dot, kind);
        bool empty = true;

        if (hm_rng_below(rng, 3) != 0) {
            continue;
        }
        for (uint32_t i = 0; i < FIELDS; i++) {
            uint32_t field = kind == 0 ? HM_FIELD_STATUS + i : HM_FIELD_FIRST + i;

            if (kind > 1 && i == 0) {
                field = HM_FIELD_STATUS; /* a row that is removed, or back again */
            }
            if (hm_rng_below(rng, 2) == 0) {
                if (empty) {
                    hm_build_row(&b, key);
                }
                empty = false;
                random_value(&b, rng, field);
                if (kind != 3) { /* a row of its own: nothing was there */
                    replace_seen(&b, rng, seen, &key, field);
                }
            }
        }
    }
    entry->refused = false;
    entry->dot = dot;
    entry->change = b.change;
    entry->bytes = hm_build_bytes(&b);
    history->count++;
}

void hm_history_make(struct hm_history *history, struct hm_rng *rng, size_t count)
{
    struct hm_household seen[HM_HISTORY_AUTHORS];
    size_t known[HM_HISTORY_AUTHORS][HM_HISTORY_AUTHORS] = {0};
    uint64_t n[HM_HISTORY_AUTHORS] = {0};
    bool hashed = hm_rng_below(rng, 8) == 0;

    assert_true(count <= HM_HISTORY_ENTRIES_MAX);
    history->count = 0;
    hm_arena_init(&history->arena, ARENA_BYTES);
    history->id = (struct hm_household_id){hm_history_incarnation(0), hashed ? 0 : 1};
    for (size_t i = 0; i < HM_HISTORY_AUTHORS; i++) {
        hm_history_begin(history, &seen[i], &history->arena);
    }
    while (history->count < count) {
        size_t me =
            history->count == 0 ? 0 : (size_t)hm_rng_below(rng, HM_HISTORY_AUTHORS);
        size_t from = (size_t)hm_rng_below(rng, HM_HISTORY_AUTHORS);
        size_t upto = (size_t)hm_rng_below(rng, history->count + 1);

        /* Hear what another has written, up to some point of time. */
        for (; known[me][from] < upto; known[me][from]++) {
            if (hm_history_author(&history->entries[known[me][from]]) == from) {
                hm_history_apply(&history->entries[known[me][from]], &seen[me]);
            }
        }
        n[me] += 1 + (n[me] > 0 ? hm_rng_below(rng, 3) : 0); /* others in between */
        write_entry(history, rng, &seen[me],
                    (struct hm_dot){hm_history_incarnation(me), n[me]});
        hm_history_apply(&history->entries[history->count - 1], &seen[me]);
    }
}

void hm_history_refuse_some(struct hm_history *history, struct hm_rng *rng)
{
    for (size_t i = 0; i < history->count; i++) {
        history->entries[i].refused = hm_rng_below(rng, 6) == 0;
    }
}

void hm_history_free(struct hm_history *history)
{
    hm_arena_deinit(&history->arena);
}

void hm_history_shuffle(const struct hm_history *history, struct hm_rng *rng,
                        size_t order[HM_HISTORY_ENTRIES_MAX])
{
    size_t next[HM_HISTORY_AUTHORS] = {0};
    size_t done = 0;

    while (done < history->count) {
        size_t author = (size_t)hm_rng_below(rng, HM_HISTORY_AUTHORS);
        size_t i = next[author];

        while (i < history->count &&
               hm_history_author(&history->entries[i]) != author) {
            i++;
        }
        if (i < history->count) {
            order[done++] = i;
        }
        next[author] = i < history->count ? i + 1 : i;
    }
}
