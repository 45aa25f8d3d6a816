/* Changes, births, segments and states as text that people can check by eye. */
#ifndef HM_TESTS_SUPPORT_DUMP_H
#define HM_TESTS_SUPPORT_DUMP_H

#include "protocol/household.h"
#include "protocol/segment.h"

/* One msgpack item: JSON, binary as h'..', map keys bare. */
void hm_dump_value(struct hm_bytes value, struct hm_buf *out);
void hm_dump_change(const struct hm_change *change, const struct hm_dot *dot,
                    struct hm_buf *out);
void hm_dump_birth(const struct hm_birth *birth, struct hm_buf *out);
/* The header, then each entry. */
void hm_dump_segment(const struct hm_segment *segment, const struct hm_bytes *entries,
                     struct hm_buf *out);
void hm_dump_state(const struct hm_household *h, struct hm_buf *out);

#endif
