/* Requests and answers as bytes: queries, JSON bodies, problem documents.
 *
 * No store; never blocks but for writing a spooled answer. */
#ifndef HM_DAEMON_SERVE_API_JSON_H
#define HM_DAEMON_SERVE_API_JSON_H

#include "daemon/serve/call.h"

/* What is said when stored data is damaged and nothing better is known. */
#define HM_API_DAMAGED                                                                 \
    "the store is damaged and read-only: end hamletd, then run hamlet repair"

/* The HTTP status of an error code. */
unsigned hm_api_json_status(int err);
/* Split request->query into call->parameters; only the names in allowed, one blank
 * between them, may stand there, each once. Errors: HM_INVALID, with a line. */
int hm_api_json_query(struct hm_call *call, const char *allowed) HM_MUST_USE;
/* Read request->body into call->body, an object with only the members in allowed; NULL:
 * no members. Errors: HM_INVALID, HM_TOOBIG with a line; 415 in problem_status. */
int hm_api_json_body(struct hm_call *call, const char *allowed) HM_MUST_USE;
/* Only the members in allowed. what names the object in the line. */
int hm_api_json_members(struct hm_call *call, json_t *object, const char *allowed,
                        const char *what) HM_MUST_USE;
/* A member of call->body that is text; needed: it must be there and not be empty.
 * *out_text is NULL when it is absent or null. Errors: HM_INVALID. */
int hm_api_json_text(struct hm_call *call, json_t *object, const char *name,
                     bool needed, const char **out_text) HM_MUST_USE;
/* Put call->reply or call->out into the answer. */
int hm_api_json_answer(struct hm_call *call) HM_MUST_USE;
/* Begin a streamed answer. */
int hm_api_json_stream(struct hm_call *call, const char *type) HM_MUST_USE;
/* A problem document in answer: what hm_api_problem() makes, with a status and a type
 * of its own, and with the member errors unless that is NULL. */
void hm_api_json_problem(struct hm_api_answer *answer, unsigned status,
                         const char *type, const char *title, const char *detail,
                         json_t *errors);
/* The type and the title of an error code, and then the same. */
void hm_api_json_error(struct hm_api_answer *answer, int err, unsigned status,
                       const char *detail, json_t *errors);

#endif
