/* Every way to write canonical msgpack otherwise, at every place.
 *
 * Failures end the test. One thread. */
#ifndef HM_TESTS_SUPPORT_NONCANONICAL_H
#define HM_TESTS_SUPPORT_NONCANONICAL_H

#include "protocol/buf.h"

/* One of them: bytes as they would arrive, the error that must come back, and a name
 * for people. */
typedef void (*hm_noncanonical_check)(void *arg, struct hm_bytes bytes, int expected,
                                      const char *what);

/* item: one canonical item. check is called with each other form of it: longer numbers
 * and lengths, floats of 4 bytes, NaN, types that we never use, keys that are doubled,
 * swapped or no numbers, text that is not NFC, not UTF-8, has control characters or is
 * too long, binaries that are too long, too deep nesting, elements that are missing.
 * rest is put behind each. Returns how many. */
size_t hm_noncanonical_each(struct hm_bytes item, struct hm_bytes rest,
                            hm_noncanonical_check check, void *arg);

#endif
