/* What fuzz targets share. A target is LLVMFuzzerTestOneInput(): it takes any bytes and
 * ends the process when a property does not hold, which is a finding.
 *
 * One thread. */
#ifndef HM_TESTS_FUZZ_FUZZ_H
#define HM_TESTS_FUZZ_FUZZ_H

#include "protocol/arena.h"
#include "protocol/buf.h"
#include "protocol/compress.h"
#include "protocol/hash.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max,
                               unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

enum { HM_FUZZ_ARENA_BYTES_MAX = 64 * 1024 * 1024 };

/* A property. HM_ASSERT() is on in every build. */
#define HM_FUZZ_CHECK(condition) HM_ASSERT(condition)
/* err is HM_OK or one of those that the header promises. */
#define HM_FUZZ_ERR(err, ...)                                                          \
    HM_ASSERT(                                                                         \
        hm_fuzz_is_among((err), (const int[]){HM_OK, __VA_ARGS__},                     \
                         sizeof((const int[]){HM_OK, __VA_ARGS__}) / sizeof(int)))
bool hm_fuzz_is_among(int err, const int *list, size_t count);
/* What a reader of guarded bytes may say. */
#define HM_FUZZ_GUARD_ERRORS HM_TRUNCATED, HM_MALFORMED, HM_TOOBIG, HM_NONCANONICAL

/* part lies wholly in whole; an empty one lies everywhere. */
bool hm_fuzz_lies_in(struct hm_bytes part, struct hm_bytes whole);

/* A file below tests/fixtures, read once, for the life of the process. */
struct hm_bytes hm_fuzz_fixture(const char *relative);
/* tests/fixtures/wire/dictionary.bin. */
struct hm_dictionary hm_fuzz_dictionary(void);

/* Read every frame of body with its codec and write it anew: the bytes are the same,
 * but for HELLO and TIME, whose newer parts are dropped, and an empty FEED or GIVE,
 * whose dictionary is. Written a second time, all of them are. */
void hm_fuzz_check_frames(struct hm_bytes body);

/* Choices from the input: each takes a byte, 0 when there is none left. */
static inline unsigned hm_fuzz_below(struct hm_bytes *input, unsigned count)
{
    unsigned value = 0;

    if (input->len > 0) {
        value = input->data[0];
        input->data++;
        input->len--;
    }
    return value % count;
}

/* What stands before the next byte `end`, which is dropped, or everything. */
struct hm_bytes hm_fuzz_until(struct hm_bytes *input, uint8_t end);

#endif
