/* What people do: one at each node, one thing after the other. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/chaos.h"
#include "tests/support/child.h"
#include "tests/support/e2e_data.h"

enum {
    HOT = 2, /* households of a hamlet that everybody changes */
    IMPORT_LINES = 3,
    ARRIVES_S = 5,  /* bytes may wait so long in a stopped process */
    VALUES_MAX = 4, /* of a conflict that is decided on */
    ARGUMENTS_MAX = 7 + 2 * VALUES_MAX,
    STATUS_EVERY = 3 /* of the commands beside a person's */
};

static unsigned draw(struct chaos *c, unsigned below)
{
    return (unsigned)hm_rng_below(&c->rng, below);
}

static void rest(struct chaos *c, struct chaos_node *n)
{
    n->person.step = CHAOS_IDLE;
    n->person.next_s = chaos_now_s(c) + 0.1 + draw(c, 900) / 1000.0;
}

/* --- what was tried --- */

static json_t *note_save(struct chaos *c, const struct chaos_node *n, const char *kind,
                         const char *mark)
{
    json_t *save = json_pack("{s:i, s:s, s:s?, s:b, s:i, s:[], s:b}", "node",
                             (int)n->index, "kind", kind, "mark", mark, "answered", 0,
                             "tries", 0, "cells", "moved", 1);

    if (save == NULL) {
        e2e_fail("a save could not be noted");
    }
    (void)json_array_append_new(c->saves, save);
    return save;
}

static void expect(json_t *save, const char *cell, const json_t *value)
{
    (void)json_array_append_new(json_object_get(save, "cells"),
                                json_pack("[s,O]", cell, value));
}

static void expect_text(json_t *save, const char *cell, const char *text)
{
    (void)json_array_append_new(json_object_get(save, "cells"),
                                json_pack("[s,s]", cell, text));
}

/* Different in each save, and nowhere else. */
static void make_mark(struct chaos *c, const char *kind, char out[32])
{
    (void)snprintf(out, 32, "%s %05u", kind, c->marks++);
}

static void begin_put(struct chaos *c, struct chaos_node *n)
{
    static const char *const arguments[] = {"household", "put", NULL};
    struct chaos_person *p = &n->person;
    char *text = json_dumps(p->input, JSON_COMPACT);

    (void)json_object_set_new(
        p->save, "tries",
        json_integer(json_integer_value(json_object_get(p->save, "tries")) + 1));
    chaos_job_begin(c, n, &p->job, text, arguments);
    p->step = CHAOS_PUTTING;
    free(text);
}

/* --- new households --- */

static size_t draw_scope(struct chaos *c, const struct chaos_node *n)
{
    return n->scopes[draw(c, (unsigned)n->scope_count)];
}

static void begin_new(struct chaos *c, struct chaos_node *n)
{
    struct chaos_person *p = &n->person;
    size_t scope = draw_scope(c, n);
    char mark[32];

    make_mark(c, "Hộ", mark);
    json_decref(p->input);
    p->input = e2e_new_save(chaos_scopes[scope], mark, 1 + draw(c, 3));
    p->save = note_save(c, n, "new", mark);
    (void)json_object_set_new(p->save, "scope", json_integer((json_int_t)scope));
    expect_text(p->save, "register:head_name", mark);
    p->looked_s = chaos_now_s(c);
    begin_put(c, n);
}

static void begin_import(struct chaos *c, struct chaos_node *n)
{
    struct chaos_person *p = &n->person;
    const char *arguments[] = {"import", p->file, "--form", "register", NULL};

    if (p->file[0] == 0) {
        char text[1000];
        int len = snprintf(text, sizeof text,
                           "scope,head_name,phone,members[1].name,members[1].sex,"
                           "members[1].birth_year\n");

        (void)snprintf(p->file, sizeof p->file, "%s",
                       e2e_path("import-%u.csv", c->marks));
        for (int i = 0; i < IMPORT_LINES; i++) {
            char mark[32];

            make_mark(c, "Hộ", mark);
            (void)json_object_set_new(note_save(c, n, "import", mark), "file",
                                      json_string(p->file));
            len += snprintf(text + len, sizeof text - (size_t)len,
                            "%s,%s,0905%06u,%s,1,1980\n",
                            chaos_scopes[draw_scope(c, n)], mark, c->marks, mark);
        }
        e2e_write_file(p->file, text);
    }
    chaos_job_begin(c, n, &p->job, NULL, arguments);
    p->step = CHAOS_IMPORTING;
}

/* All lines are there, now or since the first try; else a person tries the same file
 * again. */
static void end_import(struct chaos *c, struct chaos_node *n,
                       const struct e2e_result *result)
{
    struct chaos_person *p = &n->person;
    json_t *save;
    size_t at;

    if (result->exit_code == E2E_PARTLY ||
        (result->exit_code == E2E_DONE &&
         e2e_int(result->json, "accepted") + e2e_int(result->json, "duplicates") !=
             IMPORT_LINES)) {
        e2e_fail("%s: an import without faults is not taken: %s", n->node->name,
                 result->out);
    }
    chaos_say(c, n, "import: exit %d %s%s", result->exit_code, result->out,
              result->err);
    rest(c, n);
    if (result->exit_code != E2E_DONE) {
        return;
    }
    json_array_foreach(c->saves, at, save)
    {
        const char *file = json_string_value(json_object_get(save, "file"));

        if (file != NULL && strcmp(file, p->file) == 0 && !e2e_bool(save, "answered")) {
            (void)json_object_set_new(save, "answered", json_true());
            c->figures.saves_answered++;
        }
    }
    c->figures.imports++;
    if (draw(c, 3) > 0) {
        p->file[0] = 0; /* else the same file once more, to be on the safe side */
    }
}

/* --- changes --- */

/* One of the few that everybody changes, or any of the hamlet. */
static const char *draw_household(struct chaos *c, const struct chaos_node *n)
{
    const json_t *ids = json_array_get(c->households, draw_scope(c, n));
    unsigned count = (unsigned)json_array_size(ids);
    unsigned from = draw(c, 3) > 0 && count > HOT ? HOT : count;

    return count == 0 ? NULL : json_string_value(json_array_get(ids, draw(c, from)));
}

static void begin_show(struct chaos *c, struct chaos_node *n)
{
    struct chaos_person *p = &n->person;
    const char *id = draw_household(c, n);
    const char *arguments[] = {"household", "show", p->household, NULL};

    if (id == NULL) {
        rest(c, n);
        return;
    }
    (void)snprintf(p->household, sizeof p->household, "%s", id);
    p->looked_s = chaos_now_s(c);
    chaos_job_begin(c, n, &p->job, NULL, arguments);
    p->step = CHAOS_SHOWING;
}

static void plan_field(struct chaos *c, struct chaos_node *n, const char *form,
                       const char *round, const char *field, const char *word)
{
    struct chaos_person *p = &n->person;
    json_t *row = json_pack("{s:s,s:s?}", "form", form, "round", round);
    char mark[32];
    char cell[300];

    make_mark(c, word, mark);
    p->save = note_save(c, n, "field", mark);
    p->input = json_pack("{s:s,s:s,s:s?,s:{s:s}}", "household", p->household, "form",
                         form, "round", round, "values", field, mark);
    chaos_cell(row, field, cell);
    expect_text(p->save, cell, mark);
    json_decref(row);
}

static json_t *member_save(const char *household, const json_t *row)
{
    return json_pack("{s:s,s:s,s:n,s:{},s:[O]}", "household", household, "form",
                     "register", "round", "values", "rows", row);
}

static const json_t *draw_member(struct chaos *c, const json_t *shown)
{
    const json_t *found = NULL;
    unsigned seen = 0;
    json_t *row;
    size_t at;

    json_array_foreach(e2e_get(shown, "rows"), at, row)
    {
        if (json_is_string(json_object_get(row, "repeat")) &&
            strcmp(e2e_str(row, "form"), "register") == 0 && draw(c, ++seen) == 0) {
            found = row;
        }
    }
    return found;
}

static void plan_new_member(struct chaos *c, struct chaos_node *n)
{
    struct chaos_person *p = &n->person;
    char mark[32];
    json_t *row;

    make_mark(c, "Người", mark);
    p->save = note_save(c, n, "member", mark);
    row = json_pack("{s:s,s:n,s:{s:s,s:s,s:i}}", "repeat", "members", "item", "values",
                    "name", mark, "sex", "2", "birth_year", 1990);
    p->input = member_save(p->household, row);
    json_decref(row);
}

static void plan_member(struct chaos *c, struct chaos_node *n, const json_t *member,
                        bool remove)
{
    struct chaos_person *p = &n->person;
    const char *item = e2e_str(member, "item");
    char mark[32];
    char cell[300];
    json_t *row;

    if (remove) {
        (void)json_object_set_new(c->removed, item, json_true());
        p->save = note_save(c, n, "removal", NULL);
        (void)json_object_set_new(p->save, "item", json_string(item));
        row =
            json_pack("{s:s,s:s,s:b}", "repeat", "members", "item", item, "removed", 1);
    } else {
        make_mark(c, "Ghi chú", mark);
        p->save = note_save(c, n, "field", mark);
        row = json_pack("{s:s,s:s,s:{s:s}}", "repeat", "members", "item", item,
                        "values", "note", mark);
        chaos_cell(member, "note", cell);
        expect_text(p->save, cell, mark);
    }
    p->input = member_save(p->household, row);
    json_decref(row);
}

/* What was shown is what the change goes by. */
static void end_show(struct chaos *c, struct chaos_node *n,
                     const struct e2e_result *result)
{
    struct chaos_person *p = &n->person;
    const json_t *member;
    unsigned what = draw(c, 10);

    if (result->exit_code != E2E_DONE) {
        chaos_say(c, n, "show %s: exit %d %s", p->household, result->exit_code,
                  result->err);
        rest(c, n);
        return;
    }
    c->figures.reads_on_full_disk += n->full_until_s > 0 ? 1 : 0;
    chaos_see(n, result->json);
    json_decref(p->input);
    member = draw_member(c, result->json);
    if (what < 4 || (what > 6 && what != 9 && member == NULL)) {
        plan_field(c, n, "register", NULL, "phone", "09");
    } else if (what == 4) {
        plan_field(c, n, "register", NULL, "address", "Ngõ");
    } else if (what == 5) {
        plan_field(c, n, "review", "2026", "assessor_note", "Nhận xét");
    } else if (what == 9 || member == NULL) {
        plan_new_member(c, n);
    } else {
        plan_member(c, n, member, what == 8);
    }
    begin_put(c, n);
}

/* --- answers --- */

static void take_answer(struct chaos *c, struct chaos_node *n,
                        const struct e2e_result *result)
{
    struct chaos_person *p = &n->person;
    const char *kind = e2e_str(p->save, "kind");
    const char *household = e2e_str(result->json, "household");
    json_t *change = e2e_get(result->json, "change");

    (void)json_object_set_new(p->save, "answered", json_true());
    (void)json_object_set(p->save, "change", change);
    (void)json_object_set_new(p->save, "household", json_string(household));
    (void)json_object_set_new(p->save, "moved",
                              json_boolean(n->moved_s + ARRIVES_S > p->looked_s));
    c->figures.saves_answered++;
    if (json_is_string(change)) {
        (void)json_object_set_new(p->save, "answered_s", json_real(chaos_now_s(c)));
    }
    if (strcmp(kind, "member") == 0 && json_is_string(change)) {
        char cell[300];

        (void)snprintf(cell, sizeof cell, "register:members[%s].name",
                       e2e_str(result->json, "items.0"));
        expect_text(p->save, cell, e2e_str(p->save, "mark"));
    }
    if (strcmp(kind, "new") == 0) {
        (void)json_array_append_new(
            json_array_get(c->households, (size_t)e2e_int(p->save, "scope")),
            json_string(household));
        c->figures.new_households++;
    } else if (strcmp(kind, "field") == 0) {
        c->figures.updates++;
    } else {
        c->figures.member_changes += strcmp(kind, "resolution") == 0 ? 0 : 1;
        c->figures.resolutions += strcmp(kind, "resolution") == 0 ? 1 : 0;
    }
}

/* A save without an answer is tried again as a rule, but for a new household: nobody
 * could tell the second one from another household of that name. */
static void end_put(struct chaos *c, struct chaos_node *n,
                    const struct e2e_result *result)
{
    struct chaos_person *p = &n->person;
    json_int_t status = json_integer_value(json_object_get(result->json, "status"));
    const char *mark = json_string_value(json_object_get(p->save, "mark"));
    bool resolving = p->step == CHAOS_RESOLVING;

    chaos_say(c, n, "%s '%s' %s: exit %d %s%s", e2e_str(p->save, "kind"),
              mark == NULL ? "" : mark, resolving ? p->job.what : p->household,
              result->exit_code, result->exit_code == E2E_DONE ? result->out : "",
              result->err);
    rest(c, n);
    if (result->exit_code == E2E_DONE) {
        take_answer(c, n, result);
    } else if (status == 507) {
        c->figures.saves_refused++;
    } else {
        c->figures.saves_unanswered++;
        if (!resolving && strcmp(e2e_str(p->save, "kind"), "new") != 0 &&
            draw(c, 4) > 0) {
            p->step = CHAOS_PUTTING; /* again, when it is time */
        }
    }
}

/* --- conflicts --- */

static void begin_list(struct chaos *c, struct chaos_node *n)
{
    static const char *const arguments[] = {"conflict", "list", NULL};

    n->person.looked_s = chaos_now_s(c);
    chaos_job_begin(c, n, &n->person.job, NULL, arguments);
    n->person.step = CHAOS_LISTING;
}

/* Takes a value that is listed, or writes another one. */
static void begin_resolve(struct chaos *c, struct chaos_node *n, const json_t *conflict)
{
    struct chaos_person *p = &n->person;
    const char *cell = e2e_str(conflict, "cell");
    const json_t *values = e2e_get(conflict, "values");
    bool is_status = strcmp(e2e_str(conflict, "field"), "status") == 0;
    unsigned take = draw(c, (unsigned)json_array_size(values));
    bool write = !is_status && draw(c, 2) == 0;
    char number[16];
    char mark[32];
    const char *arguments[ARGUMENTS_MAX + 1] = {"conflict",
                                                "resolve",
                                                p->household,
                                                "--cell",
                                                cell,
                                                write ? "--value" : "--take",
                                                write ? mark : number};
    size_t count = 7;

    (void)snprintf(p->household, sizeof p->household, "%s",
                   e2e_str(conflict, "household"));
    (void)snprintf(number, sizeof number, "%u", take + 1);
    if (write) {
        make_mark(c, "09", mark);
    }
    p->save = note_save(c, n, "resolution", write ? mark : NULL);
    (void)json_object_set_new(p->save, "tries", json_integer(1));
    if (write) {
        expect_text(p->save, cell, mark);
    } else if (!is_status) {
        expect(p->save, cell, e2e_get(json_array_get(values, take), "value"));
    }
    for (size_t i = 0; !is_status && i < json_array_size(values); i++) {
        arguments[count++] = "--dot";
        arguments[count++] = e2e_str(json_array_get(values, i), "dot");
    }
    chaos_job_begin(c, n, &p->job, NULL, arguments);
    p->step = CHAOS_RESOLVING;
}

static void end_list(struct chaos *c, struct chaos_node *n,
                     const struct e2e_result *result)
{
    const json_t *conflict;
    json_t *shown;
    json_t *value;
    size_t at;

    if (result->exit_code != E2E_DONE || json_array_size(result->json) == 0) {
        rest(c, n);
        return;
    }
    conflict =
        json_array_get(result->json, draw(c, (unsigned)json_array_size(result->json)));
    shown = json_pack("{s:O, s:[], s:[O]}", "household", e2e_get(conflict, "household"),
                      "rows", "conflicts", conflict);
    chaos_see(n, shown);
    json_decref(shown);
    json_array_foreach(e2e_get(conflict, "values"), at, value)
    {
        if (!json_is_string(e2e_get(value, "value")) || at == VALUES_MAX) {
            rest(c, n); /* a number, a blank, too many: left to others */
            return;
        }
    }
    begin_resolve(c, n, conflict);
}

/* --- turns --- */

static void begin_something(struct chaos *c, struct chaos_node *n)
{
    unsigned what = draw(c, 100);

    if (n->person.step == CHAOS_PUTTING) {
        begin_put(c, n);
    } else if (n->person.file[0] != 0 || what < 4) {
        begin_import(c, n);
    } else if (what < 20) {
        begin_new(c, n);
    } else if (what < 35) {
        begin_list(c, n);
    } else {
        begin_show(c, n);
    }
}

static void turn_person(struct chaos *c, struct chaos_node *n)
{
    struct chaos_person *p = &n->person;
    struct e2e_result *result;

    if (p->job.job == NULL) {
        bool try = n->state == CHAOS_READY || draw(c, 100) == 0;

        if (!c->stopping && try && chaos_now_s(c) >= p->next_s) {
            begin_something(c, n);
        }
        return;
    }
    result = chaos_job_end(c, n, &p->job);
    if (result == NULL) {
        return;
    }
    switch (p->step) {
    case CHAOS_SHOWING:
        end_show(c, n, result);
        break;
    case CHAOS_LISTING:
        end_list(c, n, result);
        break;
    case CHAOS_IMPORTING:
        end_import(c, n, result);
        break;
    case CHAOS_IDLE:
    case CHAOS_PUTTING:
    case CHAOS_RESOLVING:
        end_put(c, n, result);
        break;
    }
    e2e_forget(result);
}

/* --- beside them --- */

static long rss_kb(pid_t pid)
{
    char path[64];
    char *text;
    const char *line;
    long kb = 0;

    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    text = hm_child_read_file(path, NULL);
    line = text == NULL ? NULL : strstr(text, "VmRSS:");
    if (line != NULL) {
        kb = strtol(line + 6, NULL, 10);
    }
    free(text);
    return kb;
}

static unsigned open_files(pid_t pid)
{
    unsigned count = 0;
    char path[64];
    DIR *dir;

    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return count;
}

/* How many of the answered saves the centre has said to hold, the first ones: all that
 * were answered before the status was asked for, but the last so many that it calls
 * unsent. */
static json_int_t receipted(const struct chaos *c, const struct chaos_node *n,
                            const json_t *status)
{
    json_int_t count = -e2e_int(status, "unsent.changes");
    json_t *save;
    size_t at;

    json_array_foreach(c->saves, at, save)
    {
        const json_t *answered_s = json_object_get(save, "answered_s");

        if (answered_s != NULL && e2e_int(save, "node") == (json_int_t)n->index) {
            count += json_number_value(answered_s) < n->side.begun_s ? 1 : 0;
        }
    }
    if (count > e2e_int(status, "receipts.centre") && n->index > 0) {
        e2e_fail("%s: %d answered saves are not unsent, but only %d are receipted",
                 n->node->name, (int)count, (int)e2e_int(status, "receipts.centre"));
    }
    return count;
}

static void take_status(const struct chaos *c, struct chaos_node *n,
                        const json_t *status)
{
    n->receipts = receipted(c, n, status);
    if (n->node->pid > 0) {
        long kb = rss_kb(n->node->pid);
        unsigned fds = open_files(n->node->pid);

        n->rss_kb_max = kb > n->rss_kb_max ? kb : n->rss_kb_max;
        n->fds_max = fds > n->fds_max ? fds : n->fds_max;
    }
}

static void end_side(struct chaos *c, struct chaos_node *n,
                     const struct e2e_result *result)
{
    bool done = result->exit_code == E2E_DONE;

    if (strcmp(n->side.what, "status") == 0 && done) {
        take_status(c, n, result->json);
    } else if (strcmp(n->side.what, "sync resume") == 0 && done) {
        n->pause_until_s = 0;
        chaos_say(c, n, "sync goes on");
    } else if (strcmp(n->side.what, "sync") == 0) {
        c->figures.syncs += done ? 1 : 0;
    }
    n->side_next_s = chaos_now_s(c) + 0.3 + draw(c, 2000) / 1000.0;
}

static void begin_side(struct chaos *c, struct chaos_node *n)
{
    static const char *const status[] = {"status", NULL};
    static const char *const sync[] = {"sync", NULL};
    static const char *const resume[] = {"sync", "resume", NULL};
    double now_s = chaos_now_s(c);

    if (n->state != CHAOS_READY) {
        return;
    }
    if (n->pause_until_s > 0 && now_s >= n->pause_until_s) {
        chaos_job_begin(c, n, &n->side, NULL, resume);
    } else if (!c->stopping && now_s >= n->side_next_s) {
        bool asks = n->index == 0 || draw(c, STATUS_EVERY) == 0;

        chaos_job_begin(c, n, &n->side, NULL, asks ? status : sync);
    }
}

void chaos_people_turn(struct chaos *c)
{
    for (size_t i = 0; i < CHAOS_NODES; i++) {
        struct chaos_node *n = &c->nodes[i];

        turn_person(c, n);
        if (n->side.job == NULL) {
            begin_side(c, n);
        } else {
            struct e2e_result *result = chaos_job_end(c, n, &n->side);

            if (result != NULL) {
                end_side(c, n, result);
                e2e_forget(result);
            }
        }
    }
}

bool chaos_people_rest(const struct chaos *c)
{
    for (size_t i = 0; i < CHAOS_NODES; i++) {
        if (c->nodes[i].person.job.job != NULL || c->nodes[i].side.job != NULL) {
            return false;
        }
    }
    return true;
}
