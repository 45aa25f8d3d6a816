/* A request of the local API at a centre. Lines of the input: method and path with its
 * query; media type, empty for JSON; the body is the rest.
 *
 * It is answered, never by a failure of the node's own (5xx); what is JSON can be read,
 * a refusal says why in one line, only a success saves, and no digest is stale. */
#define _GNU_SOURCE /* memfd_create() */
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/serve/api.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rollback.h"

enum { ANSWER_BYTES_MAX = 16 * 1024 * 1024, TURNS_MAX = 100000 };

static const uint8_t key_hash[32] = {1, 2, 3};
static struct hm_api_node node;

int __wrap_crypto_pwhash_str(char out[crypto_pwhash_STRBYTES], const char *passphrase,
                             unsigned long long len, unsigned long long passes,
                             size_t memory);

/* Slow on purpose; what the hash is does not matter here. */
int __wrap_crypto_pwhash_str(char out[crypto_pwhash_STRBYTES], const char *passphrase,
                             unsigned long long len, unsigned long long passes,
                             size_t memory)
{
    (void)passphrase;
    (void)len;
    (void)passes;
    (void)memory;
    memset(out, 0, crypto_pwhash_STRBYTES);
    memcpy(out, "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA", 36);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct hm_village *v = hm_fuzz_rollback_village();

    (void)argc;
    (void)argv;
    node = (struct hm_api_node){.store = v->centre.node.store,
                                .forms = v->centre.forms,
                                .name = "centre",
                                .version = "0.1.0",
                                .dir = hm_test_folder(),
                                .public_address = "127.0.0.1:8471",
                                .tls_key_hash = key_hash};
    return 0;
}

static char *text_of(struct hm_bytes line)
{
    char *text = calloc(1, line.len + 1);

    HM_FUZZ_CHECK(text != NULL);
    if (line.len > 0) {
        memcpy(text, line.data, line.len);
    }
    return text;
}

/* The whole answer, also one that lies in a file; to be freed. */
static char *body_of(const struct hm_api_answer *answer, size_t *out_len)
{
    size_t len = answer->file_fd >= 0 ? answer->file_bytes : answer->body.len;
    char *text = calloc(1, len + 1);

    HM_FUZZ_CHECK(text != NULL);
    if (answer->file_fd >= 0) {
        HM_FUZZ_CHECK(pread(answer->file_fd, text, len, 0) == (ssize_t)len);
    } else if (len > 0) {
        memcpy(text, answer->body.data, len);
    }
    *out_len = len;
    return text;
}

static void check_answer(const struct hm_api_answer *answer)
{
    size_t len = 0;
    char *text = body_of(answer, &len);
    json_t *json = NULL;

    HM_FUZZ_CHECK(answer->status >= 200 && answer->status < 500);
    HM_FUZZ_CHECK(answer->progress == NULL);
    if (strstr(answer->content_type, "json") != NULL &&
        strstr(answer->content_type, "ndjson") == NULL) {
        json = json_loadb(text, len, 0, NULL);
        HM_FUZZ_CHECK(json != NULL);
    }
    if (answer->status >= 400) {
        const char *detail = json_string_value(json_object_get(json, "detail"));

        HM_FUZZ_CHECK(!answer->saved);
        HM_FUZZ_CHECK(detail != NULL && detail[0] != 0 && strchr(detail, '\n') == NULL);
    }
    json_decref(json);
    free(text);
}

static void ask(const struct hm_api_request *request)
{
    struct hm_api_answer answer;
    int turns = 0;

    hm_api_answer_init(&answer, ANSWER_BYTES_MAX);
    do {
        HM_FUZZ_CHECK(turns++ < TURNS_MAX);
        hm_api_handle(&node, request, &answer);
    } while (answer.again);
    check_answer(&answer);
    hm_api_answer_deinit(&answer);
}

static void run(struct hm_api_request *request, struct hm_bytes body)
{
    struct hm_village *v = hm_fuzz_rollback_village();
    enum hm_api_kind kind = hm_api_kind(request->method, request->path);

    /* A backup goes to a path of the asker's choice: not from here. */
    if (kind == HM_API_LOOP || strstr(request->path, "/backup") != NULL) {
        return;
    }
    request->body_bytes = body.len;
    if (kind == HM_API_UPLOAD) {
        request->body_fd = memfd_create("body", MFD_CLOEXEC);
        HM_FUZZ_CHECK(request->body_fd >= 0);
        HM_FUZZ_CHECK(pwrite(request->body_fd, body.data, body.len, 0) ==
                      (ssize_t)body.len);
    } else {
        request->body = body;
    }
    hm_fuzz_rollback_begin(&v->centre);
    ask(request);
    hm_fuzz_rollback_check(&v->centre);
    hm_fuzz_rollback_end(&v->centre);
    if (request->body_fd >= 0) {
        (void)close(request->body_fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = hm_bytes_of(data, size);
    char *method = text_of(hm_fuzz_until(&input, ' '));
    char *path = text_of(hm_fuzz_until(&input, '\n'));
    char *type = text_of(hm_fuzz_until(&input, '\n'));
    char *query = strchr(path, '?');
    struct hm_api_request request = {.method = method,
                                     .path = path,
                                     .query = query == NULL ? "" : query + 1,
                                     .content_type =
                                         type[0] == 0 ? "application/json" : type,
                                     .body_fd = -1,
                                     .token_peer = "operator"};

    if (query != NULL) {
        *query = 0;
    }
    run(&request, input);
    free(method);
    free(path);
    free(type);
    return 0;
}
