/* An administrative item: what is read is written to the same bytes. Signed by the
 * centre and taken by a laptop, its body is read by all who use such items, with no
 * other complaint than that a newer node must have written it; a second time it is
 * known. */
#include <sodium.h>

#include "protocol/guard.h"
#include "protocol/pack.h"
#include "storage/devices.h"
#include "storage/forms.h"
#include "storage/items.h"
#include "storage/people.h"
#include "storage/rounds.h"
#include "storage/scope0.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rollback.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)hm_fuzz_rollback_laptop();
    return 0;
}

static void check_encodes(const struct hm_admin_item *item, struct hm_bytes bytes)
{
    struct hm_buf again;

    HM_FUZZ_CHECK(hm_fuzz_lies_in(item->body, bytes));
    HM_FUZZ_CHECK(item->signature.len == HM_SIGNATURE_BYTES);
    hm_buf_init(&again, HM_ITEM_BODY_BYTES_MAX + 256);
    hm_items_encode(item, &again);
    HM_FUZZ_CHECK(hm_bytes_equal(hm_buf_bytes(&again), bytes));
    hm_buf_deinit(&again);
}

static void sign(struct hm_admin_item *item, uint8_t signature[HM_SIGNATURE_BYTES])
{
    struct hm_buf buf;
    struct hm_hash hash;

    hm_buf_init(&buf, HM_ITEM_BODY_BYTES_MAX + 256);
    hm_pack_array(&buf, 4);
    hm_pack_uint(&buf, (uint64_t)item->kind);
    hm_pack_uint(&buf, item->id);
    hm_pack_uint(&buf, item->version);
    hm_pack_bin(&buf, item->body);
    hash = hm_hash_of(hm_buf_bytes(&buf), (struct hm_bytes){0});
    (void)crypto_sign_detached(signature, NULL, hash.bytes, sizeof hash.bytes,
                               hm_fuzz_rollback_village()->centre.node.secret_key);
    item->signature = hm_bytes_of(signature, HM_SIGNATURE_BYTES);
    hm_buf_deinit(&buf);
}

/* Everything that reads bodies. */
static void read_all(struct hm_store *s)
{
    struct hm_scope0_filter *filter;
    struct hm_form_item *forms;
    struct hm_units_tree tree;
    struct hm_device *devices;
    struct hm_round *rounds;
    struct hm_role *roles;
    struct hm_user *users;
    struct hm_arena arena;
    uint32_t *scopes;
    size_t count;

    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    HM_FUZZ_ERR(hm_units_load(s, &arena, &tree), HM_VERSION);
    HM_FUZZ_ERR(hm_people_list_roles(s, &arena, &roles, &count), HM_VERSION);
    HM_FUZZ_ERR(hm_people_list_users(s, &arena, &users, &count), HM_VERSION);
    HM_FUZZ_ERR(hm_devices_list(s, &arena, &devices, &count), HM_VERSION);
    HM_FUZZ_ERR(hm_rounds_list(s, &arena, &rounds, &count), HM_VERSION);
    HM_FUZZ_ERR(hm_forms_list(s, &arena, &forms, &count), HM_VERSION);
    HM_FUZZ_ERR(hm_upload_scopes(s, &arena, &scopes, &count), HM_VERSION);
    HM_FUZZ_ERR(hm_scope0_prepare(s, hm_store_device(s), &arena, &filter), HM_VERSION);
    hm_arena_deinit(&arena);
}

static void take(struct hm_village_node *n, struct hm_admin_item *item)
{
    const uint8_t *authority = hm_fuzz_rollback_village()->centre.node.public_key;
    struct hm_store *s = n->node.store;
    uint8_t signature[HM_SIGNATURE_BYTES];
    bool taken = true;
    int err;

    hm_fuzz_rollback_begin(n);
    HM_FUZZ_ERR(hm_items_take(s, item, authority, &taken), HM_SIGNATURE);
    sign(item, signature);
    err = hm_items_take(s, item, authority, &taken);
    HM_FUZZ_CHECK(err == HM_OK);
    if (taken) {
        read_all(s);
        HM_FUZZ_CHECK(hm_items_take(s, item, authority, &taken) == HM_OK && !taken);
    }
    hm_fuzz_rollback_end(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes bytes = hm_bytes_of(data, size);
    struct hm_admin_item item;
    int err = hm_guard_check(bytes);

    if (err != HM_OK) {
        return 0;
    }
    err = hm_items_decode(bytes, &item);
    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS);
    if (err == HM_OK) {
        check_encodes(&item, bytes);
        take(hm_fuzz_rollback_laptop(), &item);
    }
    return 0;
}
