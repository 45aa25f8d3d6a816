#include "protocol/fold.h"

#include <stdlib.h>
#include <utf8proc.h>

const char *hm_fold(struct hm_bytes text, struct hm_arena *arena)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                      UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
                                      UTF8PROC_STRIPMARK;
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t len =
        utf8proc_map(text.data, (utf8proc_ssize_t)text.len, &mapped, options);
    const char *folded = NULL;

    if (len >= 0) {
        utf8proc_ssize_t out = 0;

        for (utf8proc_ssize_t i = 0; i < len; i++) {
            if (mapped[i] == 0xC4 && i + 1 < len && mapped[i + 1] == 0x91) {
                mapped[out++] = 'd'; /* đ is a letter of its own, without a mark */
                i++;
            } else {
                mapped[out++] = mapped[i];
            }
        }
        folded = hm_arena_text(arena, hm_bytes_of(mapped, (size_t)out));
    } else if (len == UTF8PROC_ERROR_INVALIDUTF8) {
        folded = "";
    }
    free(mapped);
    return folded;
}
