#include "protocol/text.h"

#include "protocol/guard.h"
#include "tests/support/test.h"

/* Wherever a text is cut, what is left is text and misses less than a letter. */
HM_TEST(cut_anywhere)
{
    static const char whole[] = "aếđ😀 Vàng A Sình ½ €";
    char text[sizeof whole];

    for (size_t len = 0; len < sizeof whole; len++) {
        memcpy(text, whole, len);
        text[len] = 0;
        hm_text_drop_half_letter(text);
        CHECK_OK(hm_guard_text(hm_bytes_str(text)));
        assert_true(strlen(text) + 4 > len);
        assert_memory_equal(text, whole, strlen(text));
    }
    assert_string_equal(text, whole);
}
