/* A centre and laptops in one process, with a small register, for tests of syncing: the
 * real storage and protocol, no socket.
 *
 * Failures end the test. One thread. */
#ifndef HM_TESTS_SUPPORT_VILLAGE_H
#define HM_TESTS_SUPPORT_VILLAGE_H

#include "storage/adopt.h"
#include "storage/forms.h"
#include "storage/households.h"
#include "storage/save.h"
#include "storage/serve.h"
#include "storage/upload.h"
#include "tests/support/store.h"

enum { HM_VILLAGE_LAPTOPS_MAX = 12, HM_VILLAGE_HAMLETS = 3 };

struct hm_village_node {
    struct hm_test_node node;
    struct hm_forms *forms;
    struct hm_village_node *parent; /* that it syncs with; NULL for the centre */
};

/* The simulated disk for a node's store: name of a VFS, NULL for the real disk. */
typedef const char *(*hm_village_disk_fn)(void *arg, const char *node);

struct hm_village {
    hm_village_disk_fn disk_of; /* NULL: the real disk for all */
    void *disk_arg;
    struct hm_village_node centre;
    struct hm_village_node laptops[HM_VILLAGE_LAPTOPS_MAX];
    size_t laptop_count;
    uint32_t commune;                     /* unit id */
    uint32_t hamlets[HM_VILLAGE_HAMLETS]; /* unit ids */
    uint32_t form;                        /* number of the register */
    /* Field numbers of the register. */
    uint32_t name, phone, note, tags, members, member_name, birth_year;
    uint64_t up_bytes; /* of the last exchange */
    uint64_t down_bytes;
};

/* A centre with units, roles and the form. */
void hm_village_open(struct hm_village *v);
/* The same, every node's store where disk_of says. */
void hm_village_open_on(struct hm_village *v, hm_village_disk_fn disk_of, void *arg);
/* One more laptop, enrolled for hamlets (a bit each, 1 << index). */
struct hm_village_node *hm_village_add(struct hm_village *v, const char *name,
                                       unsigned hamlets);
/* One more hub, enrolled at the centre for the whole commune, among the laptops. */
struct hm_village_node *hm_village_add_hub(struct hm_village *v, const char *name);
/* One more laptop, let in by parent with a code; not in step with it yet. */
struct hm_village_node *hm_village_let_in(struct hm_village *v, const char *name,
                                          struct hm_village_node *parent,
                                          unsigned hamlets);
/* From now on it syncs with parent, which is known to it after this as an upstream. */
void hm_village_join(struct hm_village *v, struct hm_village_node *n,
                     struct hm_village_node *parent);
void hm_village_close(struct hm_village *v);
/* One node ends, and starts again. */
void hm_village_close_node(struct hm_village_node *n);
void hm_village_open_node(struct hm_village_node *n);
/* As after kill -9 and a new start. */
void hm_village_restart(struct hm_village_node *n);

/* One request and one reply. lose: the reply does not arrive. Returns whether another
 * exchange would move something. */
bool hm_village_exchange(struct hm_village *v, struct hm_village_node *laptop,
                         bool lose, struct hm_adopt *out);
/* Exchanges until nothing moves (at most 50). Returns the last one's result. */
struct hm_adopt hm_village_sync(struct hm_village *v, struct hm_village_node *laptop);
/* Every laptop, round and round, until a whole round moved nothing. */
void hm_village_settle(struct hm_village *v);

/* Saves at a node; values are texts, NULL leaves a field alone. member: item of the row
 * to write, or NULL. Returns the result without its state. */
struct hm_save_result hm_village_new(struct hm_village *v, struct hm_village_node *n,
                                     unsigned hamlet, const char *name,
                                     unsigned members);
struct hm_save_result hm_village_put(struct hm_village *v, struct hm_village_node *n,
                                     const struct hm_household_id *id, uint32_t field,
                                     const char *text);
struct hm_save_result hm_village_put_member(struct hm_village *v,
                                            struct hm_village_node *n,
                                            const struct hm_household_id *id,
                                            const struct hm_item *item, uint32_t field,
                                            const char *text);
struct hm_save_result hm_village_remove_member(struct hm_village *v,
                                               struct hm_village_node *n,
                                               const struct hm_household_id *id,
                                               const struct hm_item *item);
/* Decide every sibling of a root cell for text. */
struct hm_save_result hm_village_resolve(struct hm_village *v,
                                         struct hm_village_node *n,
                                         const struct hm_household_id *id,
                                         uint32_t field, const char *text);

/* What a node shows and counts. Text is static, overwritten by the next call. */
const char *hm_village_shows(struct hm_village *v, struct hm_village_node *n,
                             const struct hm_household_id *id, uint32_t field);
size_t hm_village_siblings(struct hm_village *v, struct hm_village_node *n,
                           const struct hm_household_id *id, uint32_t field);
uint64_t hm_village_conflicts(struct hm_village_node *n);
uint64_t hm_village_households(struct hm_village_node *n);
uint64_t hm_village_quarantined(struct hm_village_node *n);
struct hm_hash hm_village_digest(struct hm_village_node *n, uint32_t scope);
/* Every laptop has the centre's digest for each hamlet that it holds; states and
 * digests fit, no conflict count is stale. */
void hm_village_check_equal(struct hm_village *v);

#endif
