#include "daemon/store_open.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *hm_store_open_version(void)
{
    return HM_RELEASE;
}

static int64_t real_utc_ms(void *arg)
{
    struct timespec now;

    (void)arg;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void real_random(void *arg, uint8_t *out, size_t len)
{
    (void)arg;
    randombytes_buf(out, len);
}

/* Zero where the kernel does not tell: it only says more about a birth. */
static void read_boot_id(uint8_t out[HM_BOOT_ID_BYTES])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    char text[64] = "";
    size_t len = 0;

    memset(out, 0, HM_BOOT_ID_BYTES);
    if (file == NULL) {
        return;
    }
    if (fgets(text, sizeof text, file) != NULL) {
        (void)sodium_hex2bin(out, HM_BOOT_ID_BYTES, text, strcspn(text, "\n"), "-",
                             &len, NULL);
    }
    (void)fclose(file);
}

void hm_store_open_options(const char *path, const struct hm_node_keys *keys,
                           bool read_only, struct hm_store_options *out)
{
    *out =
        (struct hm_store_options){.path = path,
                                  .read_only = read_only,
                                  .env = {.utc_ms = real_utc_ms, .random = real_random},
                                  .device = keys->device,
                                  .public_key = keys->public_key,
                                  .secret_key = read_only ? NULL : keys->secret_key,
                                  .version = HM_RELEASE};

    read_boot_id(out->boot_id);
}

int hm_store_open_node(const char *path, const struct hm_node_keys *keys,
                       bool read_only, struct hm_store **out_store)
{
    struct hm_store_options options;

    hm_store_open_options(path, keys, read_only, &options);
    return hm_store_open(&options, out_store);
}
