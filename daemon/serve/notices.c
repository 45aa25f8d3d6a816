/* Routes below notices/: own values that others have replaced by different ones. */
#include <stdio.h>

#include "daemon/serve/cells.h"
#include "daemon/serve/handlers.h"
#include "protocol/digest.h"
#include "storage/households.h"
#include "storage/notices.h"

static int add_household(struct hm_call *call, const struct hm_notice *notice,
                         json_t *object)
{
    char id[HM_ID_TEXT_MAX];
    uint32_t home = 0;
    int err = hm_households_home(call->s, &notice->household, &home);
    json_t *scope =
        err == HM_OK ? json_string(hm_units_code_of(call->tree, home)) : json_null();

    err = err == HM_NOTFOUND ? HM_OK : err; /* it departed */
    hm_household_id_to_text(&notice->household, id);
    if (err == HM_OK) {
        err = hm_cells_set(object, "household", json_string(id));
    }
    return err == HM_OK ? hm_cells_set(object, "scope", scope)
                        : (json_decref(scope), err);
}

static int fill(struct hm_call *call, const struct hm_notice *notice,
                struct hm_arena *arena, json_t *object)
{
    struct hm_author author = {.device = notice->device};
    char id[HM_DIGEST_TEXT_MAX];
    int err = add_household(call, notice, object);

    hm_digest_to_text(&notice->hash, id);
    if (err == HM_OK) {
        err = hm_cells_set(object, "id", json_string(id));
    }
    if (err == HM_OK) {
        err = hm_cells_describe(call, &notice->key, object);
    }
    if (err == HM_OK) {
        err = hm_cells_describe_cell(call, &notice->key, notice->field, object);
    }
    if (err == HM_OK) {
        err = hm_cells_set(
            object, "lost",
            hm_cells_said(call, &notice->key, notice->field, notice->lost));
    }
    if (err == HM_OK) {
        err = hm_cells_set(object, "lost_when", hm_call_time_json(notice->lost_utc_ms));
    }
    if (err == HM_OK) {
        err = hm_cells_set(
            object, "value",
            hm_cells_said(call, &notice->key, notice->field, notice->value));
    }
    if (err == HM_OK) {
        err = hm_cells_author(call, &author, notice->user, notice->utc_ms, &notice->dot,
                              arena, object);
    }
    return err == HM_OK
               ? hm_cells_set(object, "since", hm_call_time_json(notice->since_utc_ms))
               : err;
}

static int list_one(void *arg, const struct hm_notice *notice)
{
    struct hm_call *call = arg;
    struct hm_arena arena;
    json_t *object = json_object();
    int err;

    hm_arena_init(&arena, HM_CALL_HOUSEHOLD_BYTES_MAX);
    err = fill(call, notice, &arena, object);
    if (err == HM_OK) {
        err = hm_cells_append(call->reply, json_incref(object));
    }
    json_decref(object);
    hm_arena_deinit(&arena);
    return err;
}

int hm_notices_handle_list(struct hm_call *call)
{
    int err = hm_call_forms(call);

    if (err == HM_OK) {
        err = hm_call_tree(call);
    }
    call->reply = json_array();
    return err == HM_OK ? hm_notices_each(call->s, list_one, call) : err;
}

static bool read_hash(const char *text, struct hm_hash *out)
{
    for (size_t i = 0; i < HM_HASH_BYTES; i++) {
        unsigned byte = 0;

        if (strspn(text, "0123456789abcdef") != 2 * HM_HASH_BYTES ||
            text[2 * HM_HASH_BYTES] != 0 || sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        out->bytes[i] = (uint8_t)byte;
    }
    return true;
}

int hm_notices_handle_clear(struct hm_call *call)
{
    struct hm_hash hash;
    int err;

    if (!read_hash(call->members[0], &hash)) {
        return hm_call_fail(call, HM_INVALID, "%s is not the id of a notice",
                            call->members[0]);
    }
    err = hm_notices_clear(call->s, &hash);
    if (err == HM_NOTFOUND) {
        return hm_call_fail(call, err, "there is no notice %s", call->members[0]);
    }
    call->reply = json_pack("{s:s}", "id", call->members[0]);
    return call->reply == NULL ? HM_NOMEM : err;
}
