#include "protocol/enroll_code.h"

#include "protocol/base32.h"

static const char scheme[] = "hamlet://";

enum { SCHEME_LEN = sizeof scheme - 1 };

void hm_enroll_code_write(const char *host_port,
                          const uint8_t secret[HM_ENROLL_SECRET_BYTES],
                          const uint8_t key_hash[HM_ENROLL_KEY_HASH_BYTES],
                          struct hm_buf *buf)
{
    hm_buf_append_str(buf, scheme);
    hm_buf_append_str(buf, host_port);
    hm_buf_append_u8(buf, '/');
    hm_base32_encode(hm_bytes_of(secret, HM_ENROLL_SECRET_BYTES), buf);
    hm_buf_append_u8(buf, '#');
    hm_base32_encode(hm_bytes_of(key_hash, HM_ENROLL_KEY_HASH_BYTES), buf);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct hm_bytes trim(struct hm_bytes text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

static bool is_host_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '-' || c == ':' || c == '[' || c == ']';
}

/* A host, a colon and a port. The host is not looked up here, so only what could never
 * be one is refused. */
static bool is_host_port(struct hm_bytes text)
{
    uint32_t port = 0;
    size_t colon = text.len;

    for (size_t i = 0; i < text.len; i++) {
        if (!is_host_char(text.data[i])) {
            return false;
        }
        colon = text.data[i] == ':' ? i : colon;
    }
    if (colon == 0 || colon + 1 >= text.len || text.len - colon > 6) {
        return false;
    }
    for (size_t i = colon + 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(text.data[i] - '0');
    }
    return port >= 1 && port <= 65535;
}

static int read_exact(struct hm_bytes text, uint8_t *out, size_t len)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, 64);
    err = hm_base32_decode(text, &buf);
    if (err == HM_OK && buf.len != len) {
        err = HM_MALFORMED;
    }
    if (err == HM_OK) {
        memcpy(out, buf.data, len);
    }
    hm_buf_deinit(&buf);
    return err == HM_OK || err == HM_NOMEM ? err : HM_MALFORMED;
}

static bool has_scheme(struct hm_bytes text)
{
    for (size_t i = 0; i < SCHEME_LEN; i++) {
        uint8_t c = text.len > i ? text.data[i] : 0;

        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
        if (c != (uint8_t)scheme[i]) {
            return false;
        }
    }
    return true;
}

int hm_enroll_code_read(struct hm_bytes text, struct hm_enroll_code *out)
{
    struct hm_enroll_code code = {0};
    struct hm_bytes host;
    struct hm_bytes rest;
    const uint8_t *slash;
    const uint8_t *hash;
    int err;

    text = trim(text);
    if (text.len > HM_ENROLL_CODE_BYTES_MAX || !has_scheme(text)) {
        return HM_MALFORMED;
    }
    rest = hm_bytes_of(text.data + SCHEME_LEN, text.len - SCHEME_LEN);
    slash = rest.len == 0 ? NULL : memchr(rest.data, '/', rest.len);
    hash = rest.len == 0 ? NULL : memchr(rest.data, '#', rest.len);
    if (slash == NULL || hash == NULL || hash < slash) {
        return HM_MALFORMED;
    }
    host = hm_bytes_of(rest.data, (size_t)(slash - rest.data));
    if (host.len >= sizeof code.host_port || !is_host_port(host)) {
        return HM_MALFORMED;
    }
    memcpy(code.host_port, host.data, host.len);
    err = read_exact(hm_bytes_of(slash + 1, (size_t)(hash - slash - 1)), code.secret,
                     sizeof code.secret);
    if (err == HM_OK) {
        err =
            read_exact(hm_bytes_of(hash + 1, rest.len - (size_t)(hash + 1 - rest.data)),
                       code.key_hash, sizeof code.key_hash);
    }
    if (err == HM_OK) {
        *out = code;
    }
    return err;
}
