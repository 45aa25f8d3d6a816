#include "tests/support/tls_watch.h"

enum { TLS_HANDSHAKE = 22, TLS_APPLICATION_DATA = 23 };

/* TLS 1.3 hides alerts (2 bytes) and key updates (5) as application data too, with a
 * type and a tag of 16 bytes. No request fits into one. */
enum { CONTROL_BYTES_MAX = 5 + 1 + 16 };

/* Takes bytes up to the next complete record header. The type of that record, or -1
 * when the data ended before one. */
static int next_record(struct hm_tls_side *side, const uint8_t **data, size_t *len)
{
    while (*len > 0) {
        size_t skip = side->left < *len ? side->left : *len;

        side->left -= skip;
        *data += skip;
        *len -= skip;
        while (*len > 0 && side->left == 0 && side->header_len < sizeof side->header) {
            side->header[side->header_len++] = **data;
            (*data)++;
            (*len)--;
        }
        if (side->header_len == sizeof side->header) {
            side->header_len = 0;
            side->left = (size_t)side->header[3] << 8 | side->header[4];
            return side->header[0];
        }
    }
    return -1;
}

static void note_request(struct hm_tls_watch *watch)
{
    watch->requests += watch->in_request ? 0 : 1;
    watch->in_request = true;
}

void hm_tls_watch_up(struct hm_tls_watch *watch, const uint8_t *data, size_t len)
{
    int type;

    if (len == 0) {
        return;
    }
    if (!watch->any_up) {
        watch->any_up = true;
        watch->plain = data[0] != TLS_HANDSHAKE;
    }
    if (watch->plain) {
        note_request(watch);
        return;
    }
    while ((type = next_record(&watch->up, &data, &len)) >= 0) {
        if (type != TLS_APPLICATION_DATA) {
            continue;
        }
        /* In TLS 1.3 the rest of the handshake looks like application data, and the
         * server's part of it comes before the client's Finished. */
        if (watch->server_data && !watch->finished && watch->requests == 0) {
            watch->finished = true;
        } else if (!watch->finished || watch->up.left > CONTROL_BYTES_MAX) {
            note_request(watch);
        }
    }
}

void hm_tls_watch_down(struct hm_tls_watch *watch, const uint8_t *data, size_t len)
{
    int type;

    if (watch->plain) {
        watch->in_request = watch->in_request && len == 0;
        return;
    }
    while ((type = next_record(&watch->down, &data, &len)) >= 0) {
        if (type == TLS_APPLICATION_DATA) {
            watch->server_data = true;
            watch->in_request = false;
        }
    }
}
