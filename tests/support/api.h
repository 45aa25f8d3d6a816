/* A node whose API is asked without sockets: a centre with the bundled programme.
 *
 * Failures end the test. One thread, one node per process. */
#ifndef HM_TESTS_SUPPORT_API_H
#define HM_TESTS_SUPPORT_API_H

#include <jansson.h>

#include "daemon/serve/api.h"
#include "tests/support/store.h"

struct hm_test_api {
    struct hm_test_node store;
    struct hm_api_node node;
    const char *user; /* Hamlet-User of the next requests; NULL: the operator */
    unsigned status;  /* of the last answer */
    bool saved;
    unsigned calls; /* of hm_api_handle() for the last answer */
    json_t *json;   /* its body; NULL: not JSON */
    char *text;     /* the same as text */
};

/* Hamlets of the bundled programme to put households in. */
#define HM_TEST_HAMLET       "19885001"
#define HM_TEST_OTHER_HAMLET "19885002"

void hm_test_api_open(struct hm_test_api *api);
void hm_test_api_close(struct hm_test_api *api);

/* Ask; body may be NULL. type NULL: JSON. Returns the status. */
unsigned hm_test_api_ask(struct hm_test_api *api, const char *method, const char *path,
                         const char *query, const char *type, struct hm_bytes body);
/* GET, and POST with a JSON body, below /api/v1/; a path may have a query. */
unsigned hm_test_api_get(struct hm_test_api *api, const char *path);
unsigned hm_test_api_post(struct hm_test_api *api, const char *path, const char *body);
/* POST of a file that was spooled. */
unsigned hm_test_api_upload(struct hm_test_api *api, const char *path, const char *type,
                            struct hm_bytes body);

/* A text below the last answer: "rows.0.values.phone"; "" when it is not there, numbers
 * as text. Static memory of eight calls. */
const char *hm_test_api_at(const struct hm_test_api *api, const char *path);
/* Elements of an array there, -1 for none. "" is the answer itself. */
int hm_test_api_count(const struct hm_test_api *api, const char *path);

/* A household of the register with two members; its id. Static memory. */
const char *hm_test_api_household(struct hm_test_api *api, const char *head_name,
                                  const char *phone);

#endif
