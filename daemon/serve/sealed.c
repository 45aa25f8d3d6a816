#include "daemon/serve/sealed.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sodium.h>

enum {
    CHUNK_BYTES = 64 * 1024,
    MAGIC_BYTES = 8,
    PASSES = 3,
    MEMORY_BYTES = 64 * 1024 * 1024,
    ABYTES = crypto_secretstream_xchacha20poly1305_ABYTES,
    HEADER_BYTES = crypto_secretstream_xchacha20poly1305_HEADERBYTES,
    KEY_BYTES = crypto_secretstream_xchacha20poly1305_KEYBYTES
};

static const char magic[] = "HMSEAL1\n";

struct hm_sealed {
    int fd;
    bool open; /* without a passphrase */
    crypto_secretstream_xchacha20poly1305_state state;
    uint8_t chunk[CHUNK_BYTES];
    size_t used;
    uint8_t out[CHUNK_BYTES + ABYTES];
    bool last; /* the final chunk has been read */
    int err;
};

static int err_from_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? HM_NOSPACE : HM_IO;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t written = write(fd, data, len);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return err_from_errno();
        }
        data += written;
        len -= (size_t)written;
    }
    return HM_OK;
}

/* *out_len < len only at the end of the file. */
static int read_all(int fd, uint8_t *data, size_t len, size_t *out_len)
{
    size_t got = 0;

    while (got < len) {
        ssize_t next = read(fd, data + got, len - got);

        if (next < 0 && errno == EINTR) {
            continue;
        }
        if (next < 0) {
            return HM_IO;
        }
        if (next == 0) {
            break;
        }
        got += (size_t)next;
    }
    *out_len = got;
    return HM_OK;
}

static int make_key(struct hm_bytes passphrase, const uint8_t *salt,
                    uint8_t key[KEY_BYTES])
{
    return crypto_pwhash(key, KEY_BYTES, (const char *)passphrase.data, passphrase.len,
                         salt, PASSES, MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13) == 0
               ? HM_OK
               : HM_NOMEM;
}

static int write_head(struct hm_sealed *sealed, struct hm_bytes passphrase)
{
    uint8_t salt[crypto_pwhash_SALTBYTES];
    uint8_t header[HEADER_BYTES];
    uint8_t key[KEY_BYTES];
    int err;

    randombytes_buf(salt, sizeof salt);
    err = make_key(passphrase, salt, key);
    if (err == HM_OK) {
        (void)crypto_secretstream_xchacha20poly1305_init_push(&sealed->state, header,
                                                              key); /* cannot fail */
        err = write_all(sealed->fd, (const uint8_t *)magic, MAGIC_BYTES);
    }
    if (err == HM_OK) {
        err = write_all(sealed->fd, salt, sizeof salt);
    }
    if (err == HM_OK) {
        err = write_all(sealed->fd, header, sizeof header);
    }
    sodium_memzero(key, sizeof key);
    return err;
}

int hm_sealed_create(int fd, struct hm_bytes passphrase, struct hm_sealed **out_sealed)
{
    struct hm_sealed *sealed = calloc(1, sizeof *sealed);
    int err;

    if (sealed == NULL || sodium_init() < 0) {
        free(sealed);
        return HM_NOMEM;
    }
    sealed->fd = fd;
    sealed->open = passphrase.len == 0;
    err = sealed->open ? HM_OK : write_head(sealed, passphrase);
    if (err != HM_OK) {
        hm_sealed_destroy(sealed);
        return err;
    }
    *out_sealed = sealed;
    return HM_OK;
}

static int flush(struct hm_sealed *sealed, bool last)
{
    unsigned long long len = 0;

    (void)crypto_secretstream_xchacha20poly1305_push(
        &sealed->state, sealed->out, &len, sealed->chunk, sealed->used, NULL, 0,
        last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0); /* cannot fail */
    sealed->used = 0;
    return write_all(sealed->fd, sealed->out, (size_t)len);
}

int hm_sealed_write(struct hm_sealed *sealed, struct hm_bytes content)
{
    if (sealed->open && sealed->err == HM_OK) {
        sealed->err = write_all(sealed->fd, content.data, content.len);
        return sealed->err;
    }
    while (content.len > 0 && sealed->err == HM_OK) {
        size_t room = CHUNK_BYTES - sealed->used;
        size_t len = content.len < room ? content.len : room;

        memcpy(sealed->chunk + sealed->used, content.data, len);
        sealed->used += len;
        content = hm_bytes_of(content.data + len, content.len - len);
        if (sealed->used == CHUNK_BYTES) {
            sealed->err = flush(sealed, false);
        }
    }
    return sealed->err;
}

int hm_sealed_finish(struct hm_sealed *sealed)
{
    if (sealed->err == HM_OK && !sealed->open) {
        sealed->err = flush(sealed, true);
    }
    return sealed->err;
}

void hm_sealed_destroy(struct hm_sealed *sealed)
{
    if (sealed != NULL) {
        sodium_memzero(sealed, sizeof *sealed);
        free(sealed);
    }
}

/* -- Reading -- */

int hm_sealed_is(int fd, bool *out_is)
{
    uint8_t start[MAGIC_BYTES];
    ssize_t got = pread(fd, start, sizeof start, 0);

    if (got < 0) {
        return HM_IO;
    }
    *out_is = got == MAGIC_BYTES && memcmp(start, magic, MAGIC_BYTES) == 0;
    return HM_OK;
}

static int read_head(struct hm_sealed *sealed, struct hm_bytes passphrase)
{
    uint8_t head[MAGIC_BYTES + crypto_pwhash_SALTBYTES + HEADER_BYTES];
    uint8_t key[KEY_BYTES];
    size_t len = 0;
    int err = read_all(sealed->fd, head, sizeof head, &len);

    if (err == HM_OK && (len < MAGIC_BYTES || memcmp(head, magic, MAGIC_BYTES) != 0)) {
        return HM_MALFORMED;
    }
    if (err == HM_OK && len < sizeof head) {
        return HM_TRUNCATED;
    }
    if (err == HM_OK) {
        err = make_key(passphrase, head + MAGIC_BYTES, key);
    }
    if (err == HM_OK &&
        crypto_secretstream_xchacha20poly1305_init_pull(
            &sealed->state, head + sizeof head - HEADER_BYTES, key) != 0) {
        err = HM_MALFORMED;
    }
    sodium_memzero(key, sizeof key);
    return err;
}

int hm_sealed_open(int fd, struct hm_bytes passphrase, struct hm_sealed **out_sealed)
{
    struct hm_sealed *sealed = calloc(1, sizeof *sealed);
    int err;

    if (sealed == NULL || sodium_init() < 0) {
        free(sealed);
        return HM_NOMEM;
    }
    sealed->fd = fd;
    sealed->open = passphrase.len == 0;
    err = lseek(fd, 0, SEEK_SET) == 0 ? HM_OK : HM_IO;
    if (err == HM_OK && !sealed->open) {
        err = read_head(sealed, passphrase);
    }
    if (err != HM_OK) {
        hm_sealed_destroy(sealed);
        return err;
    }
    *out_sealed = sealed;
    return HM_OK;
}

static int read_plain(struct hm_sealed *sealed, struct hm_bytes *out_piece)
{
    size_t len = 0;
    int err = read_all(sealed->fd, sealed->chunk, sizeof sealed->chunk, &len);

    *out_piece = hm_bytes_of(sealed->chunk, len);
    sealed->last = len < sizeof sealed->chunk;
    return err;
}

static int read_chunk(struct hm_sealed *sealed, struct hm_bytes *out_piece)
{
    unsigned long long content = 0;
    unsigned char tag = 0;
    size_t len = 0;
    int err = read_all(sealed->fd, sealed->out, sizeof sealed->out, &len);

    if (err != HM_OK) {
        return err;
    }
    if (len < ABYTES) {
        return HM_TRUNCATED;
    }
    if (crypto_secretstream_xchacha20poly1305_pull(&sealed->state, sealed->chunk,
                                                   &content, &tag, sealed->out, len,
                                                   NULL, 0) != 0) {
        return HM_DENIED;
    }
    sealed->last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    *out_piece = hm_bytes_of(sealed->chunk, (size_t)content);
    return HM_OK;
}

int hm_sealed_next(struct hm_sealed *sealed, struct hm_bytes *out_piece)
{
    struct hm_bytes piece = {0};

    while (sealed->err == HM_OK && !sealed->last && piece.len == 0) {
        sealed->err =
            sealed->open ? read_plain(sealed, &piece) : read_chunk(sealed, &piece);
    }
    if (sealed->err == HM_OK) {
        *out_piece = piece;
    }
    return sealed->err;
}

int hm_sealed_read(int fd, struct hm_bytes passphrase, hm_sealed_fn fn, void *arg)
{
    struct hm_sealed *sealed = NULL;
    struct hm_bytes piece = {0};
    int err = hm_sealed_open(fd, passphrase, &sealed);

    while (err == HM_OK && (err = hm_sealed_next(sealed, &piece)) == HM_OK &&
           piece.len > 0) {
        err = fn(arg, piece);
    }
    hm_sealed_destroy(sealed);
    return err;
}
