/* A store that is made, closed and opened again: what other tests take for granted. */
#include "storage/store.h"

#include <stdio.h>

#include "tests/support/store.h"

static int64_t utc_ms(void *arg)
{
    (void)arg;
    return HM_TEST_START_MS;
}

static void random_bytes(void *arg, uint8_t *out, size_t len)
{
    uint8_t *next = arg;

    for (size_t i = 0; i < len; i++) {
        out[i] = (*next)++;
    }
}

/* In a faulty run every call of making and opening a store fails once. */
HM_TEST(made_and_opened_again)
{
    static uint8_t public_key[HM_PUBLIC_KEY_BYTES];
    static uint8_t secret_key[HM_SECRET_KEY_BYTES];
    uint8_t next = 1;
    char path[512];
    struct hm_store_options options = {
        .path = path,
        .env = {.utc_ms = utc_ms, .random = random_bytes, .arg = &next},
        .device = 7,
        .public_key = public_key,
        .secret_key = secret_key,
        .boot_id = {1},
        .version = "test"};
    struct hm_store *store = NULL;
    int64_t role = 0;

    (void)snprintf(path, sizeof path, "%s/store.db", hm_test_folder());
    CHECK_OK(hm_store_open(&options, &store));
    CHECK_OK(hm_store_begin(store));
    CHECK_OK(
        hm_store_end(store, hm_store_set_number(store, HM_META_ROLE, HM_NODE_CENTRE)));
    hm_store_close(store);
    CHECK_OK(hm_store_open(&options, &store));
    CHECK_OK(hm_store_get_number(store, HM_META_ROLE, &role));
    assert_int_equal(role, HM_NODE_CENTRE);
    hm_store_close(store);
}
