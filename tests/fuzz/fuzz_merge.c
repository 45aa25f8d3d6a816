/* One household, three replicas with an author each; the input is what they write, hear
 * and take over. Writes name any of the dots that their author sees.
 *
 * In the end every way to bring the replicas together gives the same bytes: joins in
 * any order, all changes applied in two orders, and what the naive merge says. */
#include "protocol/merge.h"
#include "protocol/pack.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/build.h"
#include "tests/support/naive.h"

enum { REPLICAS = 3, CHANGES_MAX = 40, ROWS = 3, FIELDS = 3 };

struct made {
    struct hm_dot dot;
    struct hm_change change;
};

struct world {
    struct hm_arena arena;
    struct hm_household at[REPLICAS];
    size_t heard[REPLICAS][REPLICAS]; /* position in made: what was applied of whom */
    struct made made[CHANGES_MAX];
    size_t made_count;
};

static struct hm_household_id id = {0xa0, 1};

static struct hm_author author_of(const struct hm_dot *dot)
{
    return hm_build_author(dot->incarnation);
}

static void apply(struct hm_household *h, const struct made *made)
{
    struct hm_author author = author_of(&made->dot);
    bool applied = false;
    bool again = true;

    HM_FUZZ_CHECK(hm_household_apply(h, &made->change, &made->dot, &author, &applied) ==
                  HM_OK);
    HM_FUZZ_CHECK(hm_household_apply(h, &made->change, &made->dot, &author, &again) ==
                  HM_OK);
    HM_FUZZ_CHECK(!again);
}

static struct hm_row_key row_key(unsigned row)
{
    static const struct hm_row_key keys[ROWS] = {{HM_FORM_HOUSEHOLD, 0, 0, {0, 0, 0}},
                                                 {1, 0, 0, {0, 0, 0}},
                                                 {1, 0, 2, {0xa0, 1, 1}}};

    return keys[row];
}

static uint32_t field_of(unsigned row, unsigned field)
{
    return row == 0 ? HM_FIELD_STATUS + field : HM_FIELD_FIRST + field;
}

/* The dots that stand in a cell and that the mask names. */
static void name_replaced(struct hm_build *b, const struct hm_household *h,
                          const struct hm_row_key *key, uint32_t field, unsigned mask)
{
    const struct hm_row *row = hm_household_row(h, key);
    const struct hm_cell *cell = row == NULL ? NULL : hm_row_cell(row, field);
    struct hm_dot dots[CHANGES_MAX];
    size_t count = 0;

    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        if ((mask >> (i % 8) & 1) == 0) {
            dots[count++] = cell->siblings[i].dot;
        }
    }
    hm_build_replaces(b, dots, count);
}

static void write_change(struct world *w, unsigned who, struct hm_bytes *input)
{
    struct hm_household *h = &w->at[who];
    struct hm_dot dot = {0xa0 + who, hm_household_seen(h, 0xa0 + who) + 1 +
                                         hm_fuzz_below(input, 2)};
    struct hm_build b;
    struct made *made = &w->made[w->made_count];

    if (w->made_count == CHANGES_MAX) {
        return;
    }
    if (w->made_count == 0) {
        dot = (struct hm_dot){id.a, id.n};
        h = &w->at[0];
    }
    hm_build_begin(&b, &w->arena, dot, id, 10 + hm_fuzz_below(input, 3));
    for (unsigned row = 0; row < ROWS; row++) {
        unsigned fields = hm_fuzz_below(input, 8);
        struct hm_row_key key = row_key(row);

        if (fields != 0) {
            hm_build_row(&b, key);
        }
        for (unsigned i = 0; i < FIELDS; i++) {
            if ((fields >> i & 1) != 0) {
                hm_build_uint(&b, field_of(row, i), hm_fuzz_below(input, 3));
                name_replaced(&b, h, &key, field_of(row, i), hm_fuzz_below(input, 256));
            }
        }
    }
    *made = (struct made){dot, b.change};
    apply(h, made);
    w->made_count++;
}

/* The next change of another author that was not applied here. */
static void hear(struct world *w, unsigned who, unsigned from)
{
    size_t *next = &w->heard[who][from];

    while (*next < w->made_count) {
        const struct made *made = &w->made[(*next)++];

        if (made->dot.incarnation == 0xa0 + from) {
            apply(&w->at[who], made);
            return;
        }
    }
}

static struct hm_bytes bytes_of(struct world *w, const struct hm_household *h)
{
    return hm_build_state(&w->arena, h);
}

static struct hm_household join(struct world *w, const struct hm_household *a,
                                const struct hm_household *b)
{
    struct hm_household ab;
    struct hm_household ba;

    HM_FUZZ_CHECK(hm_merge_join(a, b, &w->arena, &ab) == HM_OK);
    HM_FUZZ_CHECK(hm_merge_join(b, a, &w->arena, &ba) == HM_OK);
    HM_FUZZ_CHECK(hm_bytes_equal(bytes_of(w, &ab), bytes_of(w, &ba)));
    return ab;
}

/* A state is what its vector says was seen, however that came. */
static void check_is_what_it_saw(struct world *w, const struct hm_household *h)
{
    struct hm_household seen;

    hm_household_init(&seen, &id, &w->arena);
    for (size_t i = 0; i < w->made_count; i++) {
        if (w->made[i].dot.n <= hm_household_seen(h, w->made[i].dot.incarnation)) {
            apply(&seen, &w->made[i]);
        }
    }
    HM_FUZZ_CHECK(hm_bytes_equal(bytes_of(w, h), bytes_of(w, &seen)));
}

/* A replica goes on with its own copy: joined states share memory. */
static void take_over(struct world *w, unsigned who, unsigned from)
{
    struct hm_household joined = join(w, &w->at[who], &w->at[from]);
    struct hm_bytes bytes = bytes_of(w, &joined);

    HM_FUZZ_CHECK(hm_household_decode(bytes, &w->arena, &w->at[who]) == HM_OK);
    HM_FUZZ_CHECK(hm_bytes_equal(bytes_of(w, &w->at[who]), bytes));
    check_is_what_it_saw(w, &w->at[who]);
}

static struct hm_household fold(struct world *w, bool backwards)
{
    struct hm_household h;

    hm_household_init(&h, &id, &w->arena);
    for (unsigned a = 0; a < REPLICAS; a++) {
        unsigned who = backwards ? REPLICAS - 1 - a : a;

        for (size_t i = 0; i < w->made_count; i++) {
            if (w->made[i].dot.incarnation == 0xa0 + who) {
                apply(&h, &w->made[i]);
            }
        }
    }
    return h;
}

static void check_end(struct world *w)
{
    static struct hm_naive naive;
    struct hm_household forwards = fold(w, false);
    struct hm_household backwards = fold(w, true);
    struct hm_bytes all = bytes_of(w, &forwards);
    struct hm_household ab = join(w, &w->at[0], &w->at[1]);
    struct hm_household bc = join(w, &w->at[1], &w->at[2]);
    struct hm_household left = join(w, &ab, &w->at[2]);
    struct hm_household right = join(w, &w->at[0], &bc);
    struct hm_household with_all = join(w, &left, &forwards);

    HM_FUZZ_CHECK(hm_bytes_equal(all, bytes_of(w, &backwards)));
    HM_FUZZ_CHECK(hm_bytes_equal(bytes_of(w, &left), bytes_of(w, &right)));
    HM_FUZZ_CHECK(hm_bytes_equal(all, bytes_of(w, &with_all)));
    HM_FUZZ_CHECK(hm_merge_compare(&left, &forwards) == HM_VV_EQUAL);
    HM_FUZZ_CHECK(hm_bytes_equal(all, bytes_of(w, &left)));
    hm_naive_init(&naive);
    for (size_t i = 0; i < w->made_count; i++) {
        hm_naive_apply(&naive, &w->made[i].change, &w->made[i].dot);
    }
    HM_FUZZ_CHECK(hm_naive_agrees(&naive, &forwards));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct hm_bytes input = hm_bytes_of(data, size < 600 ? size : 600);

    memset(&w, 0, sizeof w);
    hm_arena_init(&w.arena, HM_FUZZ_ARENA_BYTES_MAX);
    for (unsigned i = 0; i < REPLICAS; i++) {
        hm_household_init(&w.at[i], &id, &w.arena);
    }
    write_change(&w, 0, &input);
    while (input.len > 0) {
        unsigned what = hm_fuzz_below(&input, 4);
        unsigned who = hm_fuzz_below(&input, REPLICAS);
        unsigned from = (who + 1 + hm_fuzz_below(&input, REPLICAS - 1)) % REPLICAS;

        if (what == 0) {
            take_over(&w, who, from);
        } else if (what == 1) {
            hear(&w, who, from);
        } else {
            write_change(&w, who, &input);
        }
    }
    check_end(&w);
    hm_arena_deinit(&w.arena);
    return 0;
}
