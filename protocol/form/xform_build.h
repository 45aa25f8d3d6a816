/* What the files of the XForm reader share while one form is made. Not for others.
 *
 * The first error sticks in build->err; allocation helpers return NULL from then on. */
#ifndef HM_PROTOCOL_FORM_XFORM_BUILD_H
#define HM_PROTOCOL_FORM_XFORM_BUILD_H

#include <libxml/hash.h>
#include <libxml/tree.h>

#include "protocol/arena.h"
#include "protocol/form/xform.h"

#define HM_XFORM_JAVAROSA_NAMESPACE "http://openrosa.org/javarosa"

/* The form and the memory that it lives in. */
struct hm_xform_owned {
    struct hm_xform form; /* first: hm_xform_destroy() is given this one */
    struct hm_arena arena;
};

/* Hangs on each element of the primary instance (node->_private). */
struct hm_xform_mark {
    bool repeat;      /* a repeat in the body names it */
    bool group;       /* a group in the body names it */
    int field;        /* -1: none */
    int group_index;  /* -1: none */
    int repeat_index; /* -1: none */
    xmlNode *bind;
};

/* One control, group or repeat of the body and the instance node that it names. */
struct hm_xform_body_item {
    xmlNode *at;
    xmlNode *target;
};

struct hm_xform_build {
    struct hm_xform *form;
    struct hm_arena *arena;
    struct hm_xform_error *error;
    int err;
    xmlNode *model;
    xmlNode *body; /* NULL: none */
    xmlNode *root; /* of the primary instance */
    struct hm_xform_body_item *items;
    size_t item_count;
    xmlHashTable **itext;     /* per language: id -> text element; NULL: none */
    xmlNode **list_instances; /* per list: its instance, NULL for inline choices */
    const char **list_refs;   /* per list: nodeset, value and label refs */
    size_t list_capacity;
    size_t choice_total;
};

/* Sets err and the error's line, node and reason unless an error is set already. node
 * may be NULL. */
void hm_xform_build_fail(struct hm_xform_build *b, int err, const xmlNode *node,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Zeroed; NULL when b->err is set. */
void *hm_xform_build_array(struct hm_xform_build *b, size_t count, size_t size);
const char *hm_xform_build_text(struct hm_xform_build *b, struct hm_bytes text);

/* Elements. */
bool hm_xform_is(const xmlNode *node, const char *name);
xmlNode *hm_xform_child(const xmlNode *parent, const char *name);
xmlNode *hm_xform_first_element(const xmlNode *parent);
xmlNode *hm_xform_next_element(const xmlNode *node);
struct hm_xform_mark *hm_xform_mark_of(const xmlNode *node);

/* The attribute's text, trimmed, in the arena; NULL when it is absent or blank. space
 * is NULL for an attribute without namespace. */
const char *hm_xform_attr(struct hm_xform_build *b, const xmlNode *node,
                          const char *space, const char *name);
/* All text below node, trimmed, in the arena; "" when there is none. */
const char *hm_xform_content(struct hm_xform_build *b, const xmlNode *node);

/* The node of the primary instance that path names from context, or NULL with the error
 * set at node. An attribute ("@id") as the last step gives NULL without an error. */
xmlNode *hm_xform_resolve(struct hm_xform_build *b, const xmlNode *node,
                          xmlNode *context, const char *path);
/* The child that stands for all of that name: the template, else the first. */
xmlNode *hm_xform_child_canonical(const xmlNode *parent, const xmlChar *name,
                                  size_t name_len);

/* hamlet:items of node, "form/repeat", or NULL. */
const char *hm_xform_items_of(struct hm_xform_build *b, const xmlNode *node);

/* xform_itext.c: languages, and texts by id. */
void hm_xform_itext_read(struct hm_xform_build *b);
void hm_xform_itext_release(struct hm_xform_build *b);
/* The texts of an id; NULL with the error set at node when no language has it. */
hm_xform_texts hm_xform_itext_find(struct hm_xform_build *b, const xmlNode *node,
                                   const char *id);
/* What a label, hint, or message attribute says: "jr:itext('id')" or a text. */
hm_xform_texts hm_xform_texts_of_ref(struct hm_xform_build *b, const xmlNode *node,
                                     const char *ref_or_text);
hm_xform_texts hm_xform_texts_of_element(struct hm_xform_build *b,
                                         const xmlNode *element);

/* xform_instance.c: marks, binds, then the rows and fields. */
void hm_xform_instance_mark(struct hm_xform_build *b);
void hm_xform_instance_binds(struct hm_xform_build *b);
void hm_xform_instance_read(struct hm_xform_build *b);

/* xform_body.c: controls found before the fields are made, applied after. */
void hm_xform_body_find(struct hm_xform_build *b);
void hm_xform_body_apply(struct hm_xform_build *b);

/* xform_choices.c: the choices of one select. */
void hm_xform_choices_read(struct hm_xform_build *b, const xmlNode *control,
                           struct hm_xform_field *field);

#endif
