#include "daemon/serve/node_facts.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "storage/devices.h"
#include "storage/feeds.h"
#include "storage/households.h"
#include "storage/log.h"
#include "storage/notices.h"
#include "storage/quarantine.h"
#include "storage/scopes.h"
#include "storage/units.h"
#include "storage/upload.h"

const char *hm_node_facts_role_name(enum hm_node_role role)
{
    static const char *const names[] = {"new", "laptop", "hub", "centre"};

    return names[role];
}

json_t *hm_node_facts_time(int64_t utc_ms)
{
    time_t seconds = (time_t)(utc_ms / 1000);
    char text[32];
    struct tm parts;

    if (utc_ms == 0 || gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
        return json_null();
    }
    return json_string(text);
}

/* Why a hamlet that is not assigned any more is still here. */
static json_t *why_waits(const struct hm_scope_leaving *leaving)
{
    if (leaving == NULL) {
        return json_null();
    }
    if (leaving->waits == 0) {
        return json_string("the next sync with the hub takes it away");
    }
    return json_sprintf("%llu own %s in it %s not at the centre yet",
                        (unsigned long long)leaving->waits,
                        leaving->waits == 1 ? "change" : "changes",
                        leaving->waits == 1 ? "is" : "are");
}

/* leaving: NULL for a hamlet that is held. */
static int add_scope(struct hm_store *s, const struct hm_units_tree *tree, uint32_t id,
                     const struct hm_scope_leaving *leaving, json_t *scopes)
{
    const char *code = hm_units_code_of(tree, id);
    char digest[2 * HM_HASH_BYTES + 1];
    struct hm_feed_state state;
    char scope_id[16];
    int err = hm_feeds_get(s, id, &state);

    if (err != HM_OK) {
        return err;
    }
    (void)sodium_bin2hex(digest, sizeof digest, state.digest.bytes, HM_HASH_BYTES);
    (void)snprintf(scope_id, sizeof scope_id, "u%u", (unsigned)id);
    return json_array_append_new(
               scopes, json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "scope",
                                 code[0] == 0 ? scope_id : code, "scope_id", scope_id,
                                 "households", (json_int_t)state.households, "digest",
                                 digest, "state", leaving == NULL ? "held" : "leaving",
                                 "waits", why_waits(leaving))) == 0
               ? HM_OK
               : HM_NOMEM;
}

static int add_leaving(struct hm_store *s, const struct hm_units_tree *tree,
                       const uint32_t *held, size_t held_count, struct hm_arena *arena,
                       json_t *scopes)
{
    struct hm_scope_leaving *leaving = NULL;
    size_t count = 0;
    int err = hm_scopes_leaving(s, held, held_count, arena, &leaving, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = add_scope(s, tree, leaving[i].scope, &leaving[i], scopes);
    }
    return err;
}

static int read_scopes(struct hm_store *s, json_t **out_scopes)
{
    struct hm_units_tree tree;
    struct hm_arena arena;
    uint32_t *ids = NULL;
    size_t count = 0;
    json_t *scopes = json_array();
    int err;

    hm_arena_init(&arena, HM_UNITS_TREE_BYTES_MAX);
    err = scopes == NULL ? HM_NOMEM : hm_units_load(s, &arena, &tree);
    if (err == HM_OK) {
        err = hm_upload_scopes(s, &arena, &ids, &count);
    }
    if (err == HM_NOTFOUND) { /* it has no device item yet */
        err = HM_OK;
    }
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        err = add_scope(s, &tree, ids[i], NULL, scopes);
    }
    if (err == HM_OK) {
        err = add_leaving(s, &tree, ids, count, &arena, scopes);
    }
    hm_arena_deinit(&arena);
    if (err != HM_OK) {
        json_decref(scopes);
        return err;
    }
    *out_scopes = scopes;
    return HM_OK;
}

static int read_unsent(struct hm_store *s, struct hm_node_facts *out)
{
    struct hm_unsent unsent;
    int64_t parent = 0;
    int err = hm_store_get_number(s, HM_META_UPSTREAM_DEVICE, &parent);

    if (err == HM_NOTFOUND) {
        return HM_OK; /* nobody to send to */
    }
    if (err == HM_OK) {
        err = hm_log_unsent(s, (uint64_t)parent, &unsent);
    }
    if (err == HM_OK) {
        out->unsent_changes = unsent.changes;
        out->unsent_bytes = unsent.bytes;
        out->unsent_oldest_utc_ms = unsent.oldest_utc_ms;
        out->at_hub = unsent.at_hub;
        out->at_centre = unsent.at_centre;
    }
    return err;
}

static int note_oldest(void *arg, const struct hm_quarantine_entry *entry)
{
    int64_t *oldest = arg;

    if (!entry->released && *oldest == 0) {
        *oldest = entry->since_utc_ms;
    }
    return HM_OK;
}

static int read_numbers(struct hm_store *s, struct hm_node_facts *out)
{
    struct hm_households_count count;
    int64_t paused = 0;
    int err = hm_households_count(s, &count);

    if (err == HM_OK) {
        out->households = count.households;
        out->conflicts = count.conflicts;
        err = hm_quarantine_count(s, &out->quarantine);
    }
    if (err == HM_OK) {
        err = hm_notices_count(s, &out->notices);
    }
    if (err == HM_OK && out->quarantine > 0) {
        err = hm_quarantine_each(s, note_oldest, &out->quarantine_since_utc_ms);
    }
    if (err == HM_OK) {
        err = hm_store_get_number(s, HM_META_PAUSED, &paused);
        out->paused = err == HM_OK && paused != 0;
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    if (err == HM_OK) {
        err = hm_store_get_number(s, HM_META_CLOCK_OFFSET, &out->clock_offset_ms);
        out->has_clock_offset = err == HM_OK;
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    return err;
}

/* What this node's own item says of it. */
static int read_revoked(struct hm_store *s, struct hm_node_facts *out)
{
    struct hm_device own;
    struct hm_arena arena;
    int err;

    hm_arena_init(&arena, 1024 * 1024);
    err = hm_devices_get(s, hm_store_device(s), &arena, &own);
    if (err == HM_OK) {
        out->revoked_utc_ms = own.revoked_utc_ms;
    }
    hm_arena_deinit(&arena);
    return err == HM_NOTFOUND ? HM_OK : err;
}

int hm_node_facts_read(struct hm_store *s, bool with_scopes, struct hm_node_facts *out)
{
    struct hm_node_facts facts = {0};
    int err = hm_store_begin_read(s);

    if (err != HM_OK) {
        return err;
    }
    err = hm_store_role(s, &facts.role);
    if (err == HM_OK) {
        err = read_numbers(s, &facts);
    }
    if (err == HM_OK) {
        err = read_unsent(s, &facts);
    }
    if (err == HM_OK) {
        err = read_revoked(s, &facts);
    }
    if (err == HM_OK && with_scopes) {
        err = read_scopes(s, &facts.scopes);
    }
    if (err == HM_OK) {
        err = hm_alarm_json_read(s, facts.alarms, &facts.alarm_count);
    }
    err = hm_store_end(s, err);
    if (err == HM_OK) {
        *out = facts;
    } else {
        json_decref(facts.scopes);
    }
    return err;
}
