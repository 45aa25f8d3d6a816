#include "daemon/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES_MAX = 196 /* what libinih takes whole */ };

/* One setting: where it stands and how its value is taken. */
struct setting {
    const char *section;
    const char *name;
    const char *(*set)(struct hm_config *config, const char *value);
};

/* Setters return NULL, or what a value must be. */

static const char *set_text(char *out, const char *value, const char *expected)
{
    if (value[0] == 0 || strlen(value) >= HM_CONFIG_TEXT_MAX) {
        return expected;
    }
    (void)strcpy(out, value);
    return NULL;
}

static const char *set_name(struct hm_config *config, const char *value)
{
    return set_text(config->name, value, "a name of 1 to 159 bytes");
}

static const char *set_web(struct hm_config *config, const char *value)
{
    struct hm_config_address address;

    if (hm_config_address_parse(value, &address) != HM_OK ||
        (address.on && !hm_config_is_loopback(&address))) {
        return "127.0.0.1:PORT, [::1]:PORT or off";
    }
    config->web = address;
    return NULL;
}

static const char *set_listen(struct hm_config *config, const char *value)
{
    return hm_config_address_parse(value, &config->listen) == HM_OK
               ? NULL
               : "ADDRESS:PORT or off";
}

static const char *set_public(struct hm_config *config, const char *value)
{
    return hm_config_is_host_port(value)
               ? set_text(config->public_to, value, "HOST:PORT")
               : "HOST:PORT";
}

static const char *set_syncs(struct hm_config *config, const char *value)
{
    char *end = NULL;
    long syncs = strtol(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != 0 || syncs < 1 ||
        syncs > HM_CONFIG_HUB_SYNCS_MAX) {
        return "a number of syncs at once from 1 to 256";
    }
    config->hub_syncs = (uint32_t)syncs;
    return NULL;
}

static const char *set_store(struct hm_config *config, const char *value)
{
    if (strstr(value, "://") != NULL) {
        return "the path of a file: this program keeps its store in SQLite";
    }
    return set_text(config->store, value, "a path of 1 to 159 bytes");
}

static const char *set_level(struct hm_config *config, const char *value)
{
    return hm_journal_level_from_name(value, &config->level) == HM_OK
               ? NULL
               : "error, warning, info or debug";
}

static const char *set_mb(uint32_t *out, const char *value)
{
    char *end = NULL;
    long mb = strtol(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != 0 || mb > HM_CONFIG_DISK_MB_MAX) {
        return "a number of megabytes, at most 1048576";
    }
    *out = (uint32_t)mb;
    return NULL;
}

static const char *set_warn(struct hm_config *config, const char *value)
{
    return set_mb(&config->disk_warn_mb, value);
}

static const char *set_refuse(struct hm_config *config, const char *value)
{
    return set_mb(&config->disk_refuse_mb, value);
}

static const char *set_reserve(struct hm_config *config, const char *value)
{
    return set_mb(&config->disk_reserve_mb, value);
}

static const char *set_check(struct hm_config *config, const char *value)
{
    char *end = NULL;
    long seconds = strtol(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != 0 || seconds < 1 ||
        seconds > HM_CONFIG_DISK_CHECK_S_MAX) {
        return "a number of seconds from 1 to 3600";
    }
    config->disk_check_s = (uint32_t)seconds;
    return NULL;
}

static const char *set_metered(struct hm_config *config, const char *value)
{
    static const char *const names[] = {"auto", "never", "small", "always"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(value, names[i]) == 0) {
            config->metered = (enum hm_config_metered)i;
            return NULL;
        }
    }
    return "never, small, always or auto";
}

static const char *set_link(struct hm_config *config, const char *value)
{
    static const char *const names[] = {"auto", "metered", "free"};

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(value, names[i]) == 0) {
            config->link = (enum hm_config_link)i;
            return NULL;
        }
    }
    return "metered, free or auto";
}

static const char *set_window(struct hm_config *config, const char *value)
{
    static const char expected[] =
        "times of day such as 20:00-06:00, 12:00-13:00 (at most 8)";

    return hm_sync_windows_parse(value, &config->windows) == HM_OK
               ? set_text(config->window_text, value, expected)
               : expected;
}

static const char *set_patience(struct hm_config *config, const char *value)
{
    char *end = NULL;
    long seconds = strtol(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != 0 ||
        seconds < HM_CONFIG_PATIENCE_S_MIN || seconds > HM_CONFIG_PATIENCE_S_MAX) {
        return "a number of seconds from 2 to 600";
    }
    config->sync_patience_s = (uint32_t)seconds;
    return NULL;
}

static const char *set_proxy(struct hm_config *config, const char *value)
{
    static const char expected[] = "http://HOST:PORT, environment or off";

    if (strcmp(value, "off") == 0) {
        return NULL;
    }
    if (strcmp(value, HM_CONFIG_PROXY_ENVIRONMENT) == 0 ||
        (strncmp(value, "http://", 7) == 0 && hm_config_is_host_port(value + 7))) {
        return set_text(config->proxy, value, expected);
    }
    return expected;
}

static const char *set_proxy_user(struct hm_config *config, const char *value)
{
    return set_text(config->proxy_user, value, "a name of 1 to 159 bytes");
}

static const char *set_proxy_file(struct hm_config *config, const char *value)
{
    return set_text(config->proxy_password_file, value, "a path of 1 to 159 bytes");
}

static const char *set_proxy_except(struct hm_config *config, const char *value)
{
    return set_text(config->proxy_except, value,
                    "hosts with commas between them, 1 to 159 bytes");
}

static const struct setting settings[] = {
    {"node", "name", set_name},
    {"web", "address", set_web},
    {"hub", "listen", set_listen},
    {"hub", "public", set_public},
    {"store", "path", set_store},
    {"log", "level", set_level},
    {"disk", "warn_mb", set_warn},
    {"disk", "refuse_mb", set_refuse},
    {"disk", "reserve_mb", set_reserve},
    {"disk", "check_s", set_check},
    {"sync", "metered", set_metered},
    {"sync", "link", set_link},
    {"sync", "window", set_window},
    {"sync", "patience_s", set_patience},
    {"proxy", "url", set_proxy},
    {"proxy", "user", set_proxy_user},
    {"proxy", "no_proxy", set_proxy_except},
    {"proxy", "password_file", set_proxy_file},
    {"hub", "syncs", set_syncs},
};

enum { SETTING_COUNT = sizeof settings / sizeof settings[0] };

void hm_config_init(struct hm_config *config)
{
    *config = (struct hm_config){.level = HM_JOURNAL_INFO,
                                 .disk_warn_mb = 200,
                                 .disk_refuse_mb = 50,
                                 .disk_reserve_mb = 8,
                                 .disk_check_s = 10,
                                 .sync_patience_s = 60,
                                 .hub_syncs = 64,
                                 .store = "store.db"};
    config->web = (struct hm_config_address){.on = true, .port = 8470};
    (void)strcpy(config->web.host, "127.0.0.1");
}

/* Addresses. */

static bool parse_port(const char *text, uint16_t *out)
{
    char *end = NULL;
    long port = strtol(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != 0 || port < 1 || port > 65535) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

int hm_config_address_parse(const char *text, struct hm_config_address *out)
{
    struct hm_config_address a = {.on = true};
    const char *colon = strrchr(text, ':');
    const char *from = text;
    unsigned char binary[16];
    int family = AF_INET;
    size_t len;

    if (strcmp(text, "off") == 0) {
        *out = (struct hm_config_address){0};
        return HM_OK;
    }
    if (colon == NULL || !parse_port(colon + 1, &a.port)) {
        return HM_INVALID;
    }
    len = (size_t)(colon - text);
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        from++;
        len -= 2;
        family = AF_INET6;
    }
    if (len == 0 || len >= sizeof a.host) {
        return HM_INVALID;
    }
    memcpy(a.host, from, len);
    if (inet_pton(family, a.host, binary) != 1) {
        return HM_INVALID;
    }
    *out = a;
    return HM_OK;
}

bool hm_config_is_loopback(const struct hm_config_address *address)
{
    return strncmp(address->host, "127.", 4) == 0 || strcmp(address->host, "::1") == 0;
}

bool hm_config_is_host_port(const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    const char *colon = strrchr(text, ':');
    struct hm_config_address address;
    uint16_t port;

    if (text[0] == '[') {
        return hm_config_address_parse(text, &address) == HM_OK;
    }
    return colon != NULL && colon != text && parse_port(colon + 1, &port) &&
           strspn(text, plain) == (size_t)(colon - text);
}

void hm_config_address_write(const struct hm_config_address *a, struct hm_buf *out)
{
    if (!a->on) {
        hm_buf_append_str(out, "off");
    } else if (strchr(a->host, ':') != NULL) {
        hm_buf_printf(out, "[%s]:%u", a->host, (unsigned)a->port);
    } else {
        hm_buf_printf(out, "%s:%u", a->host, (unsigned)a->port);
    }
}

/* Reading. libinih asks for line after line, so the line number is known when a setting
 * arrives; it goes on behind an error, of which the first is kept. */

struct reading {
    const char *name; /* of the file */
    const char *at;
    int line;
    struct hm_config config;
    bool seen[SETTING_COUNT];
    bool failed;
    struct hm_buf *errmsg;
};

static void complain(struct reading *r, const char *format, const char *a,
                     const char *b, const char *c)
{
    if (!r->failed) {
        r->failed = true;
        hm_buf_printf(r->errmsg, "%s line %d: ", r->name, r->line);
        hm_buf_printf(r->errmsg, format, a, b, c);
    }
}

static char *read_line(char *out, int room, void *arg)
{
    struct reading *r = arg;
    size_t len = strcspn(r->at, "\n");

    if (r->at[0] == 0) {
        return NULL;
    }
    r->line++;
    if (len > LINE_BYTES_MAX || room < LINE_BYTES_MAX + 3) {
        complain(r, "%s%s%s", "the line is too long", "", "");
        (void)strcpy(out, "\n");
    } else {
        memcpy(out, r->at, len);
        (void)strcpy(out + len, "\n");
    }
    r->at += len + (r->at[len] == '\n' ? 1 : 0);
    return out;
}

static int on_setting(void *arg, const char *section, const char *name,
                      const char *value)
{
    struct reading *r = arg;
    const char *expected;

    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(section, settings[i].section) != 0 ||
            strcmp(name, settings[i].name) != 0) {
            continue;
        }
        if (r->seen[i]) {
            complain(r, "[%s] %s is set twice%s", section, name, "");
            return 0;
        }
        r->seen[i] = true;
        expected = settings[i].set(&r->config, value);
        if (expected != NULL) {
            complain(r, "[%s] %s must be %s", section, name, expected);
            return 0;
        }
        return 1;
    }
    complain(r, "there is no setting %s in [%s]%s", name, section, "");
    return 0;
}

static int check_whole(struct reading *r)
{
    if (r->config.name[0] == 0) {
        hm_buf_printf(r->errmsg, "%s: [node] name is missing", r->name);
        return HM_INVALID;
    }
    if (r->config.disk_refuse_mb > r->config.disk_warn_mb) {
        hm_buf_printf(r->errmsg, "%s: [disk] refuse_mb is above warn_mb", r->name);
        return HM_INVALID;
    }
    if (r->config.proxy_password_file[0] != 0 && r->config.proxy_user[0] == 0) {
        hm_buf_printf(r->errmsg, "%s: [proxy] password_file without user", r->name);
        return HM_INVALID;
    }
    return HM_OK;
}

int hm_config_parse(const char *name, const char *text, struct hm_config *out,
                    struct hm_buf *errmsg)
{
    struct reading r = {.name = name, .at = text, .errmsg = errmsg};
    int line;

    hm_config_init(&r.config);
    line = ini_parse_stream(read_line, &r, on_setting, &r);
    if (line != 0 && !r.failed) {
        r.line = line;
        complain(&r, "%s%s%s", "neither [section] nor name = value", "", "");
    }
    if (r.failed || check_whole(&r) != HM_OK) {
        return HM_INVALID;
    }
    *out = r.config;
    return HM_OK;
}

static int fail_file(const char *path, struct hm_buf *errmsg)
{
    hm_buf_printf(errmsg, "%s: %s", path, strerror(errno));
    return errno == ENOENT || errno == ENOTDIR ? HM_NOTFOUND
           : errno == EACCES                   ? HM_DENIED
                                               : HM_IO;
}

int hm_config_read(const char *path, struct hm_config *out, struct hm_buf *errmsg)
{
    char *text = malloc(HM_CONFIG_BYTES_MAX + 1);
    FILE *file = fopen(path, "rbe");
    size_t len = 0;
    int err = HM_OK;

    if (text == NULL) {
        err = HM_NOMEM;
    } else if (file == NULL) {
        err = fail_file(path, errmsg);
    } else {
        len = fread(text, 1, HM_CONFIG_BYTES_MAX + 1, file);
        if (ferror(file) != 0) {
            err = fail_file(path, errmsg);
        } else if (len > HM_CONFIG_BYTES_MAX || memchr(text, 0, len) != NULL) {
            hm_buf_printf(errmsg, "%s: not a text of at most 64 kB", path);
            err = HM_INVALID;
        }
    }
    if (err == HM_OK) {
        text[len] = 0;
        err = hm_config_parse(path, text, out, errmsg);
    }
    if (file != NULL) {
        (void)fclose(file); /* read only */
    }
    free(text);
    return err;
}

/* Writing. */

/* What libinih would read back differently. */
static bool fits_line(const char *value)
{
    size_t len = strlen(value);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f || value[i] == ';') {
            return false;
        }
    }
    return len > 0 && len < HM_CONFIG_TEXT_MAX && value[0] != ' ' &&
           value[len - 1] != ' ';
}

int hm_config_write_default(const struct hm_config *config, struct hm_buf *out,
                            struct hm_buf *errmsg)
{
    if (!fits_line(config->name) || !fits_line(config->store)) {
        hm_buf_printf(errmsg,
                      "'%s' can't be written to the configuration: no ';', "
                      "line break or blank at its ends, at most 159 bytes",
                      fits_line(config->name) ? config->store : config->name);
        return HM_INVALID;
    }
    hm_buf_printf(out, "# A node of hamletd; see hamletd(8).\n\n[node]\nname = %s\n",
                  config->name);
    hm_buf_append_str(out, "\n[web]\n# The page and the local API: loopback or off.\n"
                           "address = ");
    hm_config_address_write(&config->web, out);
    hm_buf_append_str(out, "\n\n[hub]\n# Where other nodes connect: ADDRESS:PORT or "
                           "off.\nlisten = ");
    hm_config_address_write(&config->listen, out);
    hm_buf_append_str(out, "\n# HOST:PORT in enrolment codes, if not the same.\n");
    hm_buf_printf(out, config->public_to[0] == 0 ? "#public =%s\n" : "public = %s\n",
                  config->public_to);
    hm_buf_printf(out, "\n[store]\npath = %s\n\n[log]\nlevel = %s\n", config->store,
                  hm_journal_level_name(config->level));
    hm_buf_printf(out,
                  "\n[disk]\n# Free megabytes: an alarm below the first, no more saves "
                  "below the second.\nwarn_mb = %u\nrefuse_mb = %u\n"
                  "# Kept back so that a full disk can still sync.\nreserve_mb = %u\n"
                  "# Seconds between two looks at the disk.\ncheck_s = %u\n",
                  (unsigned)config->disk_warn_mb, (unsigned)config->disk_refuse_mb,
                  (unsigned)config->disk_reserve_mb, (unsigned)config->disk_check_s);
    hm_buf_append_str(
        out,
        "\n[sync]\n# What goes by itself over a link that costs: never, small, "
        "always or auto.\nmetered = auto\n# Whether the link costs: metered, free "
        "or auto (NetworkManager knows).\nlink = auto\n# Times of day for syncs by "
        "itself; none: always.\n#window = 20:00-06:00, 12:00-13:00\n"
        "\n[proxy]\n# http://HOST:PORT, environment or off; the password in a file "
        "with mode 0600.\nurl = off\n#user =\n#password_file =\n#no_proxy =\n");
    return out->err;
}
