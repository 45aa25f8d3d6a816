#define _GNU_SOURCE /* O_CLOEXEC with openat on all libcs, readlink of /proc */

#include "daemon/node_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(crypto_box_SECRETKEYBYTES == HM_NODE_BOX_KEY_BYTES, "X25519");
_Static_assert(crypto_sign_SECRETKEYBYTES == HM_SECRET_KEY_BYTES, "Ed25519");

static int fail_errno(const char *dir, const char *name, struct hm_buf *errmsg)
{
    int number = errno;

    hm_buf_printf(errmsg, "%s%s%s: %s", dir == NULL ? "" : dir, dir == NULL ? "" : "/",
                  name, strerror(number));
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return HM_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return HM_DENIED;
    case EEXIST:
        return HM_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return HM_NOSPACE;
    case ENOMEM:
        return HM_NOMEM;
    default:
        return HM_IO;
    }
}

static int write_all(int fd, struct hm_bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t done = write(fd, bytes.data, bytes.len);

        if (done < 0 && errno != EINTR) {
            return -1;
        }
        if (done > 0) {
            bytes.data += done;
            bytes.len -= (size_t)done;
        }
    }
    return fsync(fd);
}

int hm_node_files_write(const char *dir, const char *name, struct hm_bytes bytes,
                        struct hm_buf *errmsg)
{
    char part[NAME_MAX + 1];
    int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = -1;
    int err = HM_OK;

    (void)snprintf(part, sizeof part, "%s.part", name);
    if (folder < 0) {
        return fail_errno(NULL, dir, errmsg);
    }
    (void)unlinkat(folder, part, 0);
    fd = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write_all(fd, bytes) != 0) {
        err = fail_errno(dir, part, errmsg);
    }
    if (fd >= 0 && close(fd) != 0 && err == HM_OK) {
        err = fail_errno(dir, part, errmsg);
    }
    if (err == HM_OK &&
        (renameat(folder, part, folder, name) != 0 || fsync(folder) != 0)) {
        err = fail_errno(dir, name, errmsg);
    }
    if (err != HM_OK) {
        (void)unlinkat(folder, part, 0);
    }
    (void)close(folder);
    return err;
}

int hm_node_files_read(const char *dir, const char *name, struct hm_buf *out,
                       struct hm_buf *errmsg)
{
    char path[PATH_MAX];
    int len = dir == NULL ? snprintf(path, sizeof path, "%s", name)
                          : snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = -1;
    int err = HM_OK;
    ssize_t got = 1;

    if (len < 0 || (size_t)len >= sizeof path) {
        errno = ENAMETOOLONG;
        return fail_errno(dir, name, errmsg);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail_errno(dir, name, errmsg);
    }
    while (got != 0 && err == HM_OK) {
        uint8_t piece[16 * 1024];

        got = read(fd, piece, sizeof piece);
        if (got < 0 && errno != EINTR) {
            err = fail_errno(dir, name, errmsg);
        } else if (got > 0) {
            hm_buf_append(out, hm_bytes_of(piece, (size_t)got));
            err = out->err;
        }
        sodium_memzero(piece, sizeof piece);
    }
    if (err == HM_TOOBIG) {
        hm_buf_printf(errmsg, "%s: larger than %zu bytes", path, out->len_max);
    }
    (void)close(fd);
    return err;
}

/* Making. */

static int make_secrets(const char *keys, struct hm_buf *errmsg)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t sign[crypto_sign_SECRETKEYBYTES];
    uint8_t box[crypto_box_SECRETKEYBYTES];
    int err;

    (void)crypto_sign_keypair(public_key, sign);
    randombytes_buf(box, sizeof box);
    err = hm_node_files_write(keys, "sign.key", hm_bytes_of(sign, sizeof sign), errmsg);
    if (err == HM_OK) {
        err =
            hm_node_files_write(keys, "box.key", hm_bytes_of(box, sizeof box), errmsg);
    }
    sodium_memzero(sign, sizeof sign);
    sodium_memzero(box, sizeof box);
    return err;
}

static void wipe(struct hm_buf *buf)
{
    if (buf->data != NULL) {
        sodium_memzero(buf->data, buf->capacity);
    }
    hm_buf_deinit(buf);
}

static int make_tls(const char *keys, struct hm_buf *errmsg)
{
    struct hm_buf key;
    struct hm_buf cert;
    int err;

    hm_buf_init(&key, HM_TLS_KEY_PEM_BYTES_MAX);
    hm_buf_init(&cert, HM_TLS_KEY_PEM_BYTES_MAX);
    err = hm_tls_key_make(&key, &cert);
    if (err != HM_OK) {
        hm_buf_printf(errmsg, "no TLS key can be made: %s", hm_err_text(err));
    } else {
        err = hm_node_files_write(keys, "tls.key", hm_buf_bytes(&key), errmsg);
    }
    if (err == HM_OK) {
        err = hm_node_files_write(keys, "tls.crt", hm_buf_bytes(&cert), errmsg);
    }
    wipe(&key);
    hm_buf_deinit(&cert);
    return err;
}

static int make_token(const char *dir, struct hm_buf *errmsg)
{
    uint8_t token[HM_API_TOKEN_CHARS / 2];
    char text[HM_API_TOKEN_CHARS + 1];

    randombytes_buf(token, sizeof token);
    (void)sodium_bin2hex(text, sizeof text, token, sizeof token);
    return hm_node_files_write(dir, "api-token", hm_bytes_str(text), errmsg);
}

int hm_node_files_make(const char *dir, struct hm_buf *errmsg)
{
    char keys[PATH_MAX];
    int err;

    (void)snprintf(keys, sizeof keys, "%s/keys", dir);
    if (mkdir(keys, 0700) != 0) {
        return fail_errno(NULL, keys, errmsg);
    }
    err = make_secrets(keys, errmsg);
    if (err == HM_OK) {
        err = make_tls(keys, errmsg);
    }
    if (err == HM_OK) {
        err = make_token(dir, errmsg);
    }
    return err;
}

/* Loading. */

static int load_exact(const char *dir, const char *name, uint8_t *out, size_t len,
                      struct hm_buf *errmsg)
{
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, 4096);
    err = hm_node_files_read(dir, name, &buf, errmsg);
    if (err == HM_OK && buf.len != len) {
        hm_buf_printf(errmsg, "%s/%s: %zu bytes, not %zu", dir, name, buf.len, len);
        err = HM_CORRUPT;
    }
    if (err == HM_OK) {
        memcpy(out, buf.data, len);
    }
    wipe(&buf);
    return err;
}

static int load_tls(const char *dir, struct hm_node_keys *keys, struct hm_buf *errmsg)
{
    const char *key;
    const char *cert;
    int err = hm_node_files_read(dir, "keys/tls.key", &keys->tls_key_pem, errmsg);

    if (err == HM_OK) {
        err = hm_node_files_read(dir, "keys/tls.crt", &keys->tls_cert_pem, errmsg);
    }
    if (err != HM_OK) {
        return err;
    }
    key = hm_buf_str(&keys->tls_key_pem);
    cert = hm_buf_str(&keys->tls_cert_pem);
    if (key == NULL || cert == NULL) {
        return HM_NOMEM;
    }
    err = hm_tls_key_hash_cert(cert, keys->tls_hash);
    if (err == HM_MALFORMED) {
        hm_buf_printf(errmsg, "%s/keys/tls.crt: not a certificate", dir);
        err = HM_CORRUPT;
    }
    return err;
}

static int load_token(const char *dir, struct hm_node_keys *keys, struct hm_buf *errmsg)
{
    int err = load_exact(dir, "api-token", (uint8_t *)keys->api_token,
                         HM_API_TOKEN_CHARS, errmsg);

    if (err == HM_OK && strspn(keys->api_token, "0123456789abcdef") != 32) {
        hm_buf_printf(errmsg, "%s/api-token: not 32 hex digits", dir);
        err = HM_CORRUPT;
    }
    return err;
}

int hm_node_files_load(const char *dir, struct hm_node_keys *out, struct hm_buf *errmsg)
{
    struct hm_node_keys keys = {0};
    int err;

    hm_buf_init(&keys.tls_key_pem, HM_TLS_KEY_PEM_BYTES_MAX);
    hm_buf_init(&keys.tls_cert_pem, HM_TLS_KEY_PEM_BYTES_MAX);
    err =
        load_exact(dir, "keys/sign.key", keys.secret_key, HM_SECRET_KEY_BYTES, errmsg);
    if (err == HM_OK) {
        err = load_exact(dir, "keys/box.key", keys.box_secret, HM_NODE_BOX_KEY_BYTES,
                         errmsg);
    }
    if (err == HM_OK) {
        err = load_tls(dir, &keys, errmsg);
    }
    if (err == HM_OK) {
        err = load_token(dir, &keys, errmsg);
    }
    if (err != HM_OK) {
        hm_node_keys_deinit(&keys);
        return err;
    }
    (void)crypto_sign_ed25519_sk_to_pk(keys.public_key, keys.secret_key);
    (void)crypto_scalarmult_base(keys.box_public, keys.box_secret);
    keys.device = hm_hash_u64(hm_bytes_of(keys.public_key, HM_PUBLIC_KEY_BYTES));
    *out = keys;
    return HM_OK;
}

void hm_node_keys_deinit(struct hm_node_keys *keys)
{
    wipe(&keys->tls_key_pem);
    hm_buf_deinit(&keys->tls_cert_pem);
    sodium_memzero(keys, sizeof *keys);
}

/* Data of the programs. */

static bool try_data(const char *folder, const char *below, struct hm_buf *out)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", folder, below);

    if (len < 0 || (size_t)len >= sizeof path || access(path, R_OK) != 0) {
        return false;
    }
    hm_buf_append_str(out, path);
    return true;
}

int hm_node_files_find_data(const char *below, struct hm_buf *out)
{
    const char *data = getenv("HAMLETD_DATA");
    char beside[PATH_MAX];
    char exe[PATH_MAX - 32];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    char *slash = NULL;

    if (data != NULL && data[0] != 0 && try_data(data, below, out)) {
        return out->err;
    }
    if (len > 0) {
        exe[len] = 0;
        slash = strrchr(exe, '/');
    }
    if (slash != NULL) {
        *slash = 0;
        (void)snprintf(beside, sizeof beside, "%s/../share/hamletd", exe);
        if (try_data(beside, below, out)) {
            return out->err;
        }
    }
    return try_data("/usr/share/hamletd", below, out) ? out->err : HM_NOTFOUND;
}
