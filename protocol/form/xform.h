/* An XForm as a description: which rows and fields it has, and what is said of them.
 *
 * Pure: bytes in, structs out; no file, no network; a DOCTYPE is refused, so nothing is
 * ever expanded. Not thread-safe for one form while it is made; a finished form is only
 * read. xmlInitParser() must have run once before two threads parse at the same time.
 *
 * Expressions are kept as text and are not evaluated or checked here: relevant,
 * constraint, calculate, readonly and required of fields, relevant of groups and
 * repeats, and those inside labels (HM_XFORM_OUTPUT_BEGIN). Attributes as bind targets
 * (/data/meta/entity/@id) are accepted and have no field. */
#ifndef HM_PROTOCOL_FORM_XFORM_H
#define HM_PROTOCOL_FORM_XFORM_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/bytes.h"
#include "protocol/form/field_type.h"

/* The attributes hamlet:merge, hamlet:fill, ... are those of this namespace, whatever
 * the prefix. */
#define HM_XFORM_NAMESPACE "https://hamletd.example/xforms"

enum {
    HM_XFORM_BYTES_MAX = 4 * 1024 * 1024,   /* of the XML */
    HM_XFORM_MEMORY_MAX = 32 * 1024 * 1024, /* of the description */
    HM_XFORM_DEPTH_MAX = 64,                /* nested elements */
    HM_XFORM_NODES_MAX = 8192,              /* elements of the primary instance */
    HM_XFORM_CONTROLS_MAX = 8192,           /* questions, groups, repeats in the body */
    HM_XFORM_CHOICES_MAX = 100000,          /* over all choice lists */
    HM_XFORM_LANGUAGES_MAX = 32
};

/* In a label, hint or message the expression of an <output value="..."/> stands between
 * these two, which XML text cannot contain. */
#define HM_XFORM_OUTPUT_BEGIN '\x02'
#define HM_XFORM_OUTPUT_END   '\x03'

enum hm_xform_kind {
    HM_XFORM_KIND_QUESTION,  /* has a control in the body */
    HM_XFORM_KIND_CALCULATE, /* has a calculate, with or without a control */
    HM_XFORM_KIND_META,      /* below meta, or filled by jr:preload */
    HM_XFORM_KIND_HIDDEN     /* none of these: set by actions, or a constant */
};

enum hm_xform_control {
    HM_XFORM_CONTROL_NONE,
    HM_XFORM_CONTROL_INPUT,
    HM_XFORM_CONTROL_SECRET,
    HM_XFORM_CONTROL_SELECT1,
    HM_XFORM_CONTROL_SELECT,
    HM_XFORM_CONTROL_RANK,
    HM_XFORM_CONTROL_RANGE,
    HM_XFORM_CONTROL_UPLOAD,
    HM_XFORM_CONTROL_TRIGGER
};

/* One text in the form's languages: language_count pointers, NULL where it is absent;
 * itself NULL when there is no such text at all. */
typedef const char *const *hm_xform_texts;

struct hm_xform_choice {
    const char *value;
    hm_xform_texts label;
};

/* Values are unique within a list, in the form's order. Fields may share a list. */
struct hm_xform_list {
    struct hm_xform_choice *choices;
    size_t count;
};

/* A group in the instance. Indexes are -1 for none. */
struct hm_xform_group {
    const char *path; /* "/data/b1" */
    int repeat;       /* the repeat that it lies in */
    int parent;       /* the group around it, within the same repeat */
    const char *relevant;
    const char *readonly;
    hm_xform_texts label;
};

struct hm_xform_repeat {
    const char *path; /* "/data/members" */
    const char *name; /* the node's; the path below the root when it stands twice */
    int parent;       /* index of the repeat around it, -1 */
    int group;        /* index of the group around it within parent, -1 */
    const char *relevant;
    const char *count; /* jr:count, an expression, or NULL */
    const char *items; /* hamlet:items, "form/repeat", of its bind, its control or the
                        * model; or NULL */
    bool fixed;        /* jr:noAddRemove */
    hm_xform_texts label;
    int line;
};

/* Texts are NULL where the form does not say them. */
struct hm_xform_field {
    const char *path;     /* "/data/members/name" */
    const char *row_path; /* below the root or its repeat: "b1/q3" */
    const char *name;     /* the node's; row_path when that stands twice in the row */
    int repeat;           /* index of the innermost repeat, -1 for the root */
    int group;            /* index of the innermost group within it, -1 */
    enum hm_xform_kind kind;
    enum hm_xform_control control;
    enum hm_field_type type;
    enum hm_field_policy policy;
    enum hm_field_likeness likeness; /* hamlet:same-by */
    bool required;                   /* required="true()" */
    bool conditional; /* whether it is relevant hangs on an expression, its own or one
                       * around it */
    bool secret;      /* hamlet:secret */
    const char *required_expr; /* when it is neither true() nor false() */
    const char *relevant;
    const char *constraint;
    const char *calculate;
    const char *readonly;
    const char *default_value; /* the text in the instance */
    const char *preload;       /* jr:preload and jr:preloadParams: "timestamp start" */
    const char *appearance;
    const char *mediatype;
    const char *tally;   /* hamlet:tally */
    const char *save_to; /* the entity property that it is saved to */
    hm_xform_texts label;
    hm_xform_texts hint;
    hm_xform_texts constraint_message;
    hm_xform_texts required_message;
    int list;          /* index of its choices, -1 */
    bool choices_open; /* a choice may be none of the list: its choices are in another
                        * file, or are made by expressions */
    int line;
};

struct hm_xform {
    const char *id;
    const char *version; /* "" when there is none */
    const char *title;   /* "" when there is none */
    enum hm_form_fill fill;
    const char *items; /* hamlet:items of the model, or NULL */
    const char **write_roles;
    size_t write_role_count; /* 0: not said */
    const char **languages;  /* "" alone for a form without translations */
    size_t language_count;   /* >= 1 */
    size_t default_language;
    struct hm_xform_field *fields; /* in document order */
    size_t field_count;
    struct hm_xform_repeat *repeats; /* an outer one before those inside it */
    size_t repeat_count;
    struct hm_xform_group *groups;
    size_t group_count;
    struct hm_xform_list *lists;
    size_t list_count;
};

/* Where and why a form was refused. All NUL-terminated UTF-8, cut when too long. */
struct hm_xform_error {
    int line; /* of the XML, from 1; 0 when unknown */
    char node[200];
    char reason[300];
};

/* Read an XForm. xml is not kept. On success *out_form is the caller's, to be released
 * with hm_xform_destroy(). On error *out_form is unchanged and *error says why.
 *
 * Errors:
 *   HM_MALFORMED  not well-formed XML, or it has a DOCTYPE
 *   HM_INVALID    XML, but not a form that can be filled here
 *   HM_TOOBIG     one of the limits above is exceeded
 *   HM_NOMEM      allocation failed */
HM_MUST_USE int hm_xform_parse(struct hm_bytes xml, struct hm_xform **out_form,
                               struct hm_xform_error *error);

/* NULL is allowed. */
void hm_xform_destroy(struct hm_xform *form);

/* The field at an absolute path ("/data/members/name"), or NULL. */
const struct hm_xform_field *hm_xform_field_at(const struct hm_xform *form,
                                               const char *path);
/* The text in a language (index), else in the default one, else in any; "" for none. */
const char *hm_xform_text(const struct hm_xform *form, hm_xform_texts texts,
                          size_t language);

#endif
