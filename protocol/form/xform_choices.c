/* The choices of a select: written inline, or items of an internal instance. */
#include "protocol/form/xform_build.h"

#include <stdio.h>

/* ---- lists ----------------------------------------------------------------------- */

static struct hm_xform_list *list_add(struct hm_xform_build *b, xmlNode *instance,
                                      const char *ref, size_t choice_count)
{
    size_t count = b->form->list_count;
    struct hm_xform_list *list;

    if (count == b->list_capacity) {
        size_t more = count == 0 ? 16 : count * 2;
        void *lists = hm_arena_grow(b->arena, b->form->lists, count, more,
                                    sizeof(struct hm_xform_list));
        void *instances =
            hm_arena_grow(b->arena, b->list_instances, count, more, sizeof(xmlNode *));
        void *refs =
            hm_arena_grow(b->arena, b->list_refs, count, more, sizeof(const char *));

        if (lists == NULL || instances == NULL || refs == NULL) {
            hm_xform_build_fail(b, HM_NOMEM, NULL, "out of memory");
            return NULL;
        }
        b->form->lists = lists;
        b->list_instances = instances;
        b->list_refs = refs;
        b->list_capacity = more;
    }
    if (choice_count > HM_XFORM_CHOICES_MAX - b->choice_total) {
        hm_xform_build_fail(b, HM_TOOBIG, NULL, "more than %d choices",
                            HM_XFORM_CHOICES_MAX);
        return NULL;
    }
    b->choice_total += choice_count;
    list = &b->form->lists[count];
    list->choices = hm_xform_build_array(b, choice_count, sizeof *list->choices);
    b->list_instances[count] = instance;
    b->list_refs[count] = ref;
    b->form->list_count++;
    return list->choices == NULL ? NULL : list;
}

/* A value that stands twice in a list (once per district, say) counts once. */
static bool is_new(struct hm_xform_build *b, xmlHashTable *seen, const char *value)
{
    if (value == NULL || value[0] == 0) {
        return false;
    }
    if (seen == NULL) {
        hm_xform_build_fail(b, HM_NOMEM, NULL, "out of memory");
        return false;
    }
    return xmlHashAddEntry(seen, BAD_CAST value, seen) == 0;
}

static void field_use(const struct hm_xform *form, struct hm_xform_field *field,
                      int list)
{
    if (field->list >= 0 && field->list != list) {
        field->choices_open = true; /* asked twice with two lists: either is right */
        return;
    }
    field->list = list;
    field->choices_open |= form->lists[list].count == 0;
}

/* ---- inline ---------------------------------------------------------------------- */

static void inline_read(struct hm_xform_build *b, const xmlNode *control,
                        struct hm_xform_field *field, size_t count)
{
    struct hm_xform_list *list = list_add(b, NULL, NULL, count);
    xmlHashTable *seen = list == NULL ? NULL : xmlHashCreate(16);

    for (const xmlNode *item = hm_xform_first_element(control);
         list != NULL && item != NULL && b->err == HM_OK;
         item = hm_xform_next_element(item)) {
        const xmlNode *value = hm_xform_child(item, "value");
        const char *text;

        if (!hm_xform_is(item, "item") || value == NULL) {
            continue;
        }
        text = hm_xform_content(b, value);
        if (is_new(b, seen, text)) {
            list->choices[list->count++] = (struct hm_xform_choice){
                text, hm_xform_texts_of_element(b, hm_xform_child(item, "label"))};
        }
    }
    xmlHashFree(seen, NULL);
    if (b->err == HM_OK) {
        field_use(b->form, field, (int)b->form->list_count - 1);
    }
}

/* ---- items of an instance -------------------------------------------------------- */

/* "randomize(instance('towns')/root/item[x = 'y'], 3)" taken apart. */
struct itemset {
    char id[128];
    char steps[256]; /* "/root/item": without conditions and blanks */
};

/* False when nodeset is something else, whose choices only an evaluator can tell. */
static bool itemset_parse(const char *nodeset, struct itemset *out)
{
    static const char shuffle[] = "randomize(";
    static const char start[] = "instance(";
    size_t len;
    int inside = 0;
    char quote = 0;

    if (strncmp(nodeset, shuffle, sizeof shuffle - 1) == 0) {
        nodeset += sizeof shuffle - 1;
        nodeset += strspn(nodeset, " \t\r\n");
    }
    if (strncmp(nodeset, start, sizeof start - 1) != 0) {
        return false;
    }
    nodeset += sizeof start - 1;
    nodeset += strspn(nodeset, " ");
    quote = *nodeset;
    len = quote == '\'' || quote == '"' ? strcspn(nodeset + 1, "'\"") : 0;
    if (len == 0 || len >= sizeof out->id || nodeset[len + 1] != quote) {
        return false;
    }
    (void)snprintf(out->id, sizeof out->id, "%.*s", (int)len, nodeset + 1);
    nodeset += len + 2;
    nodeset += strspn(nodeset, " ");
    if (*nodeset++ != ')') {
        return false;
    }
    quote = 0;
    len = 0;
    for (; *nodeset != 0 && len < sizeof out->steps - 1; nodeset++) {
        if (quote != 0) {
            quote = *nodeset == quote ? 0 : quote;
        } else if (inside > 0 && (*nodeset == '\'' || *nodeset == '"')) {
            quote = *nodeset;
        } else if (*nodeset == '[' || *nodeset == ']') {
            inside += *nodeset == '[' ? 1 : -1;
        } else if (inside == 0 && (*nodeset == ',' || *nodeset == ')')) {
            break;
        } else if (inside == 0 && strchr(" \t\r\n", *nodeset) == NULL) {
            out->steps[len++] = *nodeset;
        }
    }
    out->steps[len] = 0;
    return len > 1 && out->steps[0] == '/' && strpbrk(out->steps, "(*@|.:+") == NULL &&
           strstr(out->steps, "//") == NULL;
}

/* Items below parent along steps ("/root/item"); stored from items[*count] on when
 * items is not NULL. */
static void items_collect(xmlNode *parent, const char *steps, xmlNode **items,
                          size_t *count)
{
    const char *name = steps + 1;
    size_t len = strcspn(name, "/");

    for (xmlNode *child = hm_xform_first_element(parent); child != NULL;
         child = hm_xform_next_element(child)) {
        if (xmlStrlen(child->name) != (int)len || memcmp(child->name, name, len) != 0) {
            continue;
        }
        if (name[len] == '/') {
            items_collect(child, name + len, items, count);
            continue;
        }
        if (items != NULL) {
            items[*count] = child;
        }
        (*count)++;
    }
}

static const char *child_text(struct hm_xform_build *b, const xmlNode *item,
                              const char *name)
{
    const xmlNode *child = hm_xform_child(item, name);

    return child == NULL ? NULL : hm_xform_content(b, child);
}

/* label_ref: "label" or "jr:itext(itextId)". */
static hm_xform_texts item_label(struct hm_xform_build *b, const xmlNode *item,
                                 const char *label_ref)
{
    static const char start[] = "jr:itext(";
    char name[128];
    const char *id;

    if (label_ref == NULL) {
        return NULL;
    }
    if (strncmp(label_ref, start, sizeof start - 1) != 0) {
        const xmlNode *label = hm_xform_child(item, label_ref);

        return label == NULL ? NULL : hm_xform_texts_of_element(b, label);
    }
    (void)snprintf(name, sizeof name, "%.*s",
                   (int)strcspn(label_ref + sizeof start - 1, " )"),
                   label_ref + sizeof start - 1);
    id = child_text(b, item, name);
    return id == NULL || id[0] == 0 ? NULL : hm_xform_itext_find(b, item, id);
}

/* The index of a list made before from the same instance and references, or -1. */
static int list_find(const struct hm_xform_build *b, const xmlNode *instance,
                     const char *ref)
{
    for (size_t i = 0; i < b->form->list_count; i++) {
        if (b->list_instances[i] == instance && b->list_refs[i] != NULL &&
            strcmp(b->list_refs[i], ref) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void instance_list_read(struct hm_xform_build *b, xmlNode *instance,
                               const struct itemset *set, const char *value_ref,
                               const char *label_ref, const char *ref)
{
    size_t count = 0;
    size_t filled = 0;
    xmlNode **items;
    struct hm_xform_list *list;
    xmlHashTable *seen;

    items_collect(instance, set->steps, NULL, &count);
    list = list_add(b, instance, ref, count);
    items = list == NULL ? NULL : hm_xform_build_array(b, count, sizeof(xmlNode *));
    if (items == NULL) {
        return;
    }
    items_collect(instance, set->steps, items, &filled);
    seen = xmlHashCreate(64);
    for (size_t i = 0; i < count && b->err == HM_OK; i++) {
        const char *value = child_text(b, items[i], value_ref);

        if (is_new(b, seen, value)) {
            list->choices[list->count++] =
                (struct hm_xform_choice){value, item_label(b, items[i], label_ref)};
        }
    }
    xmlHashFree(seen, NULL);
}

static xmlNode *instance_find(struct hm_xform_build *b, const char *id)
{
    for (xmlNode *node = hm_xform_first_element(b->model); node != NULL;
         node = hm_xform_next_element(node)) {
        xmlChar *other = xmlGetNoNsProp(node, BAD_CAST "id");
        bool same = hm_xform_is(node, "instance") && xmlStrEqual(other, BAD_CAST id);

        xmlFree(other);
        if (same) {
            return node;
        }
    }
    return NULL;
}

static void itemset_read(struct hm_xform_build *b, const xmlNode *itemset,
                         struct hm_xform_field *field)
{
    const char *nodeset = hm_xform_attr(b, itemset, NULL, "nodeset");
    const xmlNode *value = hm_xform_child(itemset, "value");
    const xmlNode *label = hm_xform_child(itemset, "label");
    const char *value_ref = value == NULL ? NULL : hm_xform_attr(b, value, NULL, "ref");
    const char *label_ref = label == NULL ? NULL : hm_xform_attr(b, label, NULL, "ref");
    struct itemset set;
    xmlNode *instance;
    char ref[700];
    int index;

    if (nodeset == NULL || value_ref == NULL) {
        hm_xform_build_fail(b, HM_INVALID, itemset,
                            "an itemset without nodeset or value");
        return;
    }
    if (!itemset_parse(nodeset, &set)) {
        field->choices_open = true;
        return;
    }
    instance = instance_find(b, set.id);
    if (instance == NULL) {
        hm_xform_build_fail(b, HM_INVALID, itemset,
                            "there is no instance with the id \"%s\"", set.id);
        return;
    }
    if (xmlHasProp(instance, BAD_CAST "src") != NULL) {
        field->choices_open = true;
        return;
    }
    if (snprintf(ref, sizeof ref, "%s|%s|%s", set.steps, value_ref,
                 label_ref == NULL ? "" : label_ref) >= (int)sizeof ref) {
        hm_xform_build_fail(b, HM_TOOBIG, itemset, "its paths are too long");
        return;
    }
    index = list_find(b, instance, ref);
    if (index < 0) {
        index = (int)b->form->list_count;
        instance_list_read(b, instance, &set, value_ref, label_ref,
                           hm_xform_build_text(b, hm_bytes_str(ref)));
    }
    if (b->err == HM_OK) {
        field_use(b->form, field, index);
    }
}

void hm_xform_choices_read(struct hm_xform_build *b, const xmlNode *control,
                           struct hm_xform_field *field)
{
    const char *appearance = hm_xform_attr(b, control, NULL, "appearance");
    size_t item_count = 0;

    if (hm_xform_attr(b, control, NULL, "query") != NULL ||
        (appearance != NULL && strstr(appearance, "search(") != NULL)) {
        field->choices_open = true; /* items of a file beside the form */
    }
    for (const xmlNode *node = hm_xform_first_element(control);
         node != NULL && b->err == HM_OK; node = hm_xform_next_element(node)) {
        if (hm_xform_is(node, "itemset")) {
            itemset_read(b, node, field);
        }
        item_count += hm_xform_is(node, "item");
    }
    if (item_count > 0 && b->err == HM_OK) {
        inline_read(b, control, field, item_count);
    }
    field->choices_open |= field->list < 0;
}
