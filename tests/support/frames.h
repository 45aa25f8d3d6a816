/* Whole requests and replies for tests: read, shown to people, written again. */
#ifndef HM_TESTS_SUPPORT_FRAMES_H
#define HM_TESTS_SUPPORT_FRAMES_H

#include "protocol/message.h"

/* Reads every frame of body with its codec. Appends to dump a text that people can
 * check by eye, and to again the same frames written anew; a SEGMENT, what is
 * compressed in a FEED or GIVE, and types that nobody knows are copied. dictionary
 * serves the feeds that name one.
 *
 * Errors: as the frames' readers. */
int hm_frames_decode(struct hm_bytes body, struct hm_dictionary dictionary,
                     struct hm_arena *arena, struct hm_buf *dump,
                     struct hm_buf *again) HM_MUST_USE;

/* A request, and a reply, that hold every type of frame and one that nobody knows.
 * segment and states are put into them. */
void hm_frames_request(struct hm_bytes segment, struct hm_buf *out);
void hm_frames_reply(struct hm_bytes states, struct hm_dictionary dictionary,
                     struct hm_buf *out);

#endif
