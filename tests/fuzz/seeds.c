/* fuzz_seeds FOLDER: the inputs that a person could not type, one file each in
 * FOLDER/<target>: what a village really says, taken apart as the targets want it. From
 * them, the golden files and hand-written texts the corpora were grown. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "protocol/enroll_code.h"
#include "protocol/guard.h"
#include "protocol/message.h"
#include "protocol/segment.h"
#include "storage/items.h"
#include "storage/people.h"
#include "storage/rounds.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rollback.h"

enum { WAY_TAKEN_APART = 65, WAY_SIGNED = 66, CHUNK_BYTES = 64 * 1024 };

static const char *folder;

static void put(const char *target, const char *name, struct hm_bytes bytes)
{
    char path[1024];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/%s", folder, target);
    (void)mkdir(path, 0777); /* it may be there */
    (void)snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes.data, 1, bytes.len, file) != bytes.len ||
        fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

/* A feed with its states as they are. */
static void unpack_feed(const struct hm_frame *frame, struct hm_arena *arena,
                        struct hm_buf *out)
{
    struct hm_bytes *items = NULL;
    struct hm_bytes head = {0};
    struct hm_buf payload;
    struct hm_feed feed;
    size_t count = 0;

    CHECK_OK(hm_feed_read(frame->payload, &feed));
    CHECK_OK(hm_feed_unpack(&feed, HM_DICTIONARY_NONE, arena, &items, &count));
    CHECK_OK(hm_guard_first(frame->payload, &head));
    hm_buf_init(&payload, HM_REPLY_BYTES_MAX);
    hm_buf_append(&payload, head);
    for (size_t i = 0; i < count; i++) {
        hm_buf_append(&payload, items[i]);
        if (feed.scope == 0) {
            char name[40];

            (void)snprintf(name, sizeof name, "item%zu", i);
            put("items", name, items[i]);
        }
    }
    hm_frame_write(out, (enum hm_frame_type)frame->type, hm_buf_bytes(&payload));
    hm_buf_deinit(&payload);
}

/* A segment as its entries behind a byte, without the birth. */
static void unpack_segment(const struct hm_frame *frame, struct hm_arena *arena,
                           struct hm_buf *out)
{
    const struct hm_bytes *entries = NULL;
    struct hm_segment segment;
    struct hm_buf payload;

    CHECK_OK(hm_segment_open(frame->payload, &segment));
    CHECK_OK(hm_segment_unpack(&segment, HM_DICTIONARY_NONE, arena, &entries));
    hm_buf_init(&payload, HM_REQUEST_BYTES_MAX);
    hm_buf_append_u8(&payload, 0);
    for (size_t i = segment.first_n == 0 ? 1 : 0; i < segment.count; i++) {
        hm_buf_append(&payload, entries[i]);
    }
    hm_frame_write(out, HM_FRAME_SEGMENT, hm_buf_bytes(&payload));
    hm_buf_deinit(&payload);
}

static void take_apart(struct hm_bytes body, struct hm_arena *arena, struct hm_buf *out)
{
    struct hm_reader r = {.left = body};
    struct hm_frame frame;

    while (hm_frame_read(&r, &frame)) {
        if (frame.type == HM_FRAME_FEED || frame.type == HM_FRAME_GIVE) {
            unpack_feed(&frame, arena, out);
        } else if (frame.type == HM_FRAME_SEGMENT) {
            unpack_segment(&frame, arena, out);
        } else {
            hm_frame_write(out, (enum hm_frame_type)frame.type, frame.payload);
        }
    }
}

/* body as it is, and taken apart behind a frame that says so. */
static void put_both(const char *target, const char *name, unsigned way,
                     struct hm_bytes body)
{
    struct hm_arena arena;
    struct hm_buf apart;
    char file[40];

    put(target, name, body);
    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    hm_buf_init(&apart, HM_REPLY_BYTES_MAX);
    hm_frame_write(&apart, (enum hm_frame_type)way, (struct hm_bytes){0});
    take_apart(body, &arena, &apart);
    (void)snprintf(file, sizeof file, "%s-apart", name);
    put(target, file, hm_buf_bytes(&apart));
    hm_buf_deinit(&apart);
    hm_arena_deinit(&arena);
}

/* One exchange as both ends heard it. */
static void put_exchange(struct hm_village *v, struct hm_village_node *laptop,
                         const char *name)
{
    struct hm_serve_request request = {.device = laptop->node.device,
                                       .received_utc_ms = v->centre.node.now_ms};
    struct hm_serve_reply reply;
    struct hm_upload upload;
    struct hm_adopt adopt;
    struct hm_buf buf;

    hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
    CHECK_OK(hm_upload_build(laptop->node.store, CHUNK_BYTES, &buf, &upload));
    request.body = hm_buf_bytes(&buf);
    put("request", name, request.body);
    put_both("serve", name, WAY_TAKEN_APART, request.body);
    CHECK_OK(
        hm_serve_batch(v->centre.node.store, v->centre.forms, &request, &reply, 1));
    put("reply", name, hm_buf_bytes(&reply.body));
    put_both("adopt", name, WAY_SIGNED, hm_buf_bytes(&reply.body));
    CHECK_OK(hm_adopt_reply(laptop->node.store, laptop->forms,
                            hm_buf_bytes(&reply.body), laptop->node.now_ms,
                            laptop->node.now_ms, &adopt));
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
}

/* What a laptop that has nothing asks, and hears. */
static void put_first_contact(struct hm_village *v, struct hm_village_node *laptop)
{
    struct hm_serve_request request = {.device = laptop->node.device,
                                       .received_utc_ms = v->centre.node.now_ms};
    const struct hm_hello hello = {.version_min = 1,
                                   .version_max = 1,
                                   .device = laptop->node.device,
                                   .reply_bytes = CHUNK_BYTES,
                                   .program = hm_bytes_str("1")};
    struct hm_serve_reply reply;
    struct hm_buf buf;

    hm_buf_init(&buf, HM_REQUEST_BYTES_MAX);
    hm_hello_write(&buf, &hello);
    for (size_t i = 0; i <= HM_VILLAGE_HAMLETS; i++) {
        struct hm_cursor cursor = {.scope = i == 0 ? 0 : v->hamlets[i - 1]};

        hm_cursor_write(&buf, &cursor);
    }
    request.body = hm_buf_bytes(&buf);
    put("serve", "contact", request.body);
    CHECK_OK(
        hm_serve_batch(v->centre.node.store, v->centre.forms, &request, &reply, 1));
    CHECK_OK(reply.err);
    put_both("adopt", "contact", WAY_SIGNED, hm_buf_bytes(&reply.body));
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&buf);
}

static void put_items(struct hm_village *v)
{
    struct hm_store *s = v->centre.node.store;
    struct hm_user user = {.name = "lan",
                           .full_name = "Lan",
                           .role = 1,
                           .unit = v->hamlets[0],
                           .active = true};
    char hash[HM_PASSPHRASE_HASH_BYTES];
    struct hm_round round = {
        .code = "2026", .kind = "review", .from = "2026-01-01", .to = "2026-12-31"};
    uint32_t id = 0;

    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_people_add_user(s, &user, &id));
    CHECK_OK(hm_people_hash_passphrase(hm_bytes_str("x"), hash));
    CHECK_OK(hm_people_set_passphrase(s, id, hash));
    CHECK_OK(hm_rounds_open(s, &round, &id));
    CHECK_OK(hm_store_end(s, HM_OK));
}

static void put_code_and_table(struct hm_village *v)
{
    static const uint8_t secret[HM_ENROLL_SECRET_BYTES] = {1, 2, 3, 255};
    static const uint8_t key_hash[HM_ENROLL_KEY_HASH_BYTES] = {9, 8, 7};
    const struct hm_field_table *table;
    struct hm_buf buf;

    hm_buf_init(&buf, HM_FIELD_TABLE_BYTES_MAX);
    hm_enroll_code_write("10.0.0.2:8471", secret, key_hash, &buf);
    put("enroll_code", "code", hm_buf_bytes(&buf));
    hm_buf_clear(&buf);
    CHECK_OK(hm_forms_load_table(v->centre.forms, v->form, &table));
    hm_field_table_encode(table, &buf);
    put("field_table", "village", hm_buf_bytes(&buf));
    hm_buf_deinit(&buf);
}

int main(int argc, char **argv)
{
    struct hm_village *v = hm_fuzz_rollback_village();

    if (argc != 2) {
        (void)fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
        return 2;
    }
    folder = argv[1];
    put_items(v);
    put_code_and_table(v);
    put_exchange(v, &v->laptops[0], "first");
    put_exchange(v, &v->laptops[0], "second");
    put_first_contact(v, &v->laptops[0]);
    hm_test_folder_remove();
    return 0;
}
