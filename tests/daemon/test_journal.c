#include "daemon/journal.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/test.h"

static void on_line(void *arg)
{
    unsigned *lines = arg;

    (*lines)++;
}

/* Whoever follows the log reads by number and must not lose its place when the ring has
 * turned. */
HM_TEST(the_ring_keeps_the_last_lines)
{
    struct hm_journal *journal = NULL;
    struct hm_journal_line line;
    unsigned woken = 0;

    CHECK_OK(hm_journal_create(false, &journal));
    assert_false(hm_journal_read(journal, 1, &line));
    hm_journal_set_wake(journal, on_line, &woken);
    for (unsigned i = 1; i <= HM_JOURNAL_LINES_MAX + 10; i++) {
        hm_journal_write(journal, HM_JOURNAL_INFO, "line %u", i);
    }
    assert_int_equal(woken, HM_JOURNAL_LINES_MAX + 10);
    assert_int_equal(hm_journal_last(journal), HM_JOURNAL_LINES_MAX + 10);
    assert_true(hm_journal_read(journal, 1, &line));
    assert_int_equal(line.number, 11);
    assert_string_equal(line.text, "line 11");
    assert_true(hm_journal_read(journal, HM_JOURNAL_LINES_MAX + 10, &line));
    assert_string_equal(line.text, "line 2010");
    assert_false(hm_journal_read(journal, HM_JOURNAL_LINES_MAX + 11, &line));
    hm_journal_destroy(journal);
}

/* What a stranger sends must not forge lines or move a terminal's cursor. */
HM_TEST(a_line_stays_one_line)
{
    struct hm_journal *journal = NULL;
    struct hm_journal_line line;
    char text[600];

    CHECK_OK(hm_journal_create(false, &journal));
    hm_journal_write(journal, HM_JOURNAL_INFO, "a\nb\033[2J%s", "\r");
    assert_true(hm_journal_read(journal, 1, &line));
    assert_string_equal(line.text, "a b [2J ");
    memset(text, 'x', sizeof text);
    (void)strcpy(text + HM_JOURNAL_LINE_BYTES_MAX - 3, "\xe1\xbb\x85tail");
    hm_journal_write(journal, HM_JOURNAL_INFO, "%s", text);
    assert_true(hm_journal_read(journal, 2, &line));
    assert_int_equal(strlen(line.text), HM_JOURNAL_LINE_BYTES_MAX - 3);
    hm_journal_destroy(journal);
}

HM_TEST(levels_drop_what_weighs_less)
{
    struct hm_journal *journal = NULL;
    enum hm_journal_level level = HM_JOURNAL_ERROR;

    CHECK_OK(hm_journal_create(true, &journal));
    hm_journal_write(journal, HM_JOURNAL_DEBUG, "dropped");
    hm_journal_write(journal, HM_JOURNAL_WARNING, "kept");
    CHECK_OK(hm_journal_level_from_name("debug", &level));
    hm_journal_set_level(journal, level);
    hm_journal_write(journal, HM_JOURNAL_DEBUG, "kept");
    assert_int_equal(hm_journal_last(journal), 2);
    assert_int_equal(hm_journal_level_from_name("loud", &level), HM_INVALID);
    hm_journal_destroy(journal);
}
