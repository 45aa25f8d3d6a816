/* hamletd.conf: what is taken lies in its ranges and can be opened; what is refused
 * leaves the settings alone and says why in one line. */
#include "daemon/config.h"
#include "tests/fuzz/fuzz.h"

static void check_address(const struct hm_config_address *address)
{
    struct hm_config_address again = {0};
    struct hm_buf text;

    hm_buf_init(&text, 100);
    hm_config_address_write(address, &text);
    HM_FUZZ_CHECK(text.err == HM_OK);
    HM_FUZZ_CHECK(hm_config_address_parse(hm_buf_str(&text), &again) == HM_OK);
    HM_FUZZ_CHECK(again.on == address->on && again.port == address->port);
    HM_FUZZ_CHECK(strcmp(again.host, address->host) == 0);
    hm_buf_deinit(&text);
}

static void check(const struct hm_config *config)
{
    HM_FUZZ_CHECK(!config->web.on || hm_config_is_loopback(&config->web));
    HM_FUZZ_CHECK(config->disk_warn_mb <= HM_CONFIG_DISK_MB_MAX &&
                  config->disk_refuse_mb <= HM_CONFIG_DISK_MB_MAX &&
                  config->disk_reserve_mb <= HM_CONFIG_DISK_MB_MAX);
    HM_FUZZ_CHECK(config->disk_check_s >= 1 &&
                  config->disk_check_s <= HM_CONFIG_DISK_CHECK_S_MAX);
    HM_FUZZ_CHECK(config->public_to[0] == 0 ||
                  hm_config_is_host_port(config->public_to));
    check_address(&config->web);
    check_address(&config->listen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_config config;
    struct hm_config before;
    struct hm_buf text;
    struct hm_buf why;
    int err;

    memset(&before, 0x5a, sizeof before);
    config = before;
    hm_buf_init(&text, size + 1);
    hm_buf_init(&why, 4096);
    hm_buf_append(&text, hm_bytes_of(data, size));
    err = hm_config_parse("f", hm_buf_str(&text), &config, &why);
    HM_FUZZ_ERR(err, HM_INVALID);
    if (err == HM_OK) {
        check(&config);
    } else {
        HM_FUZZ_CHECK(memcmp(&config, &before, sizeof config) == 0);
        HM_FUZZ_CHECK(why.len > 0 && memchr(why.data, '\n', why.len) == NULL);
    }
    hm_buf_deinit(&text);
    hm_buf_deinit(&why);
    return 0;
}
