/* DIR/hamletd.conf: what a person may set, in INI.
 *
 * Knows what the settings are, not what they do. Reading blocks on the file; any
 * thread, one at a time. */
#ifndef HM_DAEMON_CONFIG_H
#define HM_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/journal.h"
#include "protocol/buf.h"
#include "protocol/sync_window.h"

enum {
    HM_CONFIG_BYTES_MAX = 64 * 1024,
    HM_CONFIG_TEXT_MAX = 160, /* of a value, with its NUL */
    HM_CONFIG_DISK_MB_MAX = 1024 * 1024,
    HM_CONFIG_DISK_CHECK_S_MAX = 3600,
    HM_CONFIG_HUB_SYNCS_MAX = 256,
    HM_CONFIG_PATIENCE_S_MIN = 2,
    HM_CONFIG_PATIENCE_S_MAX = 600
};

#define HM_CONFIG_FILE        "hamletd.conf"
#define HM_CONFIG_WEB_DEFAULT "127.0.0.1:8470"

/* [proxy] url: as https_proxy, no_proxy and their kin say. */
#define HM_CONFIG_PROXY_ENVIRONMENT "environment"

/* What a node does by itself on a link that costs. */
enum hm_config_metered {
    HM_CONFIG_METERED_AUTO, /* the program's choice: as SMALL */
    HM_CONFIG_METERED_NEVER,
    HM_CONFIG_METERED_SMALL, /* own changes, and few looks at what is new */
    HM_CONFIG_METERED_ALWAYS
};

/* Whether the link costs. */
enum hm_config_link {
    HM_CONFIG_LINK_AUTO, /* as NetworkManager says, else free */
    HM_CONFIG_LINK_METERED,
    HM_CONFIG_LINK_FREE
};

struct hm_config_address {
    bool on;
    char host[48]; /* numeric, IPv6 without brackets */
    uint16_t port;
};

struct hm_config {
    char name[HM_CONFIG_TEXT_MAX];        /* [node] name */
    struct hm_config_address web;         /* [web] address */
    struct hm_config_address listen;      /* [hub] listen */
    char public_to[HM_CONFIG_TEXT_MAX];   /* [hub] public, HOST:PORT; "": listen's */
    uint32_t hub_syncs;                   /* [hub] syncs, 1..256 */
    char store[HM_CONFIG_TEXT_MAX];       /* [store] path, below DIR unless absolute */
    enum hm_journal_level level;          /* [log] level */
    uint32_t disk_warn_mb;                /* [disk] warn_mb */
    uint32_t disk_refuse_mb;              /* [disk] refuse_mb */
    uint32_t disk_reserve_mb;             /* [disk] reserve_mb; 0: none */
    uint32_t disk_check_s;                /* [disk] check_s, 1..3600 */
    enum hm_config_metered metered;       /* [sync] metered */
    enum hm_config_link link;             /* [sync] link */
    struct hm_sync_windows windows;       /* [sync] window */
    char window_text[HM_CONFIG_TEXT_MAX]; /* as it was written, "": none */
    uint32_t sync_patience_s;             /* [sync] patience_s, 2..600 */
    char proxy[HM_CONFIG_TEXT_MAX];       /* [proxy] url, "": none */
    char proxy_user[HM_CONFIG_TEXT_MAX];  /* [proxy] user */
    char proxy_password_file[HM_CONFIG_TEXT_MAX]; /* [proxy] password_file */
    char proxy_except[HM_CONFIG_TEXT_MAX];        /* [proxy] no_proxy */
};

void hm_config_init(struct hm_config *config);

/* Read a file. errmsg gets one line with file and line number.
 * Errors: HM_NOTFOUND (no such file); HM_DENIED; HM_INVALID (a setting that there is
 * not, twice, or a value that makes no sense; *out is unchanged); HM_IO; HM_NOMEM. */
int hm_config_read(const char *path, struct hm_config *out,
                   struct hm_buf *errmsg) HM_MUST_USE;
/* The same for a text; name stands in errmsg. */
int hm_config_parse(const char *name, const char *text, struct hm_config *out,
                    struct hm_buf *errmsg) HM_MUST_USE;
/* Append the text of config, with comments. Errors: HM_INVALID (a value that the file
 * cannot hold; errmsg says which). */
int hm_config_write_default(const struct hm_config *config, struct hm_buf *out,
                            struct hm_buf *errmsg) HM_MUST_USE;

/* "127.0.0.1:8470", "[::1]:8470" or "off". Errors: HM_INVALID. */
int hm_config_address_parse(const char *text,
                            struct hm_config_address *out) HM_MUST_USE;
bool hm_config_is_loopback(const struct hm_config_address *address);
/* "HOST:PORT", a name or an address. */
bool hm_config_is_host_port(const char *text);
/* Append as hm_config_address_parse() takes it. */
void hm_config_address_write(const struct hm_config_address *address,
                             struct hm_buf *out);

#endif
