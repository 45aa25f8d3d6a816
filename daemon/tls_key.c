#include "daemon/tls_key.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sodium.h>
#include <stdio.h>

static int err_from_gnutls(int code)
{
    if (code >= 0) {
        return HM_OK;
    }
    switch (code) {
    case GNUTLS_E_MEMORY_ERROR:
        return HM_NOMEM;
    case GNUTLS_E_RANDOM_FAILED:
    case GNUTLS_E_RANDOM_DEVICE_ERROR:
        return HM_IO;
    default:
        return HM_MALFORMED;
    }
}

/* Version 3 without extensions, one name, the shortest serial number, all time. */
static int sign_cert(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key)
{
    static const uint8_t serial[1] = {1};
    static const char name[] = "hamletd";
    int code = gnutls_x509_crt_set_version(cert, 3);

    if (code >= 0) {
        code = gnutls_x509_crt_set_serial(cert, serial, sizeof serial);
    }
    if (code >= 0) {
        code = gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                             sizeof name - 1);
    }
    if (code >= 0) {
        code = gnutls_x509_crt_set_activation_time(cert, 0);
    }
    if (code >= 0) {
        code = gnutls_x509_crt_set_expiration_time(
            cert, GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION); /* 9999-12-31 */
    }
    if (code >= 0) {
        code = gnutls_x509_crt_set_key(cert, key);
    }
    if (code >= 0) {
        code = gnutls_x509_crt_sign2(cert, cert, key, GNUTLS_DIG_SHA256, 0);
    }
    return code;
}

static int make_both(gnutls_x509_crt_t cert, gnutls_x509_privkey_t key)
{
    int code = gnutls_x509_privkey_generate(
        key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);

    return code < 0 ? code : sign_cert(cert, key);
}

/* Both or none. */
static int append_both(struct hm_buf *key_pem, gnutls_datum_t key_text,
                       struct hm_buf *cert_pem, gnutls_datum_t cert_text)
{
    size_t key_len = key_pem->len;
    int err;

    hm_buf_append(key_pem, hm_bytes_of(key_text.data, key_text.size));
    if (key_pem->err != HM_OK) {
        return key_pem->err;
    }
    hm_buf_append(cert_pem, hm_bytes_of(cert_text.data, cert_text.size));
    err = cert_pem->err;
    if (err != HM_OK) {
        sodium_memzero(key_pem->data + key_len, key_text.size);
        key_pem->len = key_len;
    }
    return err;
}

int hm_tls_key_make(struct hm_buf *key_pem, struct hm_buf *cert_pem)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t cert = NULL;
    gnutls_datum_t key_text = {0};
    gnutls_datum_t cert_text = {0};
    int err = err_from_gnutls(gnutls_x509_privkey_init(&key));

    if (err == HM_OK) {
        err = err_from_gnutls(gnutls_x509_crt_init(&cert));
    }
    if (err == HM_OK) {
        err = err_from_gnutls(make_both(cert, key));
    }
    if (err == HM_OK) {
        err = err_from_gnutls(
            gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_text));
    }
    if (err == HM_OK) {
        err = err_from_gnutls(
            gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &cert_text));
    }
    if (err == HM_OK) {
        err = append_both(key_pem, key_text, cert_pem, cert_text);
    }
    if (key_text.data != NULL) {
        sodium_memzero(key_text.data, key_text.size);
    }
    gnutls_free(key_text.data);
    gnutls_free(cert_text.data);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
    return err;
}

/* Hash what public holds, if loading it went well. */
static int hash_public(gnutls_pubkey_t public, int code,
                       uint8_t out_hash[HM_TLS_KEY_HASH_BYTES])
{
    gnutls_datum_t der = {0};
    int err;

    if (code >= 0) {
        code = gnutls_pubkey_export2(public, GNUTLS_X509_FMT_DER, &der);
    }
    if (code >= 0) {
        code = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, out_hash);
    }
    err = err_from_gnutls(code);
    gnutls_free(der.data);
    return err;
}

static gnutls_datum_t datum_of(const char *pem)
{
    return (gnutls_datum_t){.data = (unsigned char *)(uintptr_t)pem,
                            .size = (unsigned)strlen(pem)};
}

int hm_tls_key_hash_cert(const char *pem, uint8_t out_hash[HM_TLS_KEY_HASH_BYTES])
{
    gnutls_datum_t text = datum_of(pem);
    gnutls_x509_crt_t cert = NULL;
    gnutls_pubkey_t public = NULL;
    int code = gnutls_x509_crt_init(&cert);
    int err;

    if (code >= 0) {
        code = gnutls_pubkey_init(&public);
    }
    if (code >= 0) {
        code = gnutls_x509_crt_import(cert, &text, GNUTLS_X509_FMT_PEM);
    }
    if (code >= 0) {
        code = gnutls_pubkey_import_x509(public, cert, 0);
    }
    err = hash_public(public, code, out_hash);
    gnutls_pubkey_deinit(public);
    gnutls_x509_crt_deinit(cert);
    return err;
}

static int import_key(gnutls_pubkey_t public, gnutls_privkey_t private,
                      const gnutls_datum_t *text)
{
    int code =
        gnutls_privkey_import_x509_raw(private, text, GNUTLS_X509_FMT_PEM, NULL, 0);

    return code < 0 ? code : gnutls_pubkey_import_privkey(public, private, 0, 0);
}

int hm_tls_key_hash_key(const char *pem, uint8_t out_hash[HM_TLS_KEY_HASH_BYTES])
{
    gnutls_datum_t text = datum_of(pem);
    gnutls_privkey_t private = NULL;
    gnutls_pubkey_t public = NULL;
    int code = gnutls_privkey_init(&private);
    int err;

    if (code >= 0) {
        code = gnutls_pubkey_init(&public);
    }
    if (code >= 0) {
        code = import_key(public, private, &text);
    }
    err = hash_public(public, code, out_hash);
    gnutls_pubkey_deinit(public);
    gnutls_privkey_deinit(private);
    return err;
}

void hm_tls_key_pin(const uint8_t hash[HM_TLS_KEY_HASH_BYTES],
                    char out_pin[HM_TLS_KEY_PIN_CHARS_MAX])
{
    char text[HM_TLS_KEY_PIN_CHARS_MAX];

    (void)sodium_bin2base64(text, sizeof text, hash, HM_TLS_KEY_HASH_BYTES,
                            sodium_base64_VARIANT_ORIGINAL);
    (void)snprintf(out_pin, HM_TLS_KEY_PIN_CHARS_MAX, "sha256//%.44s", text);
}
