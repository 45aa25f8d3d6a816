/* A sealed backup. The first byte chooses: the input is such a file; or it is content,
 * sealed and read again; or that, with a byte changed or cut off where the input says.
 *
 * What was sealed is read as it was; nothing is read of a file that was changed without
 * an error at its end. */
#define _GNU_SOURCE /* memfd_create() */
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/serve/sealed.h"
#include "tests/fuzz/fuzz.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

int __wrap_crypto_pwhash(unsigned char *out, unsigned long long out_len,
                         const char *passphrase, unsigned long long len,
                         const unsigned char *salt, unsigned long long passes,
                         size_t memory, int algorithm);

/* argon2id takes a tenth of a second on purpose; a fast hash keeps what matters here:
 * the key depends on passphrase and salt. */
int __wrap_crypto_pwhash(unsigned char *out, unsigned long long out_len,
                         const char *passphrase, unsigned long long len,
                         const unsigned char *salt, unsigned long long passes,
                         size_t memory, int algorithm)
{
    (void)passes;
    (void)memory;
    (void)algorithm;
    return crypto_generichash(out, (size_t)out_len, (const unsigned char *)passphrase,
                              len, salt, crypto_pwhash_SALTBYTES);
}

static int append(void *arg, struct hm_bytes content)
{
    hm_buf_append(arg, content);
    return HM_OK;
}

static int read_file(int fd, struct hm_buf *out)
{
    int err = hm_sealed_read(fd, hm_bytes_str("secret"), append, out);

    HM_FUZZ_ERR(err, HM_DENIED, HM_TRUNCATED, HM_MALFORMED);
    HM_FUZZ_CHECK(out->err == HM_OK);
    return err;
}

static void put_file(int fd, struct hm_bytes bytes)
{
    HM_FUZZ_CHECK(ftruncate(fd, 0) == 0);
    HM_FUZZ_CHECK(pwrite(fd, bytes.data, bytes.len, 0) == (ssize_t)bytes.len);
}

static void seal(int fd, struct hm_bytes content)
{
    struct hm_sealed *sealed = NULL;

    HM_FUZZ_CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    HM_FUZZ_CHECK(hm_sealed_create(fd, hm_bytes_str("secret"), &sealed) == HM_OK);
    HM_FUZZ_CHECK(hm_sealed_write(sealed, content) == HM_OK);
    HM_FUZZ_CHECK(hm_sealed_finish(sealed) == HM_OK);
    hm_sealed_destroy(sealed);
}

/* Content many times over, so that it has some chunks. */
static void repeat(struct hm_bytes content, unsigned times, struct hm_buf *out)
{
    for (unsigned i = 0; i < times && out->len + content.len < FILE_BYTES_MAX / 2;
         i++) {
        hm_buf_append(out, content);
    }
}

static void harm(int fd, struct hm_bytes *input)
{
    off_t len = lseek(fd, 0, SEEK_END);
    off_t at =
        (off_t)hm_fuzz_below(input, 256) * 256 + (off_t)hm_fuzz_below(input, 256);
    unsigned bits = hm_fuzz_below(input, 256);
    uint8_t byte = 0;

    at = at * 7 % len;
    if (bits == 0) {
        HM_FUZZ_CHECK(ftruncate(fd, at) == 0);
        return;
    }
    HM_FUZZ_CHECK(pread(fd, &byte, 1, at) == 1);
    byte ^= (uint8_t)bits;
    HM_FUZZ_CHECK(pwrite(fd, &byte, 1, at) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = hm_bytes_of(data, size);
    unsigned way = hm_fuzz_below(&input, 3);
    int fd = memfd_create("sealed", MFD_CLOEXEC);
    struct hm_buf content;
    struct hm_buf read_back;

    HM_FUZZ_CHECK(fd >= 0);
    hm_buf_init(&content, FILE_BYTES_MAX);
    hm_buf_init(&read_back, FILE_BYTES_MAX);
    if (way == 0) {
        put_file(fd, input);
        (void)read_file(fd, &read_back);
        HM_FUZZ_CHECK(read_back.len <= size);
    } else {
        struct hm_bytes where = hm_bytes_of(input.data, input.len < 3 ? input.len : 3);

        repeat(input, 1 + hm_fuzz_below(&input, 250), &content);
        seal(fd, hm_buf_bytes(&content));
        if (way == 1) {
            HM_FUZZ_CHECK(read_file(fd, &read_back) == HM_OK);
            HM_FUZZ_CHECK(
                hm_bytes_equal(hm_buf_bytes(&read_back), hm_buf_bytes(&content)));
        } else {
            harm(fd, &where);
            HM_FUZZ_CHECK(read_file(fd, &read_back) != HM_OK);
            HM_FUZZ_CHECK(read_back.len <= content.len &&
                          (read_back.len == 0 ||
                           memcmp(read_back.data, content.data, read_back.len) == 0));
        }
    }
    hm_buf_deinit(&content);
    hm_buf_deinit(&read_back);
    (void)close(fd);
    return 0;
}
