/* Through which proxy calls to other nodes go: [proxy] of the configuration, with the
 * password from a file of its own, that only the node's user may read.
 *
 * Loop thread only. Reading blocks on one small file. */
#ifndef HM_DAEMON_PROXY_SETTINGS_H
#define HM_DAEMON_PROXY_SETTINGS_H

#include "daemon/config.h"
#include "daemon/http_client.h"

enum { HM_PROXY_PASSWORD_MAX = 256 /* with its NUL */ };

struct hm_proxy_settings {
    const struct hm_config *config; /* borrowed */
    char password[HM_PROXY_PASSWORD_MAX];
};

/* Take what config says; a relative password_file lies in dir. On error the proxy is
 * used without a password, and errmsg has one line.
 * Errors: HM_NOTFOUND, HM_DENIED (others may read or write the file too), HM_INVALID
 * (not one line of at most 255 bytes), HM_IO. */
int hm_proxy_settings_load(const struct hm_config *config, const char *dir,
                           struct hm_proxy_settings *out,
                           struct hm_buf *errmsg) HM_MUST_USE;
/* Set the proxy of a call that is about to be submitted; settings must outlive it. */
void hm_proxy_settings_use(const struct hm_proxy_settings *settings,
                           struct hm_http_call *call);

#endif
