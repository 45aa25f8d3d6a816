#include "daemon/tls_key.h"

#include <gnutls/x509.h>
#include <stdio.h>

#include "tests/support/test.h"

static void make(struct hm_buf *key, struct hm_buf *cert)
{
    hm_buf_init(key, HM_TLS_KEY_PEM_BYTES_MAX);
    hm_buf_init(cert, HM_TLS_KEY_PEM_BYTES_MAX);
    CHECK_OK(hm_tls_key_make(key, cert));
}

static size_t cert_bytes(struct hm_buf *pem, time_t *from, time_t *to)
{
    gnutls_datum_t text = {pem->data, (unsigned)pem->len};
    gnutls_datum_t der = {0};
    gnutls_x509_crt_t cert;
    size_t len;

    CHECK_OK(gnutls_x509_crt_init(&cert));
    CHECK_OK(gnutls_x509_crt_import(cert, &text, GNUTLS_X509_FMT_PEM));
    CHECK_OK(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_DER, &der));
    *from = gnutls_x509_crt_get_activation_time(cert);
    *to = gnutls_x509_crt_get_expiration_time(cert);
    assert_int_equal(gnutls_x509_crt_get_version(cert), 3);
    len = der.size;
    gnutls_free(der.data);
    gnutls_x509_crt_deinit(cert);
    return len;
}

/* Each byte of it travels with every new connection on a 2G link; and it is never too
 * early or too late for it, since the clocks of laptops are wrong. */
HM_TEST(small_and_always_valid)
{
    struct hm_buf key, cert;
    time_t from, to;
    size_t len;

    make(&key, &cert);
    len = cert_bytes(&cert, &from, &to);
    (void)printf("certificate: %zu bytes\n", len);
    assert_in_range(len, 200, 300);
    assert_int_equal(from, 0);
    assert_int_equal(to, GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION); /* 9999-12-31 */
    hm_buf_deinit(&key);
    hm_buf_deinit(&cert);
}

/* Peers pin the key: certificate and key file must agree on it, two nodes never. */
HM_TEST(same_hash_of_key_and_certificate)
{
    uint8_t a[HM_TLS_KEY_HASH_BYTES], b[HM_TLS_KEY_HASH_BYTES], c[sizeof a];
    struct hm_buf key, cert, other_key, other_cert;
    char pin[HM_TLS_KEY_PIN_CHARS_MAX];

    make(&key, &cert);
    make(&other_key, &other_cert);
    CHECK_OK(hm_tls_key_hash_cert(hm_buf_str(&cert), a));
    CHECK_OK(hm_tls_key_hash_key(hm_buf_str(&key), b));
    CHECK_OK(hm_tls_key_hash_key(hm_buf_str(&other_key), c));
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    hm_tls_key_pin((const uint8_t[32]){0}, pin);
    assert_string_equal(pin, "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    hm_buf_deinit(&key);
    hm_buf_deinit(&cert);
    hm_buf_deinit(&other_key);
    hm_buf_deinit(&other_cert);
}

HM_TEST(refuses_other_files)
{
    uint8_t hash[HM_TLS_KEY_HASH_BYTES] = {7};
    struct hm_buf key, cert;

    make(&key, &cert);
    assert_int_equal(hm_tls_key_hash_cert("", hash), HM_MALFORMED);
    assert_int_equal(hm_tls_key_hash_cert(hm_buf_str(&key), hash), HM_MALFORMED);
    assert_int_equal(hm_tls_key_hash_key(hm_buf_str(&cert), hash), HM_MALFORMED);
    assert_int_equal(hash[0], 7);
    hm_buf_deinit(&key);
    hm_buf_deinit(&cert);
}

/* Both texts or none: half a key pair on disk would be a node that cannot start. */
HM_TEST(both_or_none)
{
    struct hm_buf key, cert;

    hm_buf_init(&key, HM_TLS_KEY_PEM_BYTES_MAX);
    hm_buf_init(&cert, 10);
    assert_int_equal(hm_tls_key_make(&key, &cert), HM_TOOBIG);
    assert_int_equal(key.len, 0);
    assert_int_equal(cert.len, 0);
    hm_buf_deinit(&key);
    hm_buf_deinit(&cert);
}
