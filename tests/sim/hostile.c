/* An enrolled device that lies: it has a key and a token of its own, knows what others
 * wrote, and sends what no honest laptop sends. Nothing of it may enter a state, move
 * another's log, or keep anybody from syncing. */
#include <stdlib.h>
#include <string.h>

#include "protocol/message.h"
#include "protocol/pack.h"
#include "storage/log.h"
#include "tests/sim/sim.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, LOGS_MAX = 64, ENTRIES_MAX = 3 };

struct attack {
    struct sim *sim;
    struct hm_rng rng;
    struct hm_arena arena;
    struct hm_log logs[LOGS_MAX]; /* that the centre holds */
    size_t log_count;
    struct hm_buf request;
};

static uint64_t draw(struct attack *a, uint64_t below)
{
    return hm_rng_below(&a->rng, below);
}

static int collect(void *arg, const struct hm_log *log)
{
    struct attack *a = arg;

    if (a->log_count < LOGS_MAX && log->entries > 1) {
        a->logs[a->log_count++] = *log;
    }
    return HM_OK;
}

/* A change to somebody's household that no right covers: the hamlet is not its own, or
 * the rank is not. */
static struct hm_bytes forbidden_change(struct attack *a, const struct hm_dot *dot)
{
    const struct sim_model *model = &a->sim->model;
    uint8_t value[] = {0xa4, 'e', 'v', 'i', 'l'};
    struct hm_cell_write cell = {.field = a->sim->phone,
                                 .value = hm_bytes_of(value, sizeof value)};
    struct hm_row_write row = {
        .key = {.form = a->sim->form}, .cells = &cell, .cell_count = 1};
    struct hm_change change = {.household = {dot->incarnation, dot->n},
                               .scope = a->sim->hamlets[1 + draw(a, SIM_HAMLETS - 1)],
                               .rank = 4,
                               .rows = &row,
                               .row_count = 1};
    struct hm_bytes out = {0};
    struct hm_buf buf;

    if (draw(a, 2) == 0) {
        change.scope = a->sim->hamlets[0];
        change.rank = 15;
    }
    if (model->family_count > 0 && draw(a, 4) != 0) {
        change.household = model->families[draw(a, model->family_count)].id;
    }
    hm_buf_init(&buf, HM_CHANGE_BYTES_MAX);
    hm_change_encode(&change, dot, &buf);
    SIM_MUST(buf.err == HM_OK &&
             hm_arena_copy(&a->arena, hm_buf_bytes(&buf), &out) == HM_OK);
    hm_buf_deinit(&buf);
    return out;
}

static struct hm_bytes own_birth(struct attack *a)
{
    struct hm_birth birth = {.device = a->sim->hostile_device,
                             .wall_ms = 0,
                             .version = hm_bytes_str("evil")};
    struct hm_bytes out = {0};
    struct hm_buf buf;

    hm_buf_init(&buf, HM_BIRTH_BYTES_MAX);
    hm_birth_encode(&birth, &buf);
    SIM_MUST(buf.err == HM_OK &&
             hm_arena_copy(&a->arena, hm_buf_bytes(&buf), &out) == HM_OK);
    hm_buf_deinit(&buf);
    return out;
}

/* Signs what it likes with its own key and puts it into the request. */
static void send_segment(struct attack *a, struct hm_segment_seal *seal)
{
    struct hm_buf bytes;

    seal->secret_key = a->sim->hostile_secret_key;
    hm_buf_init(&bytes, 2 * HM_SEGMENT_BYTES_MAX);
    SIM_MUST(hm_segment_seal(seal, &bytes) == HM_OK);
    hm_frame_write(&a->request, HM_FRAME_SEGMENT, hm_buf_bytes(&bytes));
    hm_buf_deinit(&bytes);
}

/* What would come next in another's log, under its name or under its own. */
static void forge(struct attack *a)
{
    struct hm_bytes entries[ENTRIES_MAX];
    const struct hm_log *victim;
    struct hm_segment_seal seal = {.entries = entries};
    struct hm_dot dot;

    if (a->log_count == 0) {
        return;
    }
    victim = &a->logs[draw(a, a->log_count)];
    seal.incarnation = victim->author.incarnation;
    seal.device = draw(a, 2) == 0 ? victim->author.device : a->sim->hostile_device;
    seal.first_n = victim->entries + (draw(a, 3) == 0 ? 1 + draw(a, 100) : 0);
    seal.prev_chain = victim->chain;
    seal.count = 1 + draw(a, ENTRIES_MAX);
    for (size_t i = 0; i < seal.count; i++) {
        dot = (struct hm_dot){seal.incarnation, seal.first_n + i};
        entries[i] = forbidden_change(a, &dot);
    }
    send_segment(a, &seal);
}

/* A log of its own, well signed, whose changes it has no right to; and now and then a
 * second one under the same number. */
static void trespass(struct attack *a, bool forks)
{
    struct hm_bytes entries[ENTRIES_MAX + 1];
    struct hm_segment_seal seal = {.device = a->sim->hostile_device,
                                   .entries = entries};

    seal.incarnation = hm_rng_next(&a->rng) | 1;
    for (int branch = 0; branch < (forks ? 2 : 1); branch++) {
        entries[0] = own_birth(a);
        seal.count = 2 + draw(a, ENTRIES_MAX - 1);
        for (size_t i = 1; i < seal.count; i++) {
            struct hm_dot dot = {seal.incarnation, i};

            entries[i] = forbidden_change(a, &dot);
        }
        send_segment(a, &seal);
    }
}

/* A true segment of another device with something changed. */
static void spoil(struct attack *a)
{
    const struct hm_log *victim;
    struct hm_stored_segment stored = {0};
    uint8_t *bytes;

    if (a->log_count == 0) {
        return;
    }
    victim = &a->logs[draw(a, a->log_count)];
    if (hm_log_segment_with(a->sim->nodes[0].store, victim->author.incarnation, 0,
                            &a->arena, &stored) != HM_OK) {
        return; /* the centre's own log is sealed for nobody */
    }
    bytes = hm_arena_alloc(&a->arena, stored.bytes.len);
    SIM_MUST(bytes != NULL);
    memcpy(bytes, stored.bytes.data, stored.bytes.len);
    for (uint64_t i = 1 + draw(a, 3); i-- > 0;) {
        bytes[draw(a, stored.bytes.len)] ^= (uint8_t)(1 + draw(a, 255));
    }
    if (draw(a, 3) == 0) {
        stored.bytes.len = draw(a, stored.bytes.len);
    }
    hm_frame_write(&a->request, HM_FRAME_SEGMENT, hm_bytes_of(bytes, stored.bytes.len));
}

static void begin(struct attack *a)
{
    struct hm_hello hello = {.version_min = HM_PROTOCOL_VERSION,
                             .version_max = HM_PROTOCOL_VERSION,
                             .device = a->sim->hostile_device,
                             .reply_bytes = 8192,
                             .program = hm_bytes_str("evil")};

    hm_hello_write(&a->request, &hello);
}

static int look_around(struct attack *a)
{
    struct hm_store *s = a->sim->nodes[0].store;
    int err = hm_store_begin_read(s);

    if (err != HM_OK) {
        return err;
    }
    err = hm_log_each(s, collect, a);
    if (err == HM_OK) {
        begin(a);
        switch (draw(a, 4)) {
        case 0:
            forge(a);
            break;
        case 1:
            trespass(a, false);
            break;
        case 2:
            trespass(a, true);
            break;
        default:
            spoil(a);
        }
    }
    return hm_store_end(s, err);
}

void sim_hostile(struct sim *sim, uint64_t param)
{
    struct sim_node *centre = &sim->nodes[0];
    struct attack a = {.sim = sim, .rng = {param}};
    struct hm_serve_request request = {.device = sim->hostile_device,
                                       .received_utc_ms = sim_node_utc_ms(centre)};
    struct hm_serve_reply reply;
    int err;

    if (!sim_node_runs(centre)) {
        return;
    }
    sim->was_hostile = true;
    sim_tell(sim, NULL, "a hostile device sends something");
    hm_arena_init(&a.arena, ARENA_BYTES);
    hm_buf_init(&a.request, HM_REQUEST_BYTES_MAX);
    err = look_around(&a);
    if (err == HM_OK) {
        request.body = hm_buf_bytes(&a.request);
        err = hm_serve_batch(centre->store, centre->forms, &request, &reply, 1);
        if (err == HM_OK) {
            sim_tell(
                sim, centre, "serves the hostile device: %llu changes, %llu refused",
                (unsigned long long)reply.changes, (unsigned long long)reply.notices);
        }
        hm_serve_reply_deinit(&reply);
    }
    (void)sim_node_survives(centre, err, "serve a hostile device"); /* it is over */
    hm_buf_deinit(&a.request);
    hm_arena_deinit(&a.arena);
}
