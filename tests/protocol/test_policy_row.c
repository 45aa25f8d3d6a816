/* Removed rows and the list of conflicts, on households that real changes have made. */
#include "protocol/pack.h"
#include "protocol/policy.h"
#include "tests/support/build.h"
#include "tests/support/test.h"

/* Changes of one household: each by an author of its own, as number 1. MAKE is the
 * family of hm_build_family(), whose second member the others are about. */
enum { MAKE = 0x10, MEMBER_FIELD = 20, OTHER_FIELD = 21, CHANGES_MAX = 8 };

static const struct hm_household_id id = {MAKE, 1};
static const struct hm_row_key member = {1, 0, 2, {MAKE, 1, 2}};

static struct hm_arena arena;
static struct hm_build changes[CHANGES_MAX];
static size_t change_count;

static struct hm_build *new_change(uint64_t author)
{
    struct hm_build *b = &changes[change_count++];
    const struct hm_dot dot = {author, 1};

    assert_true(change_count <= CHANGES_MAX);
    hm_build_begin(b, &arena, dot, id, 17);
    hm_build_row(b, member);
    return b;
}

static void begin(void)
{
    hm_arena_init(&arena, 64 * 1024 * 1024);
    hm_build_family(&changes[0], &arena, (struct hm_dot){MAKE, 1});
    change_count = 1;
}

static void end(void)
{
    hm_arena_deinit(&arena);
}

/* A list of authors, ended by 0, as the dots of their changes. */
static size_t dots_of(const uint64_t *authors, struct hm_dot *out)
{
    size_t count = 0;

    for (; authors[count] != 0; count++) {
        out[count] = (struct hm_dot){authors[count], 1};
    }
    return count;
}

#define AUTHORS(...) ((const uint64_t[]){__VA_ARGS__, 0})
#define NOBODY       ((const uint64_t[]){0})

/* The last change clears or writes a cell in place of what others wrote. */
static void writes(struct hm_build *b, uint32_t field, struct hm_bytes value,
                   const uint64_t *replaced)
{
    struct hm_dot dots[CHANGES_MAX];
    size_t count = dots_of(replaced, dots);

    hm_build_cell(b, field, value);
    hm_build_replaces(b, dots, count);
}

static void removes(uint64_t author, const uint64_t *seen, const uint64_t *replaced)
{
    struct hm_build *b = new_change(author);
    struct hm_dot dots[CHANGES_MAX];
    size_t count = dots_of(seen, dots);
    struct hm_buf value;

    hm_buf_init(&value, 1000);
    hm_policy_removed_encode(dots, count, &value);
    CHECK_OK(value.err);
    writes(b, HM_FIELD_STATUS, hm_buf_bytes(&value), replaced);
    hm_buf_deinit(&value);
}

static void undoes(uint64_t author, const uint64_t *replaced)
{
    writes(new_change(author), HM_FIELD_STATUS, hm_bytes_of("\xc0", 1), replaced);
}

static void edits(uint64_t author, uint32_t field, const uint64_t *replaced)
{
    uint8_t value = (uint8_t)(author & 0x7f);

    writes(new_change(author), field, hm_bytes_of(&value, 1), replaced);
}

static void apply(struct hm_household *h, const struct hm_build *b)
{
    struct hm_author author = hm_build_author(b->dot.incarnation);
    bool applied = false;

    CHECK_OK(hm_household_apply(h, &b->change, &b->dot, &author, &applied));
    assert_true(applied);
}

/* The household after all changes, first to last or last to first: arrival decides
 * nothing. */
static void arrive(struct hm_household *h, bool backwards)
{
    hm_household_init(h, &id, &arena);
    for (size_t i = 0; i < change_count; i++) {
        apply(h, &changes[backwards ? change_count - 1 - i : i]);
    }
}

static void check_state(enum hm_row_state state)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        struct hm_household h;

        arrive(&h, backwards != 0);
        assert_int_equal(hm_policy_row_state(hm_household_row(&h, &member)), state);
    }
}

HM_TEST(active)
{
    begin();
    check_state(HM_ROW_ACTIVE);
    edits(0x20, MEMBER_FIELD, AUTHORS(MAKE));
    check_state(HM_ROW_ACTIVE);
    end();
}

HM_TEST(removed)
{
    begin();
    edits(0x20, MEMBER_FIELD, AUTHORS(MAKE));
    removes(0x30, AUTHORS(MAKE, 0x20), NOBODY);
    check_state(HM_ROW_REMOVED);
    end();
}

/* Somebody wrote what the remover had not seen: shown until a person decides. */
HM_TEST(edited_while_removed)
{
    begin();
    removes(0x30, AUTHORS(MAKE), NOBODY);
    edits(0x20, MEMBER_FIELD, AUTHORS(MAKE));
    check_state(HM_ROW_DISPUTED);
    removes(0x40, AUTHORS(MAKE, 0x20, 0x30), AUTHORS(0x30)); /* decided */
    check_state(HM_ROW_REMOVED);
    end();
}

/* The edit replaced all that the remover had seen of a cell, or wrote a new one. */
HM_TEST(new_answer_while_removed)
{
    begin();
    removes(0x30, AUTHORS(MAKE), NOBODY);
    edits(0x20, 77, NOBODY);
    check_state(HM_ROW_DISPUTED);
    undoes(0x40, AUTHORS(0x30)); /* decided the other way */
    check_state(HM_ROW_ACTIVE);
    end();
}

HM_TEST(removed_again_after_undo)
{
    begin();
    removes(0x30, AUTHORS(MAKE), NOBODY);
    undoes(0x40, AUTHORS(0x30));
    check_state(HM_ROW_ACTIVE);
    removes(0x50, AUTHORS(MAKE, 0x40), AUTHORS(0x40));
    check_state(HM_ROW_REMOVED);
    edits(0x20, OTHER_FIELD, AUTHORS(MAKE));
    check_state(HM_ROW_DISPUTED);
    end();
}

/* One takes the removal back while another, who knew it, removes again. */
HM_TEST(undo_against_removal)
{
    begin();
    removes(0x30, AUTHORS(MAKE), NOBODY);
    undoes(0x40, AUTHORS(0x30));
    removes(0x50, AUTHORS(MAKE, 0x30), AUTHORS(0x30));
    check_state(HM_ROW_DISPUTED);
    end();
}

/* A change may remove a row and write to it: that is its own doing. */
HM_TEST(removed_with_a_last_word)
{
    struct hm_dot seen = {MAKE, 1};
    struct hm_build *b;
    struct hm_buf value;

    begin();
    b = new_change(0x30);
    hm_buf_init(&value, 1000);
    hm_policy_removed_encode(&seen, 1, &value);
    writes(b, HM_FIELD_STATUS, hm_buf_bytes(&value), NOBODY);
    writes(b, OTHER_FIELD, hm_bytes_of("\x05", 1), AUTHORS(MAKE));
    check_state(HM_ROW_REMOVED);
    hm_buf_deinit(&value);
    end();
}

/* A status that is no removal is one that a newer version may know; a removal whose
 * list can't be read has seen nothing. */
HM_TEST(strange_statuses)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum hm_row_state state;
    } cases[] = {
        {"\xc0", 1, HM_ROW_ACTIVE},
        {"\x01", 1, HM_ROW_ACTIVE},
        {"\x91\x01", 2, HM_ROW_ACTIVE},
        {"\x92\x02\x91\x92\x10\x01", 6, HM_ROW_ACTIVE},
        {"\x92\xa1x\x90", 4, HM_ROW_ACTIVE},
        {"\x93\x01\x91\x92\x10\x01\x01", 7, HM_ROW_ACTIVE},
        {"\x92\x01\x91\x92\x10\x01", 6, HM_ROW_REMOVED},
        {"\x92\x01\x90", 3, HM_ROW_DISPUTED},
        {"\x92\x01\x91\x92\x10\x02", 6, HM_ROW_DISPUTED},
        {"\x92\x01\xc0", 3, HM_ROW_DISPUTED},
        {"\x92\x01\x91\x91\x10", 5, HM_ROW_DISPUTED},
        {"\x92\x01\x92\xc0\x92\x10\x01", 7, HM_ROW_DISPUTED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin();
        writes(new_change(0x30), HM_FIELD_STATUS,
               hm_bytes_of(cases[i].bytes, cases[i].len), NOBODY);
        check_state(cases[i].state);
        end();
    }
}

static enum hm_field_policy ask_or_max(void *arg, const struct hm_row_key *row,
                                       uint32_t field)
{
    size_t *asked = arg;

    (*asked)++;
    assert_int_equal(row->form, 1);
    return field == OTHER_FIELD ? HM_FIELD_POLICY_MAX : HM_FIELD_POLICY_ASK;
}

/* The list: "repeat.k:field" for each conflict. */
static void check_conflicts(const char *expected)
{
    for (int backwards = 0; backwards < 2; backwards++) {
        struct hm_policy_conflict *list = NULL;
        struct hm_household h;
        struct hm_buf text;
        size_t count = 0;
        size_t asked = 0;

        arrive(&h, backwards != 0);
        CHECK_OK(hm_policy_conflicts(&h, ask_or_max, &asked, &arena, &list, &count));
        hm_buf_init(&text, 10000);
        for (size_t i = 0; i < count; i++) {
            hm_buf_printf(&text, "%d.%d:%d ", (int)list[i].row->key.repeat,
                          (int)list[i].row->key.item.k, (int)list[i].cell->field);
        }
        assert_string_equal(hm_buf_str(&text), expected);
        hm_buf_deinit(&text);
    }
}

HM_TEST(no_conflicts)
{
    begin();
    check_conflicts("");
    edits(0x20, MEMBER_FIELD, AUTHORS(MAKE));
    edits(0x30, 77, NOBODY);
    check_conflicts("");
    edits(0x40, MEMBER_FIELD, AUTHORS(MAKE, 0x20));
    edits(0x50, OTHER_FIELD, AUTHORS(MAKE));
    edits(0x60, OTHER_FIELD, AUTHORS(MAKE)); /* max decides */
    check_conflicts("");
    end();
}

/* In the order of rows and fields. */
HM_TEST(conflicts_are_listed_in_order)
{
    struct hm_build *root;

    begin();
    edits(0x20, MEMBER_FIELD, AUTHORS(MAKE));
    edits(0x30, MEMBER_FIELD, AUTHORS(MAKE));
    edits(0x40, 77, NOBODY);
    edits(0x50, 77, NOBODY);
    root = &changes[change_count++];
    hm_build_begin(root, &arena, (struct hm_dot){0x60, 1}, id, 17);
    hm_build_row(root, (struct hm_row_key){.form = 1});
    hm_build_uint(root, 17, 9);
    hm_build_replaces(root, NULL, 0);
    check_conflicts("0.0:17 2.2:20 2.2:77 ");
    end();
}

/* Nobody is asked about the answers of a row that is gone. A disputed one is asked
 * about, and so are its answers. */
HM_TEST(conflicts_of_removed_and_disputed_rows)
{
    begin();
    edits(0x20, MEMBER_FIELD, AUTHORS(MAKE));
    edits(0x30, MEMBER_FIELD, AUTHORS(MAKE));
    removes(0x40, AUTHORS(0x20, 0x30, MAKE), NOBODY);
    check_conflicts("");
    edits(0x50, 77, NOBODY);
    check_conflicts("2.2:1 2.2:20 ");
    undoes(0x60, AUTHORS(0x40));
    check_conflicts("2.2:20 ");
    end();
}

HM_TEST(no_memory_for_the_list)
{
    struct hm_policy_conflict *list = NULL;
    struct hm_household h;
    struct hm_arena small;
    size_t count = 7;
    size_t asked = 0;

    begin();
    arrive(&h, false);
    hm_arena_init(&small, 16);
    assert_int_equal(hm_policy_conflicts(&h, ask_or_max, &asked, &small, &list, &count),
                     HM_NOMEM);
    assert_null(list);
    assert_int_equal(count, 7);
    hm_arena_deinit(&small);
    end();
}

static enum hm_field_policy only_union(void *arg, const struct hm_row_key *row,
                                       uint32_t field)
{
    (void)arg;
    (void)row;
    (void)field;
    return HM_FIELD_POLICY_UNION;
}

/* The list has room, but what a policy makes of the cells has not. */
HM_TEST(no_memory_for_a_policy)
{
    struct hm_policy_conflict *list = NULL;
    struct hm_household h;
    size_t count = 7;
    size_t failures = 0;
    int err = HM_NOMEM;

    begin();
    writes(new_change(0x20), MEMBER_FIELD, hm_bytes_of("\x91\xa1x", 3), AUTHORS(MAKE));
    writes(new_change(0x30), MEMBER_FIELD, hm_bytes_of("\x91\xa1y", 3), AUTHORS(MAKE));
    arrive(&h, false);
    for (size_t bytes_max = 16; err != HM_OK && bytes_max < 16384; bytes_max += 8) {
        struct hm_arena small;

        hm_arena_init(&small, bytes_max);
        err = hm_policy_conflicts(&h, only_union, NULL, &small, &list, &count);
        assert_true(err == HM_OK || (err == HM_NOMEM && count == 7));
        failures += err == HM_NOMEM ? 1 : 0;
        hm_arena_deinit(&small);
    }
    CHECK_OK(err);
    assert_true(failures > 1);
    assert_int_equal(count, 0);
    end();
}

/* Two people remove the same member: they agree, nothing is to be decided, unless an
 * answer lives that neither of them alone has seen whole. */
HM_TEST(removed_twice)
{
    begin();
    removes(0x30, AUTHORS(MAKE), NOBODY);
    removes(0x40, AUTHORS(MAKE), NOBODY);
    check_state(HM_ROW_REMOVED);
    check_conflicts("");
    edits(0x20, MEMBER_FIELD, AUTHORS(MAKE));
    check_state(HM_ROW_DISPUTED);
    removes(0x50, AUTHORS(MAKE, 0x20), NOBODY); /* knew the edit, not the removals */
    check_state(HM_ROW_REMOVED);
    end();
}
