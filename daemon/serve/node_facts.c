#include "daemon/serve/node_facts.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "storage/feeds.h"
#include "storage/households.h"
#include "storage/log.h"
#include "storage/quarantine.h"
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

static int add_scope(struct hm_store *s, const struct hm_units_tree *tree, uint32_t id,
                     json_t *scopes)
{
    char digest[2 * HM_HASH_BYTES + 1];
    struct hm_feed_state state;
    char scope_id[16];
    int err = hm_feeds_get(s, id, &state);

    if (err != HM_OK) {
        return err;
    }
    (void)sodium_bin2hex(digest, sizeof digest, state.digest.bytes, HM_HASH_BYTES);
    (void)snprintf(scope_id, sizeof scope_id, "u%u", (unsigned)id);
    return json_array_append_new(scopes, json_pack("{s:s, s:s, s:I, s:s}", "scope",
                                                   hm_units_code_of(tree, id),
                                                   "scope_id", scope_id, "households",
                                                   (json_int_t)state.households,
                                                   "digest", digest)) == 0
               ? HM_OK
               : HM_NOMEM;
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
        err = add_scope(s, &tree, ids[i], scopes);
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
    if (err == HM_OK && with_scopes) {
        err = read_scopes(s, &facts.scopes);
    }
    err = hm_store_end(s, err);
    if (err == HM_OK) {
        *out = facts;
    } else {
        json_decref(facts.scopes);
    }
    return err;
}
