#include "storage/scopes.h"

#include "protocol/message.h"
#include "storage/cursors.h"
#include "storage/households.h"

static bool is_held(const uint32_t *held, size_t count, uint32_t scope)
{
    for (size_t i = 0; i < count; i++) {
        if (held[i] == scope) {
            return true;
        }
    }
    return false;
}

/* Own changes of the scope's households beyond what the centre is known to hold. */
static int count_waiting(struct hm_store *s, uint32_t scope, uint64_t *out_count)
{
    struct hm_stmt *stmt;
    bool row = false;
    int err = hm_db_stmt(
        hm_store_db(s),
        "SELECT COUNT(*) FROM standing "
        "JOIN history ON history.scope = standing.home AND history.a = standing.a "
        "AND history.n = standing.n "
        "JOIN incarnation ON incarnation.incarnation = history.author "
        "AND incarnation.own > 0 "
        "WHERE standing.scope = $1 AND history.author_n >= "
        "COALESCE((SELECT MAX(receipt.entries) FROM receipt "
        "WHERE receipt.incarnation = history.author AND receipt.level >= $2), 0)",
        &stmt);

    if (err != HM_OK) {
        return err;
    }
    hm_stmt_bind_int(stmt, 1, scope);
    hm_stmt_bind_int(stmt, 2, HM_LEVEL_CENTRE);
    err = hm_stmt_step(stmt, &row);
    if (err == HM_OK && row) {
        *out_count = hm_stmt_u64(stmt, 0);
    }
    hm_stmt_reset(stmt);
    return err;
}

int hm_scopes_leaving(struct hm_store *s, const uint32_t *held, size_t held_count,
                      struct hm_arena *arena, struct hm_scope_leaving **out_leaving,
                      size_t *out_count)
{
    struct hm_scope_leaving *leaving;
    uint32_t *scopes = NULL;
    size_t scope_count = 0;
    size_t count = 0;
    int err = hm_households_scopes(s, arena, &scopes, &scope_count);

    leaving = hm_arena_array(arena, scope_count, sizeof *leaving);
    if (err != HM_OK || leaving == NULL) {
        return err != HM_OK ? err : HM_NOMEM;
    }
    for (size_t i = 0; i < scope_count && err == HM_OK; i++) {
        struct hm_scope_leaving next = {.scope = scopes[i]};

        if (is_held(held, held_count, scopes[i])) {
            continue;
        }
        err = hm_households_count_unheld(s, scopes[i], held, held_count,
                                         &next.households);
        if (err == HM_OK && next.households > 0) {
            err = count_waiting(s, scopes[i], &next.waits);
            leaving[count++] = next;
        }
    }
    if (err == HM_OK) {
        *out_leaving = leaving;
        *out_count = count;
    }
    return err;
}

int hm_scopes_leave(struct hm_store *s, const uint32_t *held, size_t held_count,
                    struct hm_arena *arena, uint64_t *out_left)
{
    struct hm_scope_leaving *leaving = NULL;
    uint64_t left = 0;
    size_t count = 0;
    int err = hm_scopes_leaving(s, held, held_count, arena, &leaving, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        if (leaving[i].waits > 0) {
            continue;
        }
        err = hm_households_drop_scope(s, leaving[i].scope, held, held_count);
        if (err == HM_OK) {
            /* If it is assigned again, its feed begins anew. */
            err = hm_cursors_forget(s, leaving[i].scope);
        }
        left++;
    }
    if (err == HM_OK) {
        *out_left = left;
    }
    return err;
}
