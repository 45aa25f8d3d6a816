#include "daemon/serve/each.h"

struct walk {
    struct hm_call *call;
    uint32_t scope;
    hm_each_fn fn;
    void *arg;
};

static int on_row(void *arg, const struct hm_household_row *row)
{
    struct walk *walk = arg;
    struct hm_arena arena;
    struct hm_household h;
    struct hm_each each = {.row = row, .h = &h, .arena = &arena};
    int err;

    hm_arena_init(&arena, HM_CALL_HOUSEHOLD_BYTES_MAX);
    err = hm_household_decode(row->state, &arena, &h);
    if (err == HM_OK) {
        err = hm_call_household_scope(walk->call, &h, &arena, &each.scope);
    }
    if (err == HM_OK && each.scope == walk->scope) {
        err = walk->fn(walk->arg, &each);
    }
    hm_arena_deinit(&arena);
    return err;
}

int hm_each_household(struct hm_call *call, const char *scope, bool with_conflicts,
                      hm_each_fn fn, void *arg)
{
    struct walk walk = {.call = call, .fn = fn, .arg = arg};
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_call_tree(call);

    if (err == HM_OK) {
        err = hm_call_forms(call);
    }
    if (err == HM_OK) {
        err = hm_call_selection(call, scope, &scopes, &count);
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        walk.scope = scopes[i];
        err = with_conflicts
                  ? hm_households_each_conflict(call->s, scopes[i], on_row, &walk)
                  : hm_households_each(call->s, scopes[i], 0, on_row, &walk);
    }
    return err;
}
