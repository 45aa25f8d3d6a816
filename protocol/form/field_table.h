/* The field table of a form: permanent small numbers for its fields and repeats.
 *
 * A table only grows. Each version of a form keeps the numbers of the fields that it
 * shares with earlier ones; what vanishes is kept as retired, so that old cells still
 * have a name, and its number is never given to another field. A group has no number:
 * moving a field between groups of one row changes nothing.
 *
 * Pure. A finished table is only read; any thread. */
#ifndef HM_PROTOCOL_FORM_FIELD_TABLE_H
#define HM_PROTOCOL_FORM_FIELD_TABLE_H

#include "protocol/buf.h"
#include "protocol/form/xform.h"

enum {
    HM_FIELD_NUMBER_STATUS = 1, /* the row's own status, in every form */
    HM_FIELD_NUMBER_FIRST = 16, /* 1..15 are not given to forms */
    HM_FIELD_NUMBER_MAX = 65535,
    HM_FIELD_TABLE_LISTS_MAX = 65535,
    HM_FIELD_TABLE_LABEL_BYTES_MAX = 1000, /* longer labels are cut */
    HM_FIELD_TABLE_TEXT_BYTES_MAX = 4096,  /* names, paths, choice values */
    HM_FIELD_TABLE_BYTES_MAX = 16 * 1024 * 1024,
    HM_FIELD_TABLE_MEMORY_MAX = 64 * 1024 * 1024
};

/* The numbers are kept on disk: append, never renumber. */
enum hm_field_kind {
    HM_FIELD_KIND_QUESTION = 1,
    HM_FIELD_KIND_CALCULATE = 2,
    HM_FIELD_KIND_META = 3,
    HM_FIELD_KIND_HIDDEN = 4,
    HM_FIELD_KIND_REPEAT = 5
};

enum hm_field_required {
    HM_FIELD_REQUIRED_NO = 0,
    HM_FIELD_REQUIRED_ALWAYS = 1,
    HM_FIELD_REQUIRED_SOMETIMES = 2 /* an expression decides: its own, or whether the
                                     * field is relevant */
};

struct hm_field_label {
    const char *language; /* "vi" of "Tiếng Việt (vi)"; "" in a form without any */
    const char *text;
};

struct hm_field_choice {
    const char *value;
    const char *label; /* in the default language; "" for none */
    bool retired;      /* no longer offered, may stand in older cells */
};

/* In the order of the newest form, retired ones last. */
struct hm_field_choices {
    struct hm_field_choice *choices;
    size_t count;
};

struct hm_field_entry {
    uint32_t number;
    uint32_t repeat;         /* number of the repeat that it lies in, 0 the root */
    enum hm_field_kind kind; /* type, policy, required and list say nothing of a
                              * HM_FIELD_KIND_REPEAT */
    enum hm_field_type type;
    enum hm_field_policy policy;
    enum hm_field_required required;
    enum hm_field_likeness likeness;
    bool retired;
    bool choices_open; /* a choice may be none of the list */
    const char *name;
    const char *path;              /* below its row's node: "b1/q3" */
    struct hm_field_label *labels; /* the default language first, then vi and en */
    size_t label_count;
    int list; /* index of its choices, -1 */
};

struct hm_field_table {
    const char *form; /* id */
    uint32_t next_number;
    struct hm_field_entry *entries; /* by rising number */
    size_t count;
    struct hm_field_choices *lists;
    size_t list_count;
};

struct hm_field_error {
    char field[200];
    char reason[300]; /* with the way out */
};

/* The table that form has, after old (NULL: the form is new). Known fields are those of
 * the same repeat and name, or, when that name is gone, of the same path: a name that
 * becomes a path because it now stands twice stays the same field. Neither argument is
 * kept. On success *out_table is the caller's, to be released with
 * hm_field_table_destroy(). On error *out_table is unchanged.
 *
 * Errors:
 *   HM_INVALID  a field changes its type in a way that hm_field_type_fits() forbids, a
 *               repeat moves, or old is of another form; *error says which and what to
 *               do instead
 *   HM_TOOBIG   the numbers or the memory are used up
 *   HM_NOMEM    allocation failed */
HM_MUST_USE int hm_field_table_grow(const struct hm_field_table *old,
                                    const struct hm_xform *form,
                                    struct hm_field_table **out_table,
                                    struct hm_field_error *error);

/* NULL is allowed. */
void hm_field_table_destroy(struct hm_field_table *table);

/* NULL when there is none. */
const struct hm_field_entry *
hm_field_table_by_number(const struct hm_field_table *table, uint32_t number);
/* A field, not a repeat, retired or not; repeat is a number, 0 the root. */
const struct hm_field_entry *hm_field_table_by_name(const struct hm_field_table *table,
                                                    uint32_t repeat, const char *name);
/* A repeat: their names are unique in a form. */
const struct hm_field_entry *hm_field_table_repeat(const struct hm_field_table *table,
                                                   const char *name);
/* The label in a language, else the first, else the name. */
const char *hm_field_entry_label(const struct hm_field_entry *entry,
                                 const char *language);

/* Append the table in canonical msgpack; errors are in out->err. Equal tables give
 * equal bytes. */
void hm_field_table_encode(const struct hm_field_table *table, struct hm_buf *out);
/* The opposite. bytes are not kept. What a newer version added to an entry is skipped.
 *
 * Errors (*out_table is unchanged):
 *   HM_TRUNCATED, HM_MALFORMED, HM_NONCANONICAL  not such a table
 *   HM_VERSION  it has a type, policy or kind that this version does not know
 *   HM_TOOBIG   a limit above is exceeded
 *   HM_NOMEM    allocation failed */
HM_MUST_USE int hm_field_table_decode(struct hm_bytes bytes,
                                      struct hm_field_table **out_table);

/* Which fields must have an answer in every row of that kind and have none: not
 * retired, HM_FIELD_REQUIRED_ALWAYS, not among answered. Up to missing_max numbers go
 * to missing in rising order; returns how many there are in all. */
size_t hm_form_check_required(const struct hm_field_table *table, uint32_t repeat,
                              const uint32_t *answered, size_t answered_count,
                              uint32_t *missing, size_t missing_max);

#endif
