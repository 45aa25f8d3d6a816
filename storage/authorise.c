#include "storage/authorise.h"

#include <stdarg.h>
#include <stdio.h>

#include "protocol/fact.h"
#include "protocol/form/field_table.h"
#include "protocol/form/value.h"
#include "protocol/text.h"
#include "storage/closed.h"
#include "storage/households.h"
#include "storage/rescue.h"
#include "storage/rounds.h"

int hm_authorise_prepare(struct hm_store *s, struct hm_forms *forms,
                         const struct hm_units_tree *tree, uint64_t device,
                         struct hm_arena *arena, struct hm_authority *out)
{
    struct hm_authority a = {.s = s, .forms = forms, .arena = arena, .tree = *tree};
    int err = hm_devices_get(s, device, arena, &a.device);

    if (err == HM_OK) {
        err = hm_devices_effective_scopes(&a.device, tree, arena, &a.scopes,
                                          &a.scope_count);
    }
    if (err == HM_OK) {
        *out = a;
    }
    return err;
}

int hm_authorise_role(struct hm_store *s, uint32_t user,
                      enum hm_device_role device_role, struct hm_arena *arena,
                      struct hm_role *out)
{
    struct hm_user found;
    int err;

    if (user == HM_USER_OPERATOR) {
        return hm_people_find_role(
            s, device_role == HM_DEVICE_HUB ? "admin" : "enumerator", arena, out);
    }
    err = hm_people_get_user(s, user, arena, &found);
    return err == HM_OK ? hm_people_get_role(s, found.role, arena, out) : err;
}

struct check {
    struct hm_authority *a;
    const struct hm_change *change;
    const struct hm_dot *dot;
    const struct hm_author *author;
    struct hm_household *h;
    bool found;
    struct hm_role role;
    bool rescue;
    char *detail;
    int verdict;
};

static void refuse(struct check *c, int verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct check *c, int verdict, const char *format, ...)
{
    va_list args;

    c->verdict = verdict;
    va_start(args, format);
    (void)vsnprintf(c->detail, HM_QUARANTINE_DETAIL_MAX, format, args); /* cut */
    hm_text_drop_half_letter(c->detail);
    va_end(args);
}

static bool holds(const struct hm_authority *a, uint32_t scope)
{
    size_t low = 0;
    size_t high = a->scope_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (a->scopes[middle] < scope) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < a->scope_count && a->scopes[low] == scope;
}

/* Is this what somebody saw of a log that is closed, written again? Then it has its
 * author's rank and form, whose rights were checked when it was written, or would have
 * been: that the log is closed was an officer's decision. */
static int find_rescue(struct check *c)
{
    const struct hm_change *change = c->change;
    int err = HM_OK;

    c->rescue = hm_bytes_equal(change->reason, hm_bytes_str(HM_RESCUE_REASON)) &&
                change->row_count > 0;
    for (size_t i = 0; i < change->row_count && err == HM_OK && c->rescue; i++) {
        const struct hm_row_write *row = &change->rows[i];

        for (size_t j = 0; j < row->cell_count && err == HM_OK && c->rescue; j++) {
            const struct hm_cell_write *cell = &row->cells[j];
            uint64_t entries = 0;
            bool closed = false;

            if (cell->replaced_count != 1) {
                c->rescue = false;
                break;
            }
            err = hm_closed_get(c->a->s, cell->replaced[0].incarnation, &closed,
                                &entries);
            c->rescue = closed && cell->replaced[0].n >= entries;
        }
    }
    return err;
}

/* By the author's clock, corrected; a doubt counts as afterwards: what waits in
 * quarantine can be released, what has entered the state can't be taken out. */
static bool is_after(const struct check *c, int64_t utc_ms)
{
    const struct hm_author *author = c->author;
    int64_t at_ms;

    return author->clock_class == HM_CLOCK_UNKNOWN ||
           __builtin_add_overflow(author->base_wall_ms, author->clock_offset_ms,
                                  &at_ms) ||
           __builtin_add_overflow(at_ms, c->change->dt_ms, &at_ms) || at_ms >= utc_ms;
}

static int check_device(struct check *c)
{
    const struct hm_device *device = &c->a->device;
    bool after = false;
    int err = HM_OK;

    if (device->active) {
        return HM_OK;
    }
    after = is_after(c, device->revoked_utc_ms);
    if (!after) {
        err = hm_quarantine_follows_revoked(c->a->s, c->dot, device->revoked_utc_ms,
                                            &after);
    }
    if (err == HM_OK && after) {
        refuse(c, HM_REVOKED, "device %s had been revoked when this was written",
               device->name);
    }
    return err;
}

static int check_user(struct check *c)
{
    struct hm_user user;
    int err;

    if (c->change->user == HM_USER_OPERATOR) {
        return HM_OK;
    }
    err = hm_people_get_user(c->a->s, c->change->user, c->a->arena, &user);
    if (err == HM_NOTFOUND) {
        refuse(c, HM_DENIED, "user %u is not known here", c->change->user);
        return HM_OK;
    }
    if (err == HM_OK && !user.active && is_after(c, user.disabled_utc_ms)) {
        refuse(c, HM_DENIED, "user %s had been disabled when this was written",
               user.name);
    } else if (err == HM_OK &&
               !hm_units_is_under(&c->a->tree, c->change->scope, user.unit)) {
        refuse(c, HM_DENIED, "user %s does not work in hamlet %s", user.name,
               hm_units_code_of(&c->a->tree, c->change->scope));
    }
    return err;
}

static int check_role(struct check *c)
{
    int err = hm_authorise_role(c->a->s, c->change->user, c->a->device.role,
                                c->a->arena, &c->role);

    if (err == HM_NOTFOUND) {
        refuse(c, HM_DENIED, "the role of user %u is not known here", c->change->user);
        return HM_OK;
    }
    if (err == HM_OK && c->change->rank > c->role.rank) {
        refuse(c, HM_DENIED, "the change claims rank %u, role %s has %u",
               c->change->rank, c->role.code, c->role.rank);
    } else if (err == HM_OK &&
               !hm_people_has_right(&c->role, HM_RIGHT_HOUSEHOLD_WRITE)) {
        refuse(c, HM_DENIED, "role %s may not write households", c->role.code);
    }
    return err;
}

static int check_author(struct check *c)
{
    int err = check_device(c);

    if (c->rescue) {
        return err;
    }
    if (err == HM_OK && c->verdict == HM_OK) {
        err = check_user(c);
    }
    return err == HM_OK && c->verdict == HM_OK ? check_role(c) : err;
}

/* A hamlet that the device is assigned now, or was once. */
static enum hm_devices_hold hold_of(const struct check *c, uint32_t scope)
{
    return holds(c->a, scope) ? HM_DEVICES_HOLDS
                              : hm_devices_hold_of(&c->a->device, &c->a->tree, scope);
}

/* The household lives elsewhere than in the hamlets of the device. Whoever has not
 * heard of a move writes on: that is accepted, and shown as late. */
static int check_moved(struct check *c, uint32_t lives_in)
{
    bool lived_here = holds(c->a, c->h->home);
    int err = lived_here ? HM_OK
                         : hm_households_departed(c->a->s, c->change->scope, &c->h->id,
                                                  &lived_here);

    if (err == HM_OK && lived_here) {
        c->a->late = true;
    } else if (err == HM_OK) {
        refuse(c, HM_DENIED,
               "the household lives in hamlet %s, not assigned to device %s",
               hm_units_code_of(&c->a->tree, lives_in), c->a->device.name);
    }
    return err;
}

static int check_scope(struct check *c)
{
    enum hm_devices_hold hold = hold_of(c, c->change->scope);
    uint32_t *scopes = NULL;
    size_t count = 0;
    int err;

    if (hold == HM_DEVICES_HOLDS_NOT) {
        refuse(c, HM_DENIED, "device %s is not assigned hamlet %s", c->a->device.name,
               hm_units_by_id(&c->a->tree, c->change->scope) == NULL
                   ? "(unknown)"
                   : hm_units_code_of(&c->a->tree, c->change->scope));
        return HM_OK;
    }
    c->a->late = hold == HM_DEVICES_HELD;
    if (!c->found || !c->h->home_known) {
        return HM_OK; /* where it lives is a guess until its creating change comes */
    }
    err = hm_household_scopes(c->h, &scopes, &count);
    hold = HM_DEVICES_HOLDS_NOT;
    for (size_t i = 0; i < count && err == HM_OK; i++) {
        enum hm_devices_hold next = hold_of(c, scopes[i]);

        hold = next > hold ? next : hold;
    }
    if (err == HM_OK && hold == HM_DEVICES_HELD) {
        c->a->late = true;
    } else if (err == HM_OK && hold == HM_DEVICES_HOLDS_NOT) {
        err = check_moved(c, scopes[0]);
    }
    return err;
}

static bool may_write(const struct hm_form_item *form, const struct hm_role *role)
{
    for (size_t i = 0; i < form->write_count; i++) {
        if (strcmp(form->write[i], role->code) == 0) {
            return true;
        }
    }
    return form->write_count == 0;
}

static int check_round(struct check *c, const struct hm_form_item *form,
                       const struct hm_row_key *key)
{
    struct hm_round round;
    int err;

    if ((form->fill == HM_FORM_FILL_PER_ROUND) != (key->round != 0)) {
        refuse(c, HM_INVALID, "form %s is %sfilled in rounds", form->form_id,
               key->round != 0 ? "not " : "");
        return HM_OK;
    }
    if (key->round == 0) {
        return HM_OK;
    }
    err = hm_rounds_get(c->a->s, key->round, c->a->arena, &round);
    if (err == HM_NOTFOUND) {
        refuse(c, HM_NOTFOUND, "round %u is not known here", key->round);
        err = HM_OK;
    }
    return err;
}

static int check_cells(struct check *c, const struct hm_form_item *form,
                       const struct hm_row_write *row)
{
    const struct hm_field_table *table;
    const struct hm_field_entry *repeat;
    struct hm_buf why;
    int err = hm_forms_load_table(c->a->forms, form->number, &table);

    if (err != HM_OK) {
        return err == HM_NOTFOUND ? HM_AGAIN : err; /* its blob is on its way */
    }
    repeat =
        row->key.repeat == 0 ? NULL : hm_field_table_by_number(table, row->key.repeat);
    if (row->key.repeat != 0 &&
        (repeat == NULL || repeat->kind != HM_FIELD_KIND_REPEAT)) {
        refuse(c, HM_NOTFOUND, "form %s has no repeat %u", form->form_id,
               row->key.repeat);
        return HM_OK;
    }
    if ((row->key.repeat == 0) != hm_item_is_none(&row->key.item)) {
        refuse(c, HM_INVALID, "a row of form %s has a wrong item", form->form_id);
        return HM_OK;
    }
    hm_buf_init(&why, 4096);
    for (size_t i = 0; i < row->cell_count && c->verdict == HM_OK; i++) {
        const struct hm_cell_write *cell = &row->cells[i];
        const struct hm_field_entry *entry;

        if (cell->field < HM_FIELD_FIRST) {
            if (cell->field != HM_FIELD_STATUS && cell->field != HM_FIELD_PARENT) {
                refuse(c, HM_NOTFOUND, "form %s has no field %u", form->form_id,
                       cell->field);
            }
            continue;
        }
        entry = hm_field_table_by_number(table, cell->field);
        if (entry == NULL || entry->kind == HM_FIELD_KIND_REPEAT ||
            entry->repeat != row->key.repeat) {
            refuse(c, HM_NOTFOUND, "form %s has no field %u there", form->form_id,
                   cell->field);
        } else if (hm_value_check(entry, cell->value, &why) != HM_OK) {
            refuse(c, HM_INVALID, "%s",
                   hm_buf_str(&why) == NULL ? "a value does not fit"
                                            : hm_buf_str(&why));
        }
    }
    hm_buf_deinit(&why);
    return HM_OK;
}

/* What is written about the household itself: by whoever may write households. */
static void check_facts(struct check *c, const struct hm_row_write *row)
{
    if (row->key.round != 0 || row->key.repeat != 0 ||
        !hm_item_is_none(&row->key.item)) {
        refuse(c, HM_INVALID, "a household has one row of its own");
        return;
    }
    for (size_t i = 0; i < row->cell_count && c->verdict == HM_OK; i++) {
        const struct hm_cell_write *cell = &row->cells[i];
        const struct hm_unit *unit;
        uint32_t scope = 0;

        if (hm_fact_check(cell->field, cell->value) != HM_OK) {
            refuse(c, HM_INVALID, "no fact about a household (field %u)", cell->field);
        } else if (cell->field == HM_FIELD_SCOPE &&
                   hm_fact_scope(cell->value, &scope)) {
            unit = hm_units_by_id(&c->a->tree, scope);
            if (unit == NULL || unit->kind != HM_UNIT_HAMLET) {
                refuse(c, HM_NOTFOUND, "it moves to unit %u, no hamlet known here",
                       scope);
            }
        }
    }
}

static int check_row(struct check *c, const struct hm_row_write *row)
{
    struct hm_form_item form;
    int err;

    if (row->key.form == HM_FORM_HOUSEHOLD) {
        check_facts(c, row);
        return HM_OK;
    }
    err = hm_forms_get(c->a->s, row->key.form, c->a->arena, &form);
    if (err == HM_NOTFOUND) {
        refuse(c, HM_NOTFOUND, "form %u is not known here", row->key.form);
        return HM_OK;
    }
    if (err == HM_OK && !c->rescue && !may_write(&form, &c->role)) {
        refuse(c, HM_DENIED, "role %s may not write form %s", c->role.code,
               form.form_id);
        return HM_OK;
    }
    if (err == HM_OK) {
        err = check_round(c, &form, &row->key);
    }
    if (err == HM_OK && c->verdict == HM_OK) {
        err = check_cells(c, &form, row);
    }
    return err;
}

int hm_authorise_change(struct hm_authority *a, const struct hm_change *change,
                        const struct hm_dot *dot, const struct hm_author *author,
                        struct hm_household *h, bool found, int *out_verdict,
                        char detail[HM_QUARANTINE_DETAIL_MAX])
{
    struct check c = {.a = a,
                      .change = change,
                      .dot = dot,
                      .author = author,
                      .h = h,
                      .found = found,
                      .detail = detail};
    int err;

    detail[0] = 0;
    a->late = false;
    err = find_rescue(&c);
    if (err == HM_OK) {
        err = check_author(&c);
    }
    if (err == HM_OK && c.verdict == HM_OK) {
        err = check_scope(&c);
    }
    for (size_t i = 0; i < change->row_count && err == HM_OK && c.verdict == HM_OK;
         i++) {
        err = check_row(&c, &change->rows[i]);
    }
    if (err == HM_OK) {
        *out_verdict = c.verdict;
    }
    return err;
}
