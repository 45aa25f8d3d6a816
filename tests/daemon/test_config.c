#include "daemon/config.h"

#include <stdio.h>

#include "tests/support/test.h"

static void check_refused(const char *text, const char *says)
{
    struct hm_config config = {.name = "as before"};
    struct hm_buf errmsg;

    hm_buf_init(&errmsg, 1000);
    assert_int_equal(hm_config_parse("hamletd.conf", text, &config, &errmsg),
                     HM_INVALID);
    assert_non_null(hm_buf_str(&errmsg));
    if (strstr((const char *)errmsg.data, says) == NULL) {
        fail_msg("'%s' does not say '%s'", (const char *)errmsg.data, says);
    }
    assert_string_equal(config.name, "as before");
    hm_buf_deinit(&errmsg);
}

static struct hm_config parse(const char *text)
{
    struct hm_config config = {0};
    struct hm_buf errmsg;

    hm_buf_init(&errmsg, 1000);
    if (hm_config_parse("hamletd.conf", text, &config, &errmsg) != HM_OK) {
        fail_msg("%s", hm_buf_str(&errmsg));
    }
    assert_int_equal(errmsg.len, 0);
    hm_buf_deinit(&errmsg);
    return config;
}

HM_TEST(settings_are_taken)
{
    struct hm_config config = parse(
        "[node]\nname = Thôn 3\n[web]\naddress = off\n[hub]\n"
        "listen = [::1]:8471\npublic = hub.xa.vn:443\n[store]\npath = data.db\n"
        "[log]\nlevel = debug\n[disk]\nwarn_mb = 9\nrefuse_mb = 0\ncheck_s = 1\n");

    assert_string_equal(config.name, "Thôn 3");
    assert_false(config.web.on);
    assert_true(config.listen.on);
    assert_string_equal(config.listen.host, "::1");
    assert_int_equal(config.listen.port, 8471);
    assert_string_equal(config.public_to, "hub.xa.vn:443");
    assert_string_equal(config.store, "data.db");
    assert_int_equal(config.level, HM_JOURNAL_DEBUG);
    assert_int_equal(config.disk_warn_mb, 9);
    assert_int_equal(config.disk_refuse_mb, 0);
    assert_int_equal(config.disk_reserve_mb, 8);
    assert_int_equal(config.disk_check_s, 1);
    assert_int_equal(config.sync_patience_s, 60);
    assert_int_equal(config.hub_syncs, 64);
    assert_int_equal(config.metered, HM_CONFIG_METERED_AUTO);
    assert_int_equal(config.windows.count, 0);
    assert_string_equal(config.proxy, "");
}

HM_TEST(settings_of_the_link_are_taken)
{
    struct hm_config config =
        parse("[node]\nname = a\n[sync]\nmetered = never\nlink = metered\n"
              "window = 20:00-06:00, 12:00-13:00\npatience_s = 5\n[proxy]\n"
              "url = http://proxy.xa.vn:3128\nuser = lan\npassword_file = keys/proxy\n"
              "no_proxy = 10.0.0.1,.xa.vn\n");

    assert_int_equal(config.metered, HM_CONFIG_METERED_NEVER);
    assert_int_equal(config.link, HM_CONFIG_LINK_METERED);
    assert_int_equal(config.windows.count, 2);
    assert_int_equal(config.sync_patience_s, 5);
    assert_string_equal(config.proxy, "http://proxy.xa.vn:3128");
    assert_string_equal(config.proxy_user, "lan");
    assert_string_equal(config.proxy_password_file, "keys/proxy");
    assert_string_equal(config.proxy_except, "10.0.0.1,.xa.vn");
    config = parse("[node]\nname = a\n[proxy]\nurl = environment\n");
    assert_string_equal(config.proxy, HM_CONFIG_PROXY_ENVIRONMENT);
    config = parse("[node]\nname = a\n[proxy]\nurl = http://[::1]:3128\n");
    assert_string_equal(config.proxy, "http://[::1]:3128");
}

/* A person mends it by hand: file, line and what is expected. */
HM_TEST(mistakes_are_named_by_their_line)
{
    check_refused("[node]\nname = a\nnonsense\n", "hamletd.conf line 3");
    check_refused("[node]\nname = a\nno_such = 1\n", "line 3");
    check_refused("[node]\nname = a\nno_such = 1\n", "no_such in [node]");
    check_refused("[node]\nname = a\n[node]\nname = b\n", "line 4: [node] name is set");
    check_refused("[node]\nname = a\n  more\n", "line 3");
    check_refused("[nod]\nname = a\n", "line 2");
    check_refused("[web]\naddress = off\n", "name is missing");
    check_refused("[node]\nname = a\n[disk]\nwarn_mb = 10\n", "refuse_mb is above");
    check_refused("[node]\nname =\n", "line 2");
    check_refused("[node]\nname = a\n[proxy]\npassword_file = x\n", "without user");
}

/* The page and its token must never be in reach of the network. */
HM_TEST(the_page_stays_on_loopback)
{
    check_refused("[node]\nname=a\n[web]\naddress = 0.0.0.0:8470\n", "line 4");
    check_refused("[node]\nname=a\n[web]\naddress = 192.168.1.5:8470\n", "line 4");
    check_refused("[node]\nname=a\n[web]\naddress = [::]:8470\n", "line 4");
    assert_true(parse("[node]\nname=a\n[web]\naddress = 127.0.0.1:1\n").web.on);
}

HM_TEST(bad_values_are_refused)
{
    static const char *const values[] = {"[hub]\nlisten = 8471",
                                         "[hub]\nlisten = localhost:8471",
                                         "[hub]\nlisten = 1.2.3.4:0",
                                         "[hub]\nlisten = 1.2.3.4:65536",
                                         "[hub]\nlisten = 1.2.3.4:8471x",
                                         "[hub]\npublic = nowhere",
                                         "[hub]\npublic = a b:1",
                                         "[log]\nlevel = loud",
                                         "[disk]\nwarn_mb = -1",
                                         "[disk]\nwarn_mb = 10k",
                                         "[disk]\ncheck_s = 0",
                                         "[disk]\ncheck_s = 3601",
                                         "[store]\npath = postgres://a/b",
                                         "[sync]\nmetered = yes",
                                         "[sync]\nlink = slow",
                                         "[sync]\nwindow = at night",
                                         "[sync]\npatience_s = 1",
                                         "[sync]\npatience_s = 601",
                                         "[hub]\nsyncs = 0",
                                         "[hub]\nsyncs = 257",
                                         "[proxy]\nurl = proxy:3128",
                                         "[proxy]\nurl = https://proxy:3128",
                                         "[proxy]\nurl = http://a b:1",
                                         "[proxy]\nurl = http://proxy"};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[256];

        (void)snprintf(text, sizeof text, "[node]\nname = a\n%s\n", values[i]);
        check_refused(text, "line 4");
    }
}

/* libinih cuts long lines in two without a word. */
HM_TEST(a_line_too_long_is_refused)
{
    char text[400] = "[node]\nname = ";

    memset(text + strlen(text), 'a', 300);
    check_refused(text, "line 2: the line is too long");
}

/* `hamlet init` writes what the daemon reads. */
HM_TEST(what_is_written_is_read)
{
    struct hm_config config;
    struct hm_config read;
    struct hm_buf errmsg;
    struct hm_buf text;

    hm_buf_init(&errmsg, 1000);
    hm_buf_init(&text, HM_CONFIG_BYTES_MAX);
    hm_config_init(&config);
    (void)strcpy(config.name, "Xã Đan Điền # 1");
    CHECK_OK(hm_config_address_parse("0.0.0.0:8471", &config.listen));
    (void)strcpy(config.public_to, "hub.vn:8471");
    CHECK_OK(hm_config_write_default(&config, &text, &errmsg));
    read = parse(hm_buf_str(&text));
    assert_string_equal(read.name, config.name);
    assert_string_equal(read.web.host, "127.0.0.1");
    assert_int_equal(read.web.port, 8470);
    assert_string_equal(read.listen.host, "0.0.0.0");
    assert_string_equal(read.public_to, "hub.vn:8471");
    assert_string_equal(read.store, "store.db");
    assert_int_equal(read.disk_warn_mb, 200);
    assert_int_equal(read.disk_check_s, 10);
    hm_buf_clear(&text);
    (void)strcpy(config.name, "a ; b"); /* would be read back as "a" */
    assert_int_equal(hm_config_write_default(&config, &text, &errmsg), HM_INVALID);
    hm_buf_deinit(&text);
    hm_buf_deinit(&errmsg);
}
