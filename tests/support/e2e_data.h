/* Household data in end-to-end tests: a commune of three nodes, saves, and what must be
 * equal everywhere. As e2e.h: what goes wrong fails the running test. */
#ifndef HM_TESTS_SUPPORT_E2E_DATA_H
#define HM_TESTS_SUPPORT_E2E_DATA_H

#include "tests/support/e2e.h"

/* The three hamlets of the sample commune: a holds the first two, b the last two. */
#define E2E_HAMLET_A    "19885001"
#define E2E_HAMLET_BOTH "19885002"
#define E2E_HAMLET_B    "19885003"

struct e2e_commune {
    struct e2e_node *centre;
    struct e2e_node *a; /* E2E_HAMLET_A and E2E_HAMLET_BOTH, through a->proxy */
    struct e2e_node *b; /* E2E_HAMLET_BOTH and E2E_HAMLET_B, through b->proxy */
};

/* --- nodes --- */

/* A running centre with the bundled programme and no household. */
struct e2e_node *e2e_centre(bool loop_guard);
/* Writes a generated commune as CSV; its path. */
const char *e2e_generate(unsigned households);
/* A running laptop that has joined hub for these scopes (until NULL) through a proxy of
 * its own. */
struct e2e_node *e2e_laptop(const char *name, struct e2e_node *hub, ...)
    __attribute__((sentinel));
/* `device invite` at the hub for these scopes; the code, its address replaced by
 * 127.0.0.1:port. */
const char *e2e_invite(struct e2e_node *hub, const char *name, uint16_t port,
                       const char *const *scopes);
/* A centre with so many households and the laptops a and b, all running and in step. */
struct e2e_commune e2e_commune(unsigned households);

/* --- sync --- */

/* `sync --wait 30`, which must end well with equal digests. */
json_t *e2e_sync(struct e2e_node *node);
/* One `sync` without waiting for more, which must end well. */
json_t *e2e_sync_once(struct e2e_node *node);
/* a, b, and a again: after that everybody has everything. */
void e2e_sync_all(const struct e2e_commune *commune);
void e2e_pause(struct e2e_node *node);
void e2e_resume(struct e2e_node *node);

/* The digest that a node shows for a scope it holds. */
const char *e2e_digest(struct e2e_node *node, const char *scope);
/* Each laptop shows what the centre shows, for each scope it holds. */
void e2e_check_digests(const struct e2e_commune *commune);
void e2e_check_no_conflicts(const struct e2e_commune *commune);
/* Households held by the node, from its status. */
json_int_t e2e_household_count(struct e2e_node *node);

/* --- households --- */

/* The ids of a scope's households, in the node's order: a JSON array of strings. */
json_t *e2e_households(struct e2e_node *node, const char *scope);
/* The id at index of such a list. */
const char *e2e_id_at(const json_t *ids, size_t index);
/* `household show ID`. */
json_t *e2e_show(struct e2e_node *node, const char *household);
/* The row of the register's head, and the rows of its members that are not removed. */
json_t *e2e_register_row(const json_t *shown);
json_t *e2e_member_row(const json_t *shown, size_t index);
/* The member with this item; NULL when there is none. */
json_t *e2e_member(const json_t *shown, const char *item);
/* The text of a field of the register, "" when blank, as the node shows it. */
const char *e2e_field(struct e2e_node *node, const char *household, const char *field);
/* Fails unless the node shows this value. */
void e2e_check_field(struct e2e_node *node, const char *household, const char *field,
                     const char *value);
void e2e_check_member_year(struct e2e_node *node, const char *household,
                           const char *item, int birth_year);
/* How often the history at this node has the change; digests and counts can't tell. */
unsigned e2e_times_in_history(struct e2e_node *node, const char *household,
                              const char *change);

/* The save of a new household with so many members, as JSON for `household put`. */
json_t *e2e_new_save(const char *scope, const char *head_name, unsigned members);
/* The save of one field of a household that is there. */
json_t *e2e_field_save(const char *household, const char *field, const char *value);

/* Saves, which must be answered with a household and a change; the answer. */
json_t *e2e_put(struct e2e_node *node, json_t *save);
/* The new household's id. */
const char *e2e_add(struct e2e_node *node, const char *scope, const char *head_name,
                    unsigned members);
/* The change's id. */
const char *e2e_set(struct e2e_node *node, const char *household, const char *field,
                    const char *value);
const char *e2e_set_member_year(struct e2e_node *node, const char *household,
                                const char *item, int birth_year);

#endif
