/* Texts for people that snprintf() has cut.
 *
 * Pure: any thread. */
#ifndef HM_PROTOCOL_TEXT_H
#define HM_PROTOCOL_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Drop the beginning of a letter at the end of UTF-8 text, whose rest was cut off: a
 * text with half a letter is none, and JSON leaves it out as a whole. */
static inline void hm_text_drop_half_letter(char *text)
{
    size_t len = strlen(text);
    size_t tail = 0; /* bytes that continue a letter */
    uint8_t lead;

    while (tail < len && tail < 3 && ((uint8_t)text[len - 1 - tail] & 0xc0U) == 0x80U) {
        tail++;
    }
    if (tail == len) {
        return;
    }
    lead = (uint8_t)text[len - 1 - tail];
    if (lead >= 0xc0 && tail < (lead >= 0xf0 ? 3U : lead >= 0xe0 ? 2U : 1U)) {
        text[len - 1 - tail] = 0;
    }
}

#endif
