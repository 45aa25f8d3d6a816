#include "storage/accept.h"

#include <stdio.h>

#include "storage/alarms.h"
#include "storage/births.h"
#include "storage/buggify.h"
#include "storage/households.h"
#include "storage/log.h"
#include "storage/serve_here.h"

int hm_accept_init(struct hm_accept *a, struct hm_store *s, struct hm_forms *forms,
                   uint64_t sender, struct hm_arena *arena)
{
    struct hm_accept made = {.s = s, .forms = forms, .sender = sender, .arena = arena};
    int err = hm_units_load(s, arena, &made.tree);

    if (err == HM_OK) {
        *a = made;
    }
    return err;
}

/* Signed bytes that move nothing: kept by the hash of their content. */
static int keep_apart(struct hm_accept *a, const struct hm_segment *segment,
                      struct hm_bytes bytes, int reason, const char *detail)
{
    struct hm_quarantine_entry entry = {
        .device = segment->device, .reason = reason, .detail = detail, .bytes = bytes};

    return hm_quarantine_put(a->s, &entry);
}

static int want_authority(struct hm_accept *a, uint64_t device)
{
    int err;

    if (a->has_authority && a->authority.device.id == device) {
        return HM_OK;
    }
    err =
        hm_authorise_prepare(a->s, a->forms, &a->tree, device, a->arena, &a->authority);
    a->has_authority = err == HM_OK;
    return err;
}

/* Whether a segment's bytes are what they claim. HM_OK, or why they are kept apart. */
static int check_bytes(struct hm_accept *a, const struct hm_segment *segment,
                       const char **out_detail)
{
    int err = want_authority(a, segment->device);

    if (err == HM_NOTFOUND && a->from_hub) {
        return HM_AGAIN;
    }
    if (err == HM_NOTFOUND) {
        *out_detail = "written by a device that is not enrolled";
        return HM_DENIED;
    }
    if (err != HM_OK) {
        return err;
    }
    if (hm_segment_verify(segment, a->authority.device.public_key) != HM_OK) {
        *out_detail = "the signature is not of the device that it names";
        return HM_SIGNATURE;
    }
    return HM_OK;
}

/* How the segment stands to the log that is held: HM_OK, HM_GAP, or HM_CHAIN when it is
 * another branch. Storage errors come back as they are. */
static int check_place(struct hm_accept *a, const struct hm_segment *segment,
                       const struct hm_log *log)
{
    uint64_t last_n = segment->first_n + segment->count - 1;
    struct hm_hash held;
    int err = HM_OK;

    if (log->entries > 0 && log->author.device != segment->device) {
        return HM_CHAIN;
    }
    if (segment->first_n > log->entries) {
        return HM_GAP;
    }
    if (segment->first_n > 0) {
        err = hm_log_chain_at(a->s, segment->incarnation, segment->first_n - 1, &held);
        if (err == HM_OK && !hm_hash_equal(&held, &segment->prev_chain)) {
            err = HM_CHAIN;
        }
    }
    if (err == HM_OK && last_n < log->entries) {
        err = hm_log_chain_at(a->s, segment->incarnation, last_n, &held);
        if (err == HM_OK && !hm_hash_equal(&held, &segment->chain)) {
            err = HM_CHAIN;
        }
    }
    return err;
}

/* A segment that goes on behind what is held must agree with the held part. */
static int check_overlap(const struct hm_segment *segment,
                         const struct hm_bytes *entries, const struct hm_log *log)
{
    struct hm_hash chain = segment->prev_chain;

    if (log->entries <= segment->first_n) {
        return HM_OK;
    }
    for (uint64_t n = segment->first_n; n < log->entries; n++) {
        chain = hm_chain_next(&chain, entries[n - segment->first_n]);
    }
    return hm_hash_equal(&chain, &log->chain) ? HM_OK : HM_CHAIN;
}

static int add_notice(struct hm_accept *a, const struct hm_dot *dot, int reason,
                      const char *detail)
{
    if (a->notice_count == a->notice_room) {
        a->notice_room = 2 * a->notice_room + 8;
        a->notices = hm_arena_grow(a->arena, a->notices, a->notice_count,
                                   a->notice_room, sizeof a->notices[0]);
        if (a->notices == NULL) {
            return HM_NOMEM;
        }
    }
    a->notices[a->notice_count] = (struct hm_accept_notice){
        .dot = *dot,
        .reason = reason,
        .detail = hm_arena_text(a->arena, hm_bytes_str(detail))};
    return a->notices[a->notice_count++].detail == NULL ? HM_NOMEM : HM_OK;
}

static struct hm_accept_touched *
find_touched(struct hm_accept *a, const struct hm_household_id *id, uint32_t scope)
{
    for (size_t i = a->touched_count; i-- > 0;) {
        struct hm_accept_touched *t = &a->touched[i];

        if (t->scope == scope && hm_household_id_compare(&t->id, id) == 0) {
            return t;
        }
    }
    return NULL;
}

/* Notes where the household stood and stands; call before and after it is stored. One
 * that came into a scope from elsewhere was not in this scope's feed, so its author may
 * lack what others wrote there. */
static int touch(struct hm_accept *a, const struct hm_household *h, bool existed,
                 bool refused)
{
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err = hm_household_scopes(h, &scopes, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        struct hm_accept_touched *t = find_touched(a, &h->id, scopes[i]);
        uint64_t position = 0;

        err = hm_households_position(a->s, scopes[i], &h->id, &position);
        if (err == HM_OK && t == NULL) {
            if (a->touched_count == a->touched_room) {
                a->touched_room = 2 * a->touched_room + 32;
                a->touched = hm_arena_grow(a->arena, a->touched, a->touched_count,
                                           a->touched_room, sizeof a->touched[0]);
                if (a->touched == NULL) {
                    return HM_NOMEM;
                }
            }
            t = &a->touched[a->touched_count++];
            *t = (struct hm_accept_touched){.id = h->id,
                                            .scope = scopes[i],
                                            .position_before = position,
                                            .came_in = existed && position == 0};
        }
        if (t != NULL) {
            t->position_after = position;
            t->refused = t->refused || refused;
        }
    }
    return err;
}

struct entry {
    struct hm_log *log;
    struct hm_dot dot;
    struct hm_bytes bytes;
    struct hm_hash chain;
    uint64_t segment_first_n;
};

static int quarantine_change(struct hm_accept *a, const struct entry *e,
                             const struct hm_change *change, int verdict,
                             const char *detail)
{
    struct hm_quarantine_entry entry = {.dot = e->dot,
                                        .device = e->log->author.device,
                                        .reason = verdict,
                                        .detail = detail,
                                        .bytes = e->bytes};
    int err;

    if (change != NULL) {
        entry.scope = change->scope;
        entry.household = change->household;
    }
    err = hm_quarantine_put(a->s, &entry);
    if (err == HM_OK && !a->authority.device.active) {
        err = hm_alarms_add(a->s, HM_ALARM_REVOKED_WORK, entry.device, 0, 1);
    }
    return err == HM_OK ? add_notice(a, &e->dot, verdict, detail) : err;
}

/* The change is in order: it enters the household's state, or only its vector. */
static int enter(struct hm_accept *a, const struct entry *e,
                 const struct hm_change *change, struct hm_household *h, int verdict)
{
    bool existed = h->vv_count > 0;
    bool applied = false;
    int err = HM_OK;

    if (verdict == HM_OK) {
        err = hm_household_apply(h, change, &e->dot, &e->log->author, &applied);
    } else {
        err = hm_household_refuse(h, change, &e->dot, &e->log->author);
    }
    if (err == HM_OK) {
        err = touch(a, h, existed, verdict != HM_OK);
    }
    if (err == HM_OK) {
        /* Its author may have seen it where it does not live any more. */
        err = hm_households_tell_departed(a->s, change->scope, &h->id);
    }
    if (err == HM_OK) {
        err = hm_households_store(a->s, h, hm_forms_policy_of, a->forms);
    }
    if (err == HM_OK) {
        err = touch(a, h, existed, verdict != HM_OK);
    }
    if (err == HM_OK) {
        err = hm_log_add_history(a->s, &e->dot, &h->id, h->home);
    }
    return err;
}

/* The same for a change that authorisation let through, unless its household would be
 * larger than a state may be: then this change alone is refused. */
static int enter_if_it_fits(struct hm_accept *a, const struct entry *e,
                            const struct hm_change *change, struct hm_household *h,
                            int *verdict)
{
    static const char detail[] = "the household would hold more than a household may";
    bool found;
    int err = enter(a, e, change, h, HM_OK);

    if (err != HM_TOOBIG) {
        return err;
    }
    *verdict = err;
    err = hm_households_load_or_new(a->s, &change->household, h->arena, h, &found);
    if (err == HM_OK) {
        err = quarantine_change(a, e, change, *verdict, detail);
    }
    if (err == HM_OK) {
        err = enter(a, e, change, h, *verdict);
    }
    return err == HM_TOOBIG ? HM_OK : err; /* not even its dot fits into the vector */
}

static int judge(struct hm_accept *a, const struct entry *e,
                 const struct hm_change *change, struct hm_household *h, bool found,
                 int *verdict, char detail[HM_QUARANTINE_DETAIL_MAX])
{
    int err;

    a->authority.late = false;
    if (a->decided != NULL && a->decided(a->decided_arg, &e->dot, verdict)) {
        (void)snprintf(detail, HM_QUARANTINE_DETAIL_MAX,
                       "refused before the store was repaired: %s",
                       hm_err_text(*verdict));
        return HM_OK;
    }
    a->authority.arena = h->arena; /* what it reads dies with this change */
    err = hm_authorise_change(&a->authority, change, &e->dot, &e->log->author, h, found,
                              verdict, detail);
    a->authority.arena = a->arena;
    return err;
}

static int accept_change(struct hm_accept *a, const struct entry *e)
{
    char detail[HM_QUARANTINE_DETAIL_MAX] = "";
    struct hm_household h;
    struct hm_change change;
    struct hm_arena arena;
    bool found = false;
    int verdict = HM_OK;
    int err;

    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    verdict = hm_change_decode(e->bytes, &e->dot, &arena, &change);
    if (verdict == HM_NOMEM) {
        err = HM_NOMEM;
    } else if (verdict != HM_OK) {
        (void)snprintf(detail, sizeof detail, "not a change: %s", hm_err_text(verdict));
        err = quarantine_change(a, e, NULL, verdict, detail);
    } else {
        err = hm_households_load_or_new(a->s, &change.household, &arena, &h, &found);
        if (err == HM_OK) {
            err = judge(a, e, &change, &h, found, &verdict, detail);
        }
        if (err == HM_OK && verdict != HM_OK) {
            err = quarantine_change(a, e, &change, verdict, detail);
            if (err == HM_OK) {
                err = enter(a, e, &change, &h, verdict);
            }
        } else if (err == HM_OK) {
            err = enter_if_it_fits(a, e, &change, &h, &verdict);
        }
    }
    hm_arena_deinit(&arena);
    if (err == HM_OK) {
        err = hm_log_append(a->s, e->log, &e->chain, verdict, e->segment_first_n);
        a->changes++;
    }
    if (err == HM_OK && verdict == HM_OK && a->authority.late) {
        err = hm_log_add_late(a->s, &e->dot, e->log->author.device, change.scope);
    }
    return err;
}

/* Entry 0. HM_INVALID: it is not a birth of the segment's device. */
static int accept_birth(struct hm_accept *a, const struct hm_segment *segment,
                        struct hm_bytes bytes, const struct hm_hash *chain,
                        struct hm_log *log)
{
    struct hm_birth birth;
    int err = hm_birth_decode(bytes, &birth);

    if (err != HM_OK) {
        return err == HM_NOMEM ? err : HM_INVALID;
    }
    if (birth.device != segment->device) {
        return HM_INVALID;
    }
    return hm_log_append_birth(a->s, segment->incarnation, &birth, chain, log);
}

static int append_new(struct hm_accept *a, const struct hm_segment *segment,
                      const struct hm_bytes *entries, struct hm_log *log)
{
    struct hm_hash chain = segment->prev_chain;
    int err = HM_OK;

    for (size_t i = 0; i < segment->count && err == HM_OK; i++) {
        struct entry e = {.log = log,
                          .dot = {segment->incarnation, segment->first_n + i},
                          .bytes = entries[i],
                          .segment_first_n = segment->first_n};

        chain = hm_chain_next(&chain, entries[i]);
        e.chain = chain;
        if (e.dot.n < log->entries) {
            continue;
        }
        err = e.dot.n == 0 ? accept_birth(a, segment, entries[i], &chain, log)
                           : accept_change(a, &e);
    }
    return err;
}

static int tell_again(void *arg, const struct hm_quarantine_entry *entry)
{
    return add_notice(arg, &entry->dot, entry->reason, entry->detail);
}

/* Entries of the segment that are held already may have been refused, in a reply that
 * was lost. */
static int notice_known(struct hm_accept *a, const struct hm_segment *segment,
                        const struct hm_log *log)
{
    uint64_t behind = segment->first_n + segment->count;

    if (behind > log->entries) {
        behind = log->entries;
    }
    return segment->first_n >= behind
               ? HM_OK
               : hm_quarantine_each_of(a->s, segment->incarnation, segment->first_n,
                                       behind - 1, tell_again, a);
}

/* Everything behind the check of the signature. Bytes that are not in order give
 * HM_CHAIN, HM_GAP, HM_DICTIONARY, HM_INVALID or what hm_segment_unpack() says. */
static int place_segment(struct hm_accept *a, const struct hm_segment *segment,
                         struct hm_bytes bytes, struct hm_log *log)
{
    struct hm_dictionary dictionary = {0};
    const struct hm_bytes *entries;
    struct hm_arena arena;
    uint64_t before;
    int err = check_place(a, segment, log);

    if (err == HM_OK && hm_buggify(HM_BUGGIFY_SEGMENT_WAITS)) {
        return HM_AGAIN;
    }
    if (err != HM_OK) {
        return err;
    }
    if (segment->first_n + segment->count <= log->entries) {
        return notice_known(a, segment, log);
    }
    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_blobs_dictionary(a->s, segment->dictionary, &arena, &dictionary);
    if (err == HM_OK) {
        err = hm_segment_unpack(segment, dictionary, &arena, &entries);
    }
    if (err == HM_OK) {
        err = check_overlap(segment, entries, log);
    }
    if (err == HM_OK) {
        err = notice_known(a, segment, log);
    }
    before = log->entries;
    if (err == HM_OK) {
        err = append_new(a, segment, entries, log);
    }
    if (err == HM_OK) {
        err = hm_serve_here_came(a->s, segment->incarnation, before, log->entries);
    }
    if (err == HM_OK) {
        err = hm_births_look(a->s, segment->device);
    }
    if (err == HM_OK) {
        err = hm_log_keep_segment(a->s, segment->incarnation, segment->first_n,
                                  segment->first_n + segment->count - 1, bytes);
    }
    hm_arena_deinit(&arena);
    return err;
}

/* Is it the bytes' fault, and not the store's? */
static bool is_theirs(int err)
{
    return err == HM_CHAIN || err == HM_INVALID || err == HM_MALFORMED ||
           err == HM_TRUNCATED || err == HM_NONCANONICAL || err == HM_TOOBIG;
}

/* Nobody's fault: the receipt tells what is held, and the bytes will come again. */
static bool waits(int err)
{
    return err == HM_GAP || err == HM_DICTIONARY || err == HM_AGAIN ||
           err == HM_VERSION;
}

/* Where the segment leaves the log that is held. */
static int find_common(struct hm_accept *a, const struct hm_segment *segment,
                       const struct hm_log *log, struct hm_accept_fork *out)
{
    struct hm_dictionary dictionary = {0};
    struct hm_hash chain = segment->prev_chain;
    const struct hm_bytes *entries;
    struct hm_arena arena;
    struct hm_hash held;
    int err = HM_OK;

    if (segment->first_n > 0) {
        err = hm_log_chain_at(a->s, segment->incarnation, segment->first_n - 1, &held);
        if (err != HM_OK || !hm_hash_equal(&held, &segment->prev_chain)) {
            return err;
        }
    }
    hm_arena_init(&arena, HM_HOUSEHOLD_ARENA_BYTES_MAX);
    err = hm_blobs_dictionary(a->s, segment->dictionary, &arena, &dictionary);
    if (err == HM_OK) {
        err = hm_segment_unpack(segment, dictionary, &arena, &entries);
    }
    for (uint64_t n = segment->first_n;
         err == HM_OK && !out->known && n < log->entries &&
         n - segment->first_n < segment->count;
         n++) {
        chain = hm_chain_next(&chain, entries[n - segment->first_n]);
        err = hm_log_chain_at(a->s, segment->incarnation, n, &held);
        if (err == HM_OK && !hm_hash_equal(&held, &chain)) {
            out->known = true;
            out->common = n;
        }
    }
    hm_arena_deinit(&arena);
    return is_theirs(err) || waits(err) ? HM_OK : err;
}

static int raise_fork(struct hm_accept *a, const struct hm_accept_fork *fork,
                      uint64_t behind)
{
    return hm_alarms_raise(a->s, HM_ALARM_FORK, fork->device,
                           fork->incarnation ^ fork->common, behind - fork->common);
}

static int note_fork(struct hm_accept *a, const struct hm_segment *segment,
                     struct hm_log *log)
{
    struct hm_accept_fork fork = {.incarnation = segment->incarnation,
                                  .device = segment->device};
    uint64_t behind = segment->first_n + segment->count;
    int err = HM_OK;

    if (log->entries == 0 || log->author.device != segment->device) {
        return HM_OK; /* not its author's */
    }
    for (size_t i = 0; i < a->fork_count; i++) {
        if (a->forks[i].incarnation == fork.incarnation) {
            fork = a->forks[i]; /* the first one says where */
            log->entries = fork.common;
            return fork.known ? raise_fork(a, &fork, behind) : HM_OK;
        }
    }
    err = find_common(a, segment, log, &fork);
    if (err == HM_OK && fork.known) {
        err = raise_fork(a, &fork, behind);
    }
    if (err != HM_OK) {
        return err;
    }
    a->forks = hm_arena_grow(a->arena, a->forks, a->fork_count, a->fork_count + 1,
                             sizeof a->forks[0]);
    if (a->forks == NULL) {
        return HM_NOMEM;
    }
    a->forks[a->fork_count++] = fork;
    log->entries = fork.common;
    return HM_OK;
}

/* Places the segment, or leaves the log, the state and a's lists as they were. */
static int place_or_undo(struct hm_accept *a, const struct hm_segment *segment,
                         struct hm_bytes bytes, struct hm_log *log)
{
    struct hm_accept before = *a;
    struct hm_log held = *log;
    int fault;
    int err = hm_db_savepoint(hm_store_db(a->s));

    if (err != HM_OK) {
        return err;
    }
    fault = place_segment(a, segment, bytes, log);
    if (fault == HM_OK) {
        return hm_db_release(hm_store_db(a->s));
    }
    if (!is_theirs(fault) && !waits(fault)) {
        return fault;
    }
    a->touched_count = before.touched_count;
    a->notice_count = before.notice_count;
    a->changes = before.changes;
    *log = held;
    err = hm_db_rollback_to(hm_store_db(a->s));
    if (err == HM_OK && is_theirs(fault)) {
        err = keep_apart(a, segment, bytes, fault,
                         fault == HM_CHAIN ? "another branch of a log: a fork"
                                           : hm_err_text(fault));
    }
    return err == HM_OK && fault == HM_CHAIN ? note_fork(a, segment, log) : err;
}

int hm_accept_segment(struct hm_accept *a, struct hm_bytes bytes,
                      uint64_t *out_incarnation, uint64_t *out_entries)
{
    struct hm_segment segment = {0};
    struct hm_log log = {0};
    const char *detail = "";
    bool waits_for_grant;
    int err = hm_segment_open(bytes, &segment);

    *out_incarnation = 0;
    *out_entries = 0;
    if (err != HM_OK) {
        return hm_quarantine_put_unsigned(a->s, a->sender, bytes, "not a segment");
    }
    err = check_bytes(a, &segment, &detail);
    if (err == HM_SIGNATURE || err == HM_DENIED) {
        return hm_quarantine_put_unsigned(a->s, a->sender, bytes, detail);
    }
    waits_for_grant = err == HM_AGAIN;
    if (err == HM_OK || waits_for_grant) {
        err = hm_log_get(a->s, segment.incarnation, &log);
        err = err == HM_NOTFOUND ? HM_OK : err;
    }
    if (err == HM_OK && !waits_for_grant) {
        err = place_or_undo(a, &segment, bytes, &log);
    }
    if (err == HM_OK) {
        *out_incarnation = segment.incarnation;
        *out_entries = log.entries;
    }
    return err;
}
