/* A centre and two laptops, real stores and real bytes; the input is what happens to
 * them: saves, exchanges that work, break or come twice, restarts, clocks that jump,
 * hamlets that a laptop loses. In the end they settle and must agree, and no save that
 * was acknowledged may be lost: each is live, was replaced by somebody who saw it, or
 * waits in quarantine. */
#include "storage/devices.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/stores.h"

enum {
    HOUSEHOLDS_MAX = 6,
    MEMBERS_MAX = 12,
    WRITES_MAX = 400,
    REQUESTS_MAX = 8,
    STEPS_MAX = 120,
    CHUNK_BYTES = 64 * 1024
};

/* A cell that somebody wrote, and whether somebody who saw it wrote another one. */
struct written {
    struct hm_household_id household;
    struct hm_row_key row;
    uint32_t field;
    struct hm_dot dot;
    const struct hm_village_node *author;
    bool replaced;
};

struct world {
    struct hm_village v;
    struct hm_household_id households[HOUSEHOLDS_MAX];
    size_t household_count;
    struct hm_item members[MEMBERS_MAX];
    size_t member_of[MEMBERS_MAX]; /* index of its household */
    size_t member_count;
    struct written writes[WRITES_MAX];
    size_t write_count;
    struct hm_buf requests[REQUESTS_MAX]; /* that were sent, the oldest goes first */
    uint64_t request_device[REQUESTS_MAX];
    size_t request_count;
    struct hm_buf reply; /* the last one that was adopted */
    size_t reply_laptop;
    bool hostile;    /* bytes were changed on their way up */
    bool reassigned; /* a laptop lost or got a hamlet */
};

static struct world w;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct hm_save_result first;

    (void)argc;
    (void)argv;
    hm_village_open(&w.v);
    (void)hm_village_add(&w.v, "lan", 3);
    (void)hm_village_add(&w.v, "minh", 3);
    first = hm_village_new(&w.v, &w.v.laptops[0], 0, "Kim", 1);
    w.households[0] = first.household;
    w.members[0] = first.items[0];
    hm_village_settle(&w.v);
    hm_fuzz_village_keep(&w.v);
    return 0;
}

static struct hm_village_node *node_at(unsigned i)
{
    return i == 0 ? &w.v.centre : &w.v.laptops[i - 1];
}

/* -- What was written -- */

static const struct hm_cell *find_cell(struct hm_village_node *n,
                                       const struct written *at, struct hm_arena *arena,
                                       struct hm_household *h)
{
    const struct hm_row *row = NULL;
    int err = hm_households_load(n->node.store, &at->household, arena, h);

    HM_FUZZ_ERR(err, HM_NOTFOUND);
    if (err == HM_OK) {
        row = hm_household_row(h, &at->row);
    }
    return row == NULL ? NULL : hm_row_cell(row, at->field);
}

static bool is_live(struct hm_village_node *n, const struct written *at)
{
    struct hm_household h;
    struct hm_arena arena;
    const struct hm_cell *cell;
    bool found = false;

    hm_arena_init(&arena, HM_FUZZ_ARENA_BYTES_MAX);
    cell = find_cell(n, at, &arena, &h);
    for (size_t i = 0; cell != NULL && i < cell->sibling_count; i++) {
        found = found || hm_dot_compare(&cell->siblings[i].dot, &at->dot) == 0;
    }
    hm_arena_deinit(&arena);
    return found;
}

/* Which of the known writes stand in the cell at a node: what its author sees. */
static void look(struct hm_village_node *n, const struct written *at,
                 bool seen[WRITES_MAX])
{
    for (size_t i = 0; i < w.write_count; i++) {
        const struct written *other = &w.writes[i];

        seen[i] = other->field == at->field &&
                  hm_row_key_compare(&other->row, &at->row) == 0 &&
                  hm_household_id_compare(&other->household, &at->household) == 0 &&
                  is_live(n, other);
    }
}

static void note(struct hm_village_node *n, struct written at,
                 const struct hm_save_result *result, const bool seen[WRITES_MAX])
{
    if (!result->changed || w.write_count == WRITES_MAX) {
        return;
    }
    for (size_t i = 0; i < w.write_count; i++) {
        w.writes[i].replaced = w.writes[i].replaced || seen[i];
    }
    at.dot = result->dot;
    at.author = n;
    HM_FUZZ_CHECK(is_live(n, &at));
    w.writes[w.write_count++] = at;
}

/* -- Saves -- */

static void make(unsigned node, struct hm_bytes *input)
{
    static const char *const names[] = {"An", "Bình", "Chi"};
    static const bool nothing[WRITES_MAX];
    unsigned hamlet = hm_fuzz_below(input, 2);
    const char *name = names[hm_fuzz_below(input, 3)];
    struct hm_village_node *n = node_at(node);
    struct hm_save_result result;
    struct written at = {.row = {.form = w.v.form}, .field = w.v.name};

    if (w.household_count == HOUSEHOLDS_MAX || w.member_count == MEMBERS_MAX) {
        return;
    }
    result = hm_village_new(&w.v, n, hamlet, name, 1);
    at.household = result.household;
    note(n, at, &result, nothing);
    at.row.repeat = w.v.members;
    at.row.item = result.items[0];
    at.field = w.v.member_name;
    note(n, at, &result, nothing);
    w.members[w.member_count] = result.items[0];
    w.member_of[w.member_count++] = w.household_count;
    w.households[w.household_count++] = result.household;
}

static bool is_here(struct hm_village_node *n, const struct hm_household_id *id)
{
    uint32_t home;

    return hm_households_home(n->node.store, id, &home) == HM_OK;
}

static void put(unsigned node, struct hm_bytes *input, bool resolves)
{
    static const char *const texts[] = {"x", "y", "", "a b"};
    const uint32_t fields[] = {w.v.phone, w.v.note, w.v.name, w.v.tags};
    size_t household = hm_fuzz_below(input, (unsigned)w.household_count);
    unsigned field = hm_fuzz_below(input, 4);
    unsigned text = hm_fuzz_below(input, field == 3 ? 2 : 4);
    static const char *const tags[] = {"a", "a b"};
    struct written at = {.household = w.households[household],
                         .row = {.form = w.v.form},
                         .field = fields[field]};
    struct hm_village_node *n = node_at(node);
    struct hm_save_result result;
    bool seen[WRITES_MAX];

    if (!is_here(n, &at.household)) {
        return;
    }
    look(n, &at, seen);
    if (!resolves) {
        result = hm_village_put(&w.v, n, &at.household, at.field,
                                field == 3 ? tags[text] : texts[text]);
    } else if (hm_village_siblings(&w.v, n, &at.household, at.field) > 1) {
        result = hm_village_resolve(&w.v, n, &at.household, at.field,
                                    field == 3 ? tags[text] : texts[text]);
    } else {
        return;
    }
    note(n, at, &result, seen);
}

static void put_member(unsigned node, struct hm_bytes *input, bool removes)
{
    static const char *const years[] = {"1950", "2001", ""};
    size_t member = hm_fuzz_below(input, (unsigned)w.member_count);
    const char *year = years[hm_fuzz_below(input, 3)];
    struct written at = {.household = w.households[w.member_of[member]],
                         .row = {w.v.form, 0, w.v.members, w.members[member]},
                         .field = removes ? HM_FIELD_STATUS : w.v.birth_year};
    struct hm_village_node *n = node_at(node);
    struct hm_save_result result;
    bool seen[WRITES_MAX];

    if (!is_here(n, &at.household)) {
        return;
    }
    look(n, &at, seen);
    result = removes ? hm_village_remove_member(&w.v, n, &at.household, &at.row.item)
                     : hm_village_put_member(&w.v, n, &at.household, &at.row.item,
                                             w.v.birth_year, year);
    note(n, at, &result, seen);
}

/* -- Exchanges -- */

enum harm { HARM_NONE, HARM_BUSY, HARM_LOST, HARM_REQUEST, HARM_REPLY };

static void change_bytes(struct hm_buf *buf, struct hm_bytes *input, bool cut)
{
    size_t at = hm_fuzz_below(input, 256) * 256 + hm_fuzz_below(input, 256);
    unsigned bits = hm_fuzz_below(input, 256);

    if (buf->len == 0) {
        return;
    }
    at %= buf->len;
    if (cut) {
        buf->len = at;
    } else {
        buf->data[at] ^= (uint8_t)(bits == 0 ? 1 : bits);
    }
}

static void remember(const struct hm_buf *request, uint64_t device)
{
    struct hm_buf *kept;

    if (w.request_count == REQUESTS_MAX) {
        hm_buf_deinit(&w.requests[0]);
        memmove(&w.requests[0], &w.requests[1],
                (REQUESTS_MAX - 1) * sizeof w.requests[0]);
        memmove(&w.request_device[0], &w.request_device[1],
                (REQUESTS_MAX - 1) * sizeof w.request_device[0]);
        w.request_count--;
    }
    kept = &w.requests[w.request_count];
    w.request_device[w.request_count++] = device;
    hm_buf_init(kept, HM_REQUEST_BYTES_MAX);
    hm_buf_append(kept, hm_buf_bytes(request));
}

static void serve(struct hm_bytes body, uint64_t device, struct hm_serve_reply *reply)
{
    struct hm_serve_request request = {
        .device = device, .body = body, .received_utc_ms = w.v.centre.node.now_ms};

    HM_FUZZ_CHECK(hm_serve_batch(w.v.centre.node.store, w.v.centre.forms, &request,
                                 reply, 1) == HM_OK);
    HM_FUZZ_ERR(reply->err, HM_FUZZ_GUARD_ERRORS, HM_VERSION, HM_DENIED);
}

/* Nobody's own answer vanishes before their eyes, while they hold the hamlet. */
static void check_own(struct hm_village_node *n)
{
    for (size_t k = 0; k < w.write_count && !w.reassigned; k++) {
        HM_FUZZ_CHECK(w.writes[k].author != n || w.writes[k].replaced ||
                      is_live(n, &w.writes[k]));
    }
}

static void adopt(size_t laptop, struct hm_bytes reply, bool whole)
{
    struct hm_village_node *n = &w.v.laptops[laptop];
    struct hm_adopt out;
    int err = hm_adopt_reply(n->node.store, n->forms, reply, n->node.now_ms,
                             n->node.now_ms, &out);

    HM_FUZZ_ERR(err, HM_FUZZ_GUARD_ERRORS);
    HM_FUZZ_CHECK(err == HM_OK || !whole);
    check_own(n);
}

static void exchange(size_t laptop, enum harm harm, struct hm_bytes *input)
{
    struct hm_village_node *n = &w.v.laptops[laptop];
    struct hm_serve_reply reply;
    struct hm_upload upload;
    struct hm_buf request;

    hm_buf_init(&request, HM_REQUEST_BYTES_MAX);
    HM_FUZZ_CHECK(hm_upload_build(n->node.store, CHUNK_BYTES, &request, &upload) ==
                  HM_OK);
    remember(&request, n->node.device);
    if (harm == HARM_REQUEST) {
        change_bytes(&request, input, hm_fuzz_below(input, 2) == 1);
        w.hostile = true;
    }
    serve(hm_buf_bytes(&request), n->node.device, &reply);
    HM_FUZZ_CHECK(reply.err == HM_OK || harm == HARM_REQUEST);
    if (harm == HARM_BUSY) {
        put((unsigned)laptop + 1, input, false); /* while the reply is on its way */
    }
    if (harm == HARM_REPLY) {
        change_bytes(&reply.body, input, true);
    }
    if (harm != HARM_LOST && harm != HARM_REQUEST) {
        adopt(laptop, hm_buf_bytes(&reply.body), harm <= HARM_BUSY);
    }
    if (harm == HARM_NONE) {
        hm_buf_deinit(&w.reply);
        hm_buf_append(&w.reply, hm_buf_bytes(&reply.body));
        w.reply_laptop = laptop;
    }
    hm_serve_reply_deinit(&reply);
    hm_buf_deinit(&request);
}

/* An old request comes once more; whoever sent it does not listen any longer. */
static void repeat_request(struct hm_bytes *input)
{
    struct hm_serve_reply reply;
    size_t i;

    if (w.request_count > 0) {
        i = hm_fuzz_below(input, (unsigned)w.request_count);
        serve(hm_buf_bytes(&w.requests[i]), w.request_device[i], &reply);
        HM_FUZZ_CHECK(reply.err == HM_OK);
        hm_serve_reply_deinit(&reply);
    }
}

static void repeat_reply(void)
{
    if (w.reply.len > 0) {
        adopt(w.reply_laptop, hm_buf_bytes(&w.reply), true);
    }
}

/* Other hamlets for a laptop, whatever it has not sent yet. */
static void reassign(size_t laptop, struct hm_bytes *input)
{
    unsigned hamlets = 1 + hm_fuzz_below(input, 3);
    struct hm_store *s = w.v.centre.node.store;
    uint32_t scopes[2];
    size_t count = 0;

    for (unsigned i = 0; i < 2; i++) {
        if ((hamlets >> i & 1) != 0) {
            scopes[count++] = w.v.hamlets[i];
        }
    }
    HM_FUZZ_CHECK(hm_store_begin(s) == HM_OK);
    HM_FUZZ_CHECK(
        hm_store_end(s, hm_devices_reassign(s, w.v.laptops[laptop].node.device, scopes,
                                            count)) == HM_OK);
    w.reassigned = true;
}

/* -- The run -- */

static void jump(unsigned node, struct hm_bytes *input)
{
    static const int64_t steps[] = {1, -3600000, 86400000, -1700000000000,
                                    3153600000000};

    node_at(node)->node.now_ms += steps[hm_fuzz_below(input, 5)];
}

static void step(struct hm_bytes *input)
{
    unsigned what = hm_fuzz_below(input, 17);
    static const enum harm harms[] = {HARM_NONE, HARM_BUSY, HARM_LOST, HARM_REQUEST,
                                      HARM_REPLY};
    unsigned node = hm_fuzz_below(input, 3);
    size_t laptop = node % 2;

    switch (what) {
    case 0:
        make(node, input);
        break;
    case 1:
    case 2:
    case 3:
        put(node, input, false);
        break;
    case 4:
        put(node, input, true);
        break;
    case 5:
        put_member(node, input, false);
        break;
    case 6:
        put_member(node, input, true);
        break;
    case 7:
        hm_village_restart(node_at(node));
        break;
    case 8:
        repeat_request(input);
        break;
    case 9:
        repeat_reply();
        break;
    case 10:
        jump(node, input);
        break;
    case 16:
        reassign(laptop, input);
        break;
    default:
        exchange(laptop, harms[what - 11], input);
        break;
    }
}

static void check_end(void)
{
    hm_village_settle(&w.v);
    hm_village_check_equal(&w.v);
    for (size_t k = 0; k < w.write_count; k++) {
        const struct written *write = &w.writes[k];

        /* Late ones are accepted; laptops have what they hold. */
        for (unsigned i = 0; i < (w.reassigned ? 1 : 3); i++) {
            HM_FUZZ_CHECK(is_live(node_at(i), write) != write->replaced);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        HM_FUZZ_CHECK(w.hostile || hm_village_quarantined(node_at(i)) == 0);
    }
}

static void forget(void)
{
    for (size_t i = 0; i < w.request_count; i++) {
        hm_buf_deinit(&w.requests[i]);
    }
    hm_buf_deinit(&w.reply);
    w.request_count = 0;
    w.write_count = 0;
    w.household_count = 1;
    w.member_count = 1;
    w.hostile = false;
    w.reassigned = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hm_bytes input = hm_bytes_of(data, size);

    hm_fuzz_village_open(&w.v);
    hm_buf_init(&w.reply, HM_REPLY_BYTES_MAX);
    forget();
    for (int i = 0; i < STEPS_MAX && input.len > 0; i++) {
        step(&input);
    }
    check_end();
    forget();
    hm_village_close(&w.v);
    return 0;
}
