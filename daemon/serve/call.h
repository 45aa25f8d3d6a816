/* One call of the local API while it is carried out: who asks, what is loaded, what
 * will be answered. Shared by the handlers only.
 *
 * Blocking: loads from the store on demand. One thread. */
#ifndef HM_DAEMON_SERVE_CALL_H
#define HM_DAEMON_SERVE_CALL_H

#include <jansson.h>

#include "daemon/serve/api.h"
#include "daemon/serve/spool.h"
#include "protocol/arena.h"
#include "protocol/form/field_table.h"
#include "protocol/policy.h"
#include "storage/devices.h"
#include "storage/forms.h"
#include "storage/people.h"
#include "storage/rounds.h"
#include "storage/store.h"
#include "storage/units.h"

enum {
    HM_CALL_ARENA_BYTES_MAX = 768 * 1024 * 1024, /* all units and what is read beside */
    HM_CALL_HOUSEHOLD_BYTES_MAX = HM_HOUSEHOLD_ARENA_BYTES_MAX,
    HM_CALL_BODY_BYTES_MAX = 4 * 1024 * 1024, /* of a JSON body */
    HM_CALL_DEPTH_MAX = 16,                   /* of a JSON body */
    HM_CALL_PARAMETERS_MAX = 16,
    HM_CALL_MEMBERS_MAX = 3, /* path members in braces */
    HM_CALL_LINE_MAX = 600,
    HM_CALL_TIME_MAX = 32
};

/* Who asks, and what that one may do. */
struct hm_call_asker {
    uint32_t user; /* HM_USER_OPERATOR: the operator */
    const char *name;
    const char *role; /* code; "" when the node has no roles yet */
    uint8_t rank;
    uint64_t rights; /* enum hm_right */
    uint32_t unit;   /* works here and below; 0: everywhere */
};

struct hm_call_form {
    struct hm_form_item item;
    const struct hm_field_table *table; /* NULL: it has not come yet */
};

struct hm_call_parameter {
    const char *name;
    const char *value;
};

struct hm_call {
    struct hm_api_node *node;
    const struct hm_api_request *request;
    struct hm_api_answer *answer;
    struct hm_store *s;
    struct hm_arena arena;
    enum hm_node_role role;
    struct hm_call_asker asker;
    const char *members[HM_CALL_MEMBERS_MAX]; /* "{id}" of the path, in order */
    struct hm_call_parameter parameters[HM_CALL_PARAMETERS_MAX];
    size_t parameter_count;
    json_t *body;   /* of the request; NULL without one */
    char today[11]; /* YYYY-MM-DD, UTC */
    struct hm_units_tree *tree;
    struct hm_call_form *forms;
    size_t form_count;
    struct hm_round *rounds;
    size_t round_count;
    uint32_t *scopes; /* hamlets that this node holds */
    size_t scope_count;
    bool scopes_loaded;
    bool forms_loaded;
    /* what is answered */
    unsigned status;      /* 200 unless set */
    json_t *reply;        /* an answer in one piece; owned */
    struct hm_spool *out; /* else what was streamed here */
    const char *out_type;
    char line[HM_CALL_LINE_MAX]; /* what went wrong; "" for nothing */
    unsigned problem_status;     /* 0: by the error code */
    json_t *problem_errors;      /* member `errors` of the problem; owned, or NULL */
};

int hm_call_init(struct hm_call *call, struct hm_api_node *node,
                 const struct hm_api_request *request,
                 struct hm_api_answer *answer) HM_MUST_USE;
void hm_call_deinit(struct hm_call *call);

/* Find out who asks: inside a transaction. Errors: HM_DENIED, HM_NOTFOUND. */
int hm_call_identify(struct hm_call *call) HM_MUST_USE;
/* Errors: HM_DENIED, with a line. */
int hm_call_require(struct hm_call *call, enum hm_right right) HM_MUST_USE;

/* Say in one line what is wrong; returns err. */
int hm_call_fail(struct hm_call *call, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same unless a line was said already. */
int hm_call_default(struct hm_call *call, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A query parameter, NULL when it is not there. */
const char *hm_call_parameter(const struct hm_call *call, const char *name);
/* Errors: HM_INVALID (it is missing or empty). */
int hm_call_parameter_needed(struct hm_call *call, const char *name,
                             const char **out_value) HM_MUST_USE;

/* Loaded once a call. */
int hm_call_tree(struct hm_call *call) HM_MUST_USE;
int hm_call_forms(struct hm_call *call) HM_MUST_USE;
int hm_call_scopes(struct hm_call *call) HM_MUST_USE;

/* NULL when there is none; hm_call_forms() comes before. */
const struct hm_call_form *hm_call_form(const struct hm_call *call, uint32_t number);
const struct hm_call_form *hm_call_form_named(const struct hm_call *call,
                                              const char *form_id);
/* The same, with its field table. Errors: HM_NOTFOUND, with a line. */
int hm_call_form_needed(struct hm_call *call, const char *form_id,
                        const struct hm_call_form **out_form) HM_MUST_USE;
/* A round by its number, or by its code; hm_call_forms() loads them, too. */
const struct hm_round *hm_call_round(const struct hm_call *call, uint32_t id);
const struct hm_round *hm_call_round_named(const struct hm_call *call,
                                           const char *code);
/* A hm_policy_of_fn: arg is a struct hm_call whose forms are loaded. */
enum hm_field_policy hm_call_policy_of(void *arg, const struct hm_row_key *row,
                                       uint32_t field);

/* A unit by what people write. Errors: HM_NOTFOUND, HM_INVALID, with a line. */
int hm_call_unit(struct hm_call *call, const char *text,
                 const struct hm_unit **out_unit) HM_MUST_USE;
bool hm_call_holds(const struct hm_call *call, uint32_t scope);
/* May the asker look into this hamlet? hm_call_tree() comes before. */
bool hm_call_may_see(const struct hm_call *call, uint32_t scope);
/* Hamlets to look at: those at or under the unit that text names, NULL: all in which
 * something stands; only those that the asker may see. Ascending, in the arena. */
int hm_call_selection(struct hm_call *call, const char *text, uint32_t **out_scopes,
                      size_t *out_count) HM_MUST_USE;

/* The household that people name. Errors: HM_INVALID, HM_NOTFOUND, HM_DENIED. */
int hm_call_household_id(struct hm_call *call, const char *text,
                         struct hm_household_id *out_id) HM_MUST_USE;
int hm_call_household(struct hm_call *call, const char *text, struct hm_arena *arena,
                      struct hm_household *out) HM_MUST_USE;
/* The scope that is shown for it: what its scope cell says, else its home. */
int hm_call_household_scope(struct hm_call *call, const struct hm_household *h,
                            struct hm_arena *arena, uint32_t *out_scope) HM_MUST_USE;

/* Saves are possible here and now. Errors: HM_INVALID (409), HM_NOSPACE. */
int hm_call_may_save(struct hm_call *call) HM_MUST_USE;
/* The asker's role may write this form. Errors: HM_DENIED. */
int hm_call_may_write(struct hm_call *call,
                      const struct hm_call_form *form) HM_MUST_USE;

/* Names for people, in arena; NULL without memory. */
const char *hm_call_user_name(struct hm_call *call, uint32_t user, uint64_t device,
                              struct hm_arena *arena);
const char *hm_call_device_name(struct hm_call *call, uint64_t device,
                                struct hm_arena *arena);

/* RFC 3339 in UTC with seconds; day: YYYY-MM-DD. Times out of range give the nearest
 * one that can be written. */
void hm_call_time_text(int64_t utc_ms, char out[HM_CALL_TIME_MAX]);
json_t *hm_call_time_json(int64_t utc_ms); /* null for 0 */

#endif
