/* A request at the parent: every wish points into it, what must be durable comes before
 * what is answered, it ends, and it reads the same twice. Every frame that can be read
 * writes the same bytes again. */
#include "protocol/downsync.h"
#include "tests/fuzz/fuzz.h"

static void check_wish(const struct hm_downsync_wish *wish, struct hm_bytes request)
{
    if (wish->type == HM_DOWNSYNC_ACCEPT) {
        HM_FUZZ_CHECK(hm_fuzz_lies_in(wish->u.segment, request));
    } else if (wish->type == HM_DOWNSYNC_COMPARE) {
        HM_FUZZ_CHECK(hm_fuzz_lies_in(wish->u.hashes.prefixes, request));
        HM_FUZZ_CHECK(wish->u.hashes.prefixes.len % HM_HASH_PREFIX_BYTES == 0);
    }
}

/* Returns how it ended, with the wishes by type. */
static int run(struct hm_bytes request, size_t wishes[HM_DOWNSYNC_DONE + 1])
{
    struct hm_downsync_wish wish = {.type = HM_DOWNSYNC_CHECK};
    struct hm_downsync d;
    struct hm_arena arena;
    bool answering = false;
    size_t steps = 0;
    int err;

    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    err = hm_downsync_init(&d, request, &arena);
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS, HM_VERSION);
    while (err == HM_OK && wish.type != HM_DOWNSYNC_DONE) {
        err = hm_downsync_next(&d, &wish);
        HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS);
        HM_FUZZ_CHECK(++steps <= 2 + 2 * request.len);
        if (err != HM_OK) {
            HM_FUZZ_CHECK(hm_downsync_next(&d, &wish) == err);
            break;
        }
        HM_FUZZ_CHECK(!(answering && hm_downsync_stores(&wish)));
        answering = !hm_downsync_stores(&wish);
        wishes[wish.type]++;
        check_wish(&wish, request);
    }
    HM_FUZZ_CHECK(arena.used <= 64 * request.len + 4096);
    hm_arena_deinit(&arena);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes request = hm_bytes_of(data, size);
    size_t first[HM_DOWNSYNC_DONE + 1] = {0};
    size_t second[HM_DOWNSYNC_DONE + 1] = {0};
    int err = run(request, first);

    HM_FUZZ_CHECK(run(request, second) == err);
    HM_FUZZ_CHECK(memcmp(first, second, sizeof first) == 0);
    hm_fuzz_check_frames(request);
    return 0;
}
