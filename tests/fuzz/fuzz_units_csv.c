/* The units file: every line that can be read has NFC texts, lines rise. */
#include "protocol/guard.h"
#include "storage/units_csv.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_units_line *lines = NULL;
    const char *reason = NULL;
    struct hm_arena arena;
    size_t count = 0;
    int err;

    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    err = hm_units_csv_read(hm_bytes_of(data, size), &arena, &lines, &count, &reason);
    HM_FUZZ_ERR(err, HM_INVALID, HM_TOOBIG);
    HM_FUZZ_CHECK(err != HM_INVALID || reason != NULL);
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        HM_FUZZ_CHECK(lines[i].line >= 2 - (size_t)(i == 0) &&
                      (i == 0 || lines[i].line > lines[i - 1].line));
        for (size_t k = 0; k < HM_UNITS_COLUMNS && lines[i].reason == NULL; k++) {
            struct hm_bytes field = hm_bytes_str(lines[i].fields[k]);

            HM_FUZZ_CHECK(lines[i].fields[k] != NULL);
            HM_FUZZ_CHECK(field.len == 0 || hm_guard_text(field) != HM_MALFORMED);
        }
    }
    HM_FUZZ_CHECK(arena.used <= 256 * size + 65536);
    hm_arena_deinit(&arena);
    return 0;
}
