#include "daemon/serve/csv_in.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

/* Each line was searched for a line feed to the end of the file, which an old Mac's
 * file does not have: hours for this one, on the only thread that writes. */
HM_TEST(a_file_without_line_feeds_is_read_in_linear_time)
{
    enum { LINES = 4000000 };
    struct hm_csv_record record;
    struct hm_csv_in *csv = NULL;
    char *bytes = malloc(2 * (size_t)LINES);
    uint64_t count = 0;
    bool found = true;

    assert_non_null(bytes);
    for (size_t i = 0; i < LINES; i++) {
        bytes[2 * i] = 'x';
        bytes[2 * i + 1] = '\r';
    }
    CHECK_OK(hm_csv_in_open(hm_bytes_of(bytes, 2 * (size_t)LINES), &csv));
    while (found) {
        struct hm_arena arena;

        hm_arena_init(&arena, 1 << 20);
        CHECK_OK(hm_csv_in_next(csv, &arena, &record, &found));
        count += found ? 1 : 0;
        assert_true(!found || (record.line == count && record.count == 1));
        hm_arena_deinit(&arena);
    }
    assert_int_equal(count, LINES);
    hm_csv_in_close(csv);
    free(bytes);
}
