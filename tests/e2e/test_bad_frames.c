/* A laptop with a real token and a broken program, disk or link sends requests that are
 * nearly right. The hub says what is wrong, keeps what it can't place, and takes the
 * laptop's real changes afterwards, once. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <sodium.h>

#include "daemon/store_open.h"
#include "storage/upload.h"
#include "tests/support/e2e_data.h"
#include "tests/support/https.h"
#include "tests/support/test.h"

enum {
    HOUSEHOLDS = 30,
    CHUNK_BYTES = 64 * 1024,
    BOMB_BYTES = 32 * 1024 * 1024,
    PADDING_TYPE = 99 /* nobody knows it */
};

/* A hub, and a stopped laptop with a change that the hub has not got: what the laptop
 * would send for it, and as whom. */
struct scene {
    struct e2e_node *centre;
    struct e2e_node *laptop;
    const char *household; /* that is unsent */
    const char *change;
    json_int_t held; /* households at the centre before it */
    struct hm_arena arena;
    char token[2 * 48 + 1];
    struct hm_buf request;
    struct hm_buf reply;
};

/* The laptop's program gets no further than making its request. */
static void make_request(struct scene *s)
{
    struct hm_node_keys keys = {0};
    struct hm_store *store = NULL;
    struct hm_upload upload;
    struct hm_buf errmsg;
    struct hm_bytes token;

    hm_buf_init(&errmsg, 4096);
    assert_true(sodium_init() >= 0);
    CHECK_OK(hm_node_files_load(s->laptop->dir, &keys, &errmsg));
    CHECK_OK(hm_store_open_node(e2e_path("%s/store.db", s->laptop->name), &keys, false,
                                &store));
    CHECK_OK(hm_store_begin_read(store));
    CHECK_OK(hm_store_get_bytes(store, HM_META_TOKEN, &s->arena, &token));
    CHECK_OK(hm_store_end(store, HM_OK));
    assert_in_range(token.len, 1, sizeof s->token / 2);
    (void)sodium_bin2hex(s->token, sizeof s->token, token.data, token.len);
    CHECK_OK(hm_upload_build(store, CHUNK_BYTES, &s->request, &upload));
    assert_int_equal(upload.changes, 1);
    hm_store_close(store);
    hm_node_keys_deinit(&keys);
    hm_buf_deinit(&errmsg);
}

static void begin_scene(struct scene *s)
{
    const json_t *answer;

    *s = (struct scene){.centre = e2e_centre(false)};
    hm_arena_init(&s->arena, 1024 * 1024);
    hm_buf_init(&s->request, HM_REQUEST_BYTES_MAX);
    hm_buf_init(&s->reply, HM_REPLY_BYTES_MAX);
    (void)e2e_ok(s->centre, "import", e2e_generate(HOUSEHOLDS), "--form", "register",
                 NULL);
    s->laptop = e2e_laptop("a", s->centre, E2E_HAMLET_A, NULL);
    (void)e2e_sync(s->laptop);
    e2e_pause(s->laptop);
    answer = e2e_put(s->laptop, e2e_new_save(E2E_HAMLET_A, "Hồ Thị Mới", 3));
    s->household = e2e_str(answer, "household");
    s->change = e2e_str(answer, "change");
    e2e_stop(s->laptop);
    s->held = e2e_household_count(s->centre);
    make_request(s);
}

/* The laptop's own program takes over: its change arrives, once. */
static void end_scene(struct scene *s)
{
    e2e_start(s->laptop);
    e2e_resume(s->laptop);
    (void)e2e_sync(s->laptop);
    assert_int_equal(e2e_int(e2e_ok(s->laptop, "status", NULL), "unsent.changes"), 0);
    assert_int_equal(e2e_household_count(s->centre), s->held + 1);
    e2e_check_field(s->centre, s->household, "head_name", "Hồ Thị Mới");
    assert_int_equal(e2e_times_in_history(s->centre, s->household, s->change), 1);
    assert_string_equal(e2e_digest(s->laptop, E2E_HAMLET_A),
                        e2e_digest(s->centre, E2E_HAMLET_A));
    hm_buf_deinit(&s->request);
    hm_buf_deinit(&s->reply);
    hm_arena_deinit(&s->arena);
    e2e_finish();
}

static long post_as(struct scene *s, const char *type, struct hm_bytes body)
{
    hm_buf_clear(&s->reply);
    return hm_https_send(&(struct hm_https_request){.port = s->centre->hub_port,
                                                    .path = "/sync/v1",
                                                    .token = s->token,
                                                    .type = type,
                                                    .body = body.data,
                                                    .len = body.len,
                                                    .reply = &s->reply});
}

static long post(struct scene *s, struct hm_bytes body)
{
    return post_as(s, NULL, body);
}

/* The last answer is a problem with one line for people. */
static void check_problem(struct scene *s, long status)
{
    json_t *problem = json_loadb((const char *)s->reply.data, s->reply.len, 0, NULL);
    const char *detail;

    assert_non_null(problem);
    (void)e2e_keep(problem);
    detail = e2e_str(problem, "detail");
    e2e_step("%ld: %s", status, detail);
    assert_int_equal(e2e_int(problem, "status"), status);
    assert_true(detail[0] != 0 && strchr(detail, '\n') == NULL);
}

static void check_refused(struct scene *s, long status, struct hm_bytes body)
{
    assert_int_equal(post(s, body), status);
    check_problem(s, status);
    assert_int_equal(e2e_household_count(s->centre), s->held);
}

/* The TIME of the last answer. */
static struct hm_time check_taken(struct scene *s, struct hm_bytes body)
{
    struct hm_reader r;
    struct hm_frame frame;
    struct hm_time time;

    assert_int_equal(post(s, body), 200);
    r = (struct hm_reader){.left = hm_buf_bytes(&s->reply)};
    assert_true(hm_frame_read(&r, &frame));
    assert_int_equal(frame.type, HM_FRAME_TIME);
    CHECK_OK(hm_time_read(frame.payload, &time));
    return time;
}

/* The first frame of this type in the real request. */
static struct hm_bytes frame_of(const struct scene *s, unsigned type)
{
    struct hm_reader r = {.left = hm_buf_bytes(&s->request)};
    struct hm_frame frame;

    while (hm_frame_read(&r, &frame)) {
        if (frame.type == type) {
            return frame.payload;
        }
    }
    e2e_fail("no frame %u in the request", type);
}

static bool is_boundary(const struct scene *s, size_t len)
{
    struct hm_reader r = {.left = hm_bytes_of(s->request.data, len)};
    struct hm_frame frame;

    while (hm_frame_read(&r, &frame)) {
    }
    return r.err == HM_OK;
}

/* HELLO of the laptop and one more frame. */
static struct hm_buf with_hello(const struct scene *s, unsigned type,
                                struct hm_bytes payload)
{
    struct hm_buf buf;

    hm_buf_init(&buf, 4 * HM_REQUEST_BYTES_MAX);
    hm_frame_write(&buf, HM_FRAME_HELLO, frame_of(s, HM_FRAME_HELLO));
    hm_frame_write(&buf, (enum hm_frame_type)type, payload);
    CHECK_OK(buf.err);
    return buf;
}

/* Nothing of a request that isn't whole is taken, not even the frames that are. */
HM_TEST(half_a_request_is_400_and_changes_nothing)
{
    struct scene s;
    struct hm_bytes hello;
    struct hm_buf twice;
    size_t cuts = 0;
    size_t step;

    begin_scene(&s);
    hello = frame_of(&s, HM_FRAME_HELLO);
    check_refused(&s, 400, hm_bytes_of(s.request.data, 0));
    check_refused(
        &s, 400,
        hm_bytes_of(hello.data + hello.len,
                    s.request.len - (size_t)(hello.data + hello.len - s.request.data)));
    twice = with_hello(&s, HM_FRAME_HELLO, hello);
    check_refused(&s, 400, hm_buf_bytes(&twice));
    hm_buf_deinit(&twice);
    check_refused(&s, 400, hm_bytes_str("\x01\xff\xff\xff\xff\xff"));
    step = s.request.len / 40 + 1;
    for (size_t len = s.request.len - 1; len > step; len -= step) {
        if (!is_boundary(&s, len)) {
            assert_int_equal(post(&s, hm_bytes_of(s.request.data, len)), 400);
            cuts++;
        }
    }
    e2e_step("%zu cuts refused", cuts);
    assert_in_range(cuts, 20, 45);
    check_problem(&s, 400);
    assert_int_equal(e2e_household_count(s.centre), s.held);
    end_scene(&s);
}

/* A newer laptop says more, an alien one something else. */
HM_TEST(unknown_frames_are_skipped_and_unknown_versions_told)
{
    static const unsigned types[] = {0, 30, 31, 63, 127, 255};
    struct hm_time time;
    struct hm_hello hello;
    struct hm_buf alien;
    struct scene s;
    char text[HM_MESSAGE_TEXT_MAX + 1];

    begin_scene(&s);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct hm_buf body = with_hello(&s, types[i], hm_bytes_str("\xc1 anything"));

        time = check_taken(&s, hm_buf_bytes(&body));
        assert_int_equal(time.version, HM_PROTOCOL_VERSION);
        hm_buf_deinit(&body);
    }
    CHECK_OK(hm_hello_read(frame_of(&s, HM_FRAME_HELLO), &s.arena, &hello));
    hello.version_min = 99;
    hello.version_max = 100;
    hm_buf_init(&alien, HM_REQUEST_BYTES_MAX);
    hm_hello_write(&alien, &hello);
    hm_frame_write(&alien, HM_FRAME_SEGMENT, frame_of(&s, HM_FRAME_SEGMENT));
    time = check_taken(&s, hm_buf_bytes(&alien));
    (void)snprintf(text, sizeof text, "%.*s", (int)time.text.len,
                   (const char *)time.text.data);
    e2e_step("version %d: %s", (int)time.version, text);
    assert_int_equal(time.version, 0);
    assert_non_null(strstr(text, "install"));
    assert_int_equal(e2e_household_count(s.centre), s.held);

    e2e_step("another device's name on it");
    hello.version_min = hello.version_max = HM_PROTOCOL_VERSION;
    hello.device++;
    hm_buf_clear(&alien);
    hm_hello_write(&alien, &hello);
    check_refused(&s, 403, hm_buf_bytes(&alien));
    hm_buf_deinit(&alien);
    end_scene(&s);
}

static void check_quarantined(struct scene *s, size_t count)
{
    const json_t *list = e2e_ok(s->centre, "quarantine", "list", NULL);
    json_t *entry;
    size_t at;

    if (e2e_count(list, "") != count) {
        e2e_fail("%zu expected in quarantine: %s", count, e2e_text(list));
    }
    json_array_foreach(list, at, entry)
    {
        const char *reason = e2e_str(entry, "reason");

        e2e_step("%s: %s", e2e_str(entry, "id"), reason);
        assert_string_equal(e2e_str(entry, "state"), "held");
        assert_true(reason[0] != 0 && strchr(reason, '\n') == NULL);
        assert_string_equal(
            e2e_str(e2e_ok(s->centre, "quarantine", "show", e2e_str(entry, "id"), NULL),
                    "reason"),
            reason);
    }
    assert_int_equal(e2e_int(e2e_ok(s->centre, "status", NULL), "quarantine"), count);
}

/* A disk or a memory turns a bit. Wherever in the segment it is, the hub keeps the
 * bytes as evidence, once, and the log stands where it stood. */
HM_TEST(a_flipped_bit_is_kept_apart)
{
    enum { FLIPS = 8 };
    struct scene s;
    struct hm_bytes good;
    uint8_t bad[HM_SEGMENT_BYTES_MAX];

    begin_scene(&s);
    good = frame_of(&s, HM_FRAME_SEGMENT);
    for (size_t i = 0; i < FLIPS; i++) {
        struct hm_buf body;

        memcpy(bad, good.data, good.len);
        bad[i * (good.len - 1) / (FLIPS - 1)] ^= 0x10;
        body = with_hello(&s, HM_FRAME_SEGMENT, hm_bytes_of(bad, good.len));
        (void)check_taken(&s, hm_buf_bytes(&body));
        (void)check_taken(&s, hm_buf_bytes(&body));
        hm_buf_deinit(&body);
    }
    check_quarantined(&s, FLIPS);
    assert_int_equal(e2e_household_count(s.centre), s.held);
    assert_int_equal(
        e2e_cli(s.centre, "quarantine", "export", "-o", e2e_path("kept.jsonl"), NULL)
            ->exit_code,
        E2E_DONE);
    assert_non_null(strstr(e2e_read_file(e2e_path("kept.jsonl")), "\"bytes\""));
    end_scene(&s);
}

static long resident_kb(const struct e2e_node *node)
{
    char path[64];
    char line[256];
    long kb = -1;
    FILE *file;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)node->pid);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            kb = strtol(line + 6, NULL, 10);
        }
    }
    (void)fclose(file);
    return kb;
}

/* The signature covers header and chain: the body behind them may be anything. */
HM_TEST(a_bomb_in_a_segment_does_not_go_off)
{
    struct scene s;
    struct hm_segment real;
    struct hm_buf bomb;
    struct hm_buf body;
    uint8_t *zeros = calloc(1, BOMB_BYTES);
    long before;

    assert_non_null(zeros);
    begin_scene(&s);
    CHECK_OK(hm_segment_open(frame_of(&s, HM_FRAME_SEGMENT), &real));
    hm_buf_init(&bomb, 2 * BOMB_BYTES);
    hm_buf_append(&bomb, real.header);
    CHECK_OK(hm_compress(hm_bytes_of(zeros, BOMB_BYTES), HM_DICTIONARY_NONE, &bomb));
    hm_buf_append(&bomb, hm_hash_bytes(&real.chain));
    hm_buf_append(&bomb, hm_bytes_of(real.signature, HM_SIGNATURE_BYTES));
    e2e_step("%zu bytes that hold %d", bomb.len, (int)BOMB_BYTES);
    assert_in_range(bomb.len, 100, HM_SEGMENT_BYTES_MAX);
    body = with_hello(&s, HM_FRAME_SEGMENT, hm_buf_bytes(&bomb));
    before = resident_kb(s.centre);
    (void)check_taken(&s, hm_buf_bytes(&body));
    e2e_step("%ld kB at most before, %ld kB after", before, resident_kb(s.centre));
    assert_true(resident_kb(s.centre) < before + BOMB_BYTES / 1024 / 2);
    check_quarantined(&s, 1);
    hm_buf_deinit(&body);
    hm_buf_deinit(&bomb);
    free(zeros);
    end_scene(&s);
}

/* The limit holds to the byte, and only for one kind of body. */
HM_TEST(two_mebibytes_and_no_byte_more)
{
    const size_t spare = 64 * 1024;
    uint8_t *padding = calloc(1, HM_REQUEST_BYTES_MAX);
    struct hm_buf body;
    struct scene s;

    assert_non_null(padding);
    begin_scene(&s);
    body = with_hello(&s, PADDING_TYPE,
                      hm_bytes_of(padding, HM_REQUEST_BYTES_MAX - spare));
    /* A payload of less than 128 kB and more than 16 kB has 4 bytes in front. */
    hm_frame_write(&body, (enum hm_frame_type)PADDING_TYPE,
                   hm_bytes_of(padding, HM_REQUEST_BYTES_MAX - body.len - 4));
    assert_int_equal(body.len, HM_REQUEST_BYTES_MAX);
    (void)check_taken(&s, hm_buf_bytes(&body));
    hm_buf_append_u8(&body, 0);
    assert_int_equal(
        hm_https_send(&(struct hm_https_request){.port = s.centre->hub_port,
                                                 .path = "/sync/v1",
                                                 .token = s.token,
                                                 .asks_first = true,
                                                 .body = body.data,
                                                 .len = body.len}),
        413);
    hm_buf_deinit(&body);
    free(padding);

    e2e_step("other kinds of body");
    assert_int_equal(post_as(&s, "application/json", hm_buf_bytes(&s.request)), 415);
    check_problem(&s, 415);
    assert_int_equal(post_as(&s, "text/plain", hm_buf_bytes(&s.request)), 415);
    assert_int_equal(e2e_household_count(s.centre), s.held);
    end_scene(&s);
}

struct sender {
    struct scene *scene;
    pthread_t thread;
    long status;
};

static void *send_request(void *arg)
{
    struct sender *sender = arg;

    sender->status = hm_https_send(
        &(struct hm_https_request){.port = sender->scene->centre->hub_port,
                                   .path = "/sync/v1",
                                   .token = sender->scene->token,
                                   .body = sender->scene->request.data,
                                   .len = sender->scene->request.len});
    return NULL;
}

/* A laptop that gave up on a slow link tries again while its first request still
 * arrives. */
HM_TEST(the_same_request_at_the_same_time_counts_once)
{
    struct sender senders[6];
    struct scene s;

    assert_int_equal(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
    begin_scene(&s);
    for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
        senders[i] = (struct sender){.scene = &s};
        CHECK_OK(pthread_create(&senders[i].thread, NULL, send_request, &senders[i]));
    }
    for (size_t i = 0; i < sizeof senders / sizeof *senders; i++) {
        CHECK_OK(pthread_join(senders[i].thread, NULL));
        assert_int_equal(senders[i].status, 200);
    }
    assert_int_equal(e2e_household_count(s.centre), s.held + 1);
    check_quarantined(&s, 0);
    end_scene(&s);
    curl_global_cleanup();
}
