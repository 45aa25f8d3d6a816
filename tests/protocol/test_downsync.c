/* The parent's end of a sync, as transcripts: a request's frames in, wishes out. */
#include "protocol/downsync.h"

#include "tests/support/test.h"

static struct hm_arena arena;
static struct hm_buf request;
static struct hm_buf wished; /* what was wished */

static const struct hm_hello hello = {.version_min = 1,
                                      .version_max = 3,
                                      .device = 12,
                                      .wall_ms = 1790000000000,
                                      .reply_bytes = 8192};

static void begin(void)
{
    hm_arena_init(&arena, 64 * 1024 * 1024);
    hm_buf_init(&request, 4 * HM_REQUEST_BYTES_MAX);
    hm_buf_init(&wished, 1024 * 1024);
}

static void end(void)
{
    hm_arena_deinit(&arena);
    hm_buf_deinit(&request);
    hm_buf_deinit(&wished);
}

static void put_segment(const char *text)
{
    hm_frame_write(&request, HM_FRAME_SEGMENT, hm_bytes_str(text));
}

/* Logs with the numbers first, first + 1 .. */
static void put_logs(uint64_t first, size_t count)
{
    struct hm_log_offer logs[8] = {{0}};

    for (size_t i = 0; i < count; i++) {
        logs[i].incarnation = first + i;
        logs[i].upto = 10 * (first + i);
    }
    hm_logs_write(&request, logs, count);
}

static void put_cursor(uint32_t scope)
{
    struct hm_cursor cursor = {.scope = scope, .position = 7};

    hm_cursor_write(&request, &cursor);
}

static void put_hashes(uint32_t scope)
{
    struct hm_hash_list list = {.scope = scope,
                                .prefixes = hm_bytes_of("abcdefghabcdefgi", 16)};

    hm_hash_list_write(&request, HM_FRAME_HASHES, &list);
}

static void put_want(uint64_t offset)
{
    struct hm_want want = {.hash = {1, 2}, .offset = offset};

    hm_want_write(&request, &want);
}

static void note(const struct hm_downsync_wish *wish)
{
    hm_buf_append_str(&wished, hm_downsync_stores(wish) ? "store " : "");
    switch (wish->type) {
    case HM_DOWNSYNC_CHECK:
        hm_buf_printf(&wished, "check %d upto %d\n", (int)wish->u.offer.incarnation,
                      (int)wish->u.offer.upto);
        break;
    case HM_DOWNSYNC_ACCEPT:
        hm_buf_append_str(&wished, "accept ");
        hm_buf_append(&wished, wish->u.segment);
        hm_buf_append_str(&wished, "\n");
        break;
    case HM_DOWNSYNC_FEED:
        hm_buf_printf(&wished, "feed %d from %d\n", (int)wish->u.cursor.scope,
                      (int)wish->u.cursor.position);
        break;
    case HM_DOWNSYNC_COMPARE:
        hm_buf_printf(&wished, "compare %d with %d\n", (int)wish->u.hashes.scope,
                      (int)(wish->u.hashes.prefixes.len / HM_HASH_PREFIX_BYTES));
        break;
    case HM_DOWNSYNC_BLOB:
        hm_buf_printf(&wished, "blob %d from %d\n", wish->u.want.hash[1],
                      (int)wish->u.want.offset);
        break;
    case HM_DOWNSYNC_GRANT:
        hm_buf_append_str(&wished, "grant ");
        hm_buf_append(&wished, wish->u.item);
        hm_buf_append_str(&wished, "\n");
        break;
    case HM_DOWNSYNC_TELL:
        hm_buf_printf(&wished, "tell from %d\n", (int)wish->u.heard.position);
        break;
    case HM_DOWNSYNC_DONE:
        hm_buf_append_str(&wished, "done\n");
        break;
    }
}

/* Works the request off; wished ends with "done" or the name of the error. */
static void run(void)
{
    struct hm_downsync d;
    struct hm_downsync_wish wish = {.type = HM_DOWNSYNC_ACCEPT};
    int err;

    CHECK_OK(request.err);
    hm_buf_clear(&wished);
    err = hm_downsync_init(&d, hm_buf_bytes(&request), &arena);
    while (err == HM_OK) {
        err = hm_downsync_next(&d, &wish);
        if (err == HM_OK) {
            note(&wish);
            if (wish.type == HM_DOWNSYNC_DONE) {
                return;
            }
        }
    }
    hm_buf_append_str(&wished, hm_err_name(err));
}

static int init_error(void)
{
    struct hm_downsync d;
    struct hm_downsync before;
    int err;

    memset(&d, 0x5a, sizeof d);
    before = d;
    err = hm_downsync_init(&d, hm_buf_bytes(&request), &arena);
    if (err != HM_OK) {
        assert_memory_equal(&d, &before, sizeof d); /* unchanged on error */
    }
    return err;
}

/* Whatever the order of the frames: all that must be durable comes first, each phase in
 * the order of the frames, each log of a LOGS frame by itself. */
HM_TEST(stores_before_it_answers)
{
    begin();
    hm_hello_write(&request, &hello);
    put_cursor(17);
    put_segment("one");
    put_want(4096);
    put_logs(5, 2);
    put_hashes(17);
    put_segment("two");
    put_logs(8, 0);
    put_logs(9, 1);
    put_cursor(0);
    run();
    assert_string_equal(hm_buf_str(&wished), "store accept one\n"
                                             "store check 5 upto 50\n"
                                             "store check 6 upto 60\n"
                                             "store accept two\n"
                                             "store check 9 upto 90\n"
                                             "feed 17 from 7\n"
                                             "blob 2 from 4096\n"
                                             "compare 17 with 2\n"
                                             "feed 0 from 7\n"
                                             "done\n");
    end();
}

/* A quiet sync: nothing to store, nothing to answer; asked again it is still done. */
HM_TEST(a_hello_alone_is_done)
{
    struct hm_downsync d;
    struct hm_downsync_wish wish;

    begin();
    hm_hello_write(&request, &hello);
    CHECK_OK(hm_downsync_init(&d, hm_buf_bytes(&request), &arena));
    assert_int_equal(d.hello.device, 12);
    assert_int_equal(d.hello.reply_bytes, 8192);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(hm_downsync_next(&d, &wish));
        assert_int_equal(wish.type, HM_DOWNSYNC_DONE);
    }
    end();
}

/* A newer child may say more: what an older parent doesn't know it passes over, as it
 * does frames that belong into a reply. */
HM_TEST(passes_over_what_it_does_not_know)
{
    struct hm_receipt receipt = {.incarnation = 1, .count = 1, .level = HM_LEVEL_HUB};

    begin();
    hm_hello_write(&request, &hello);
    hm_frame_write(&request, (enum hm_frame_type)31, hm_bytes_str("?"));
    hm_receipt_write(&request, &receipt);
    put_segment("one");
    hm_frame_write(&request, (enum hm_frame_type)255, hm_bytes_of(NULL, 0));
    hm_frame_write(&request, (enum hm_frame_type)0, hm_bytes_str("\xc1"));
    hm_frame_write(&request, HM_FRAME_MORE, hm_bytes_of(NULL, 0));
    put_cursor(17);
    run();
    assert_string_equal(hm_buf_str(&wished), "store accept one\n"
                                             "feed 17 from 7\n"
                                             "done\n");
    end();
}

HM_TEST(hello_stands_first_and_once)
{
    begin();
    assert_int_equal(init_error(), HM_MALFORMED); /* nothing at all */
    put_cursor(17);
    assert_int_equal(init_error(), HM_MALFORMED);
    hm_hello_write(&request, &hello);
    assert_int_equal(init_error(), HM_MALFORMED);
    hm_buf_clear(&request);
    hm_hello_write(&request, &hello);
    put_cursor(17);
    CHECK_OK(init_error());
    hm_hello_write(&request, &hello);
    assert_int_equal(init_error(), HM_MALFORMED);
    hm_buf_clear(&request);
    hm_frame_write(&request, HM_FRAME_HELLO, hm_bytes_str("\x90"));
    assert_int_equal(init_error(), HM_MALFORMED);
    end();
}

HM_TEST(versions_must_overlap)
{
    static const struct {
        uint64_t min;
        uint64_t max;
        int err;
    } cases[] = {{1, 1, HM_OK},
                 {0, 1, HM_OK},
                 {1, UINT64_MAX, HM_OK},
                 {2, 9, HM_VERSION},
                 {0, 0, HM_VERSION},
                 {2, 0, HM_VERSION},
                 {UINT64_MAX, UINT64_MAX, HM_VERSION}};

    begin();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hm_hello other = hello;

        other.version_min = cases[i].min;
        other.version_max = cases[i].max;
        hm_buf_clear(&request);
        hm_hello_write(&request, &other);
        assert_int_equal(init_error(), cases[i].err);
    }
    end();
}

/* A frame that can't be read ends the request there; what was wished before it, and in
 * the phase before, stands. */
HM_TEST(a_bad_frame_ends_the_request)
{
    begin();
    hm_hello_write(&request, &hello);
    put_segment("one");
    put_cursor(17);
    hm_frame_write(&request, HM_FRAME_CURSOR, hm_bytes_str("\x95\1\2\3\4"));
    put_segment("two");
    put_cursor(18);
    run();
    assert_string_equal(hm_buf_str(&wished), "store accept one\n"
                                             "store accept two\n"
                                             "feed 17 from 7\n"
                                             "TRUNCATED");
    hm_buf_clear(&request);
    hm_hello_write(&request, &hello);
    put_segment("one");
    hm_frame_write(&request, HM_FRAME_LOGS, hm_bytes_str("\x91\x92\1\2"));
    put_segment("two");
    put_cursor(17);
    run();
    assert_string_equal(hm_buf_str(&wished), "store accept one\nMALFORMED");
    end();
}

/* Cut anywhere, a request is refused before anything is wished, unless the cut is
 * between two frames. */
HM_TEST(a_cut_request)
{
    size_t whole = 0;

    begin();
    hm_hello_write(&request, &hello);
    put_segment("one");
    put_logs(1, 3);
    put_cursor(17);
    put_want(1);
    for (size_t len = 0; len <= request.len; len++) {
        struct hm_bytes cut = hm_bytes_of(request.data, len);
        struct hm_downsync d;
        int err = hm_downsync_init(&d, cut, &arena);

        whole += err == HM_OK;
        assert_true(err == HM_OK || err == (len == 0 ? HM_MALFORMED : HM_TRUNCATED));
    }
    assert_int_equal(whole, 5);
    end();
}

HM_TEST(too_many_frames)
{
    begin();
    hm_hello_write(&request, &hello);
    for (size_t i = 1; i < HM_REQUEST_FRAMES_MAX; i++) {
        hm_frame_write(&request, HM_FRAME_SEGMENT, hm_bytes_of(NULL, 0));
    }
    CHECK_OK(init_error());
    hm_frame_write(&request, HM_FRAME_SEGMENT, hm_bytes_of(NULL, 0));
    assert_int_equal(init_error(), HM_MALFORMED);
    end();
}

HM_TEST(too_many_bytes)
{
    static const uint8_t zeros[HM_REQUEST_BYTES_MAX];
    size_t left;

    begin();
    hm_hello_write(&request, &hello);
    left = HM_REQUEST_BYTES_MAX - request.len - 4; /* a frame's type and length */
    hm_frame_write(&request, HM_FRAME_SEGMENT, hm_bytes_of(zeros, left));
    assert_int_equal(request.len, HM_REQUEST_BYTES_MAX);
    CHECK_OK(init_error());
    put_segment("");
    assert_int_equal(init_error(), HM_TOOBIG);
    end();
}

HM_TEST(no_memory_for_the_offers)
{
    begin();
    hm_hello_write(&request, &hello);
    put_segment("one");
    put_logs(1, 8);
    hm_arena_deinit(&arena);
    hm_arena_init(&arena, 8 * sizeof(struct hm_log_offer) / 2);
    run();
    assert_string_equal(hm_buf_str(&wished), "store accept one\nNOMEM");
    end();
}

/* A caller that asks on after an error must not get the frames behind it: the request
 * has ended. The wish keeps what it held. */
HM_TEST(an_error_is_the_end)
{
    struct hm_downsync d;
    struct hm_downsync_wish wish = {.type = HM_DOWNSYNC_DONE};

    begin();
    hm_hello_write(&request, &hello);
    hm_frame_write(&request, HM_FRAME_WANT, hm_bytes_str("\xc0"));
    put_cursor(17);
    CHECK_OK(hm_downsync_init(&d, hm_buf_bytes(&request), &arena));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hm_downsync_next(&d, &wish), HM_MALFORMED);
        assert_int_equal(wish.type, HM_DOWNSYNC_DONE);
    }
    end();
}
