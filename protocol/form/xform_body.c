/* The body: which controls, groups and repeats there are, and what they say. */
#include "protocol/form/xform_build.h"

static const struct {
    const char *name;
    enum hm_xform_control control;
} controls[] = {
    {"input", HM_XFORM_CONTROL_INPUT},     {"secret", HM_XFORM_CONTROL_SECRET},
    {"select1", HM_XFORM_CONTROL_SELECT1}, {"select", HM_XFORM_CONTROL_SELECT},
    {"rank", HM_XFORM_CONTROL_RANK},       {"range", HM_XFORM_CONTROL_RANGE},
    {"upload", HM_XFORM_CONTROL_UPLOAD},   {"trigger", HM_XFORM_CONTROL_TRIGGER},
};

static enum hm_xform_control control_of(const xmlNode *node)
{
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        if (hm_xform_is(node, controls[i].name)) {
            return controls[i].control;
        }
    }
    return HM_XFORM_CONTROL_NONE;
}

/* ---- finding --------------------------------------------------------------------- */

/* Where in the body the walk stands. */
struct place {
    xmlNode *context; /* what relative paths begin at */
    xmlNode *repeat;  /* the repeat around, or NULL */
};

/* The path of the bind with that id. */
static const char *bind_path(struct hm_xform_build *b, const xmlNode *node,
                             const char *id)
{
    for (xmlNode *bind = hm_xform_first_element(b->model); bind != NULL;
         bind = hm_xform_next_element(bind)) {
        xmlChar *other = xmlGetNoNsProp(bind, BAD_CAST "id");
        bool same = hm_xform_is(bind, "bind") && xmlStrEqual(other, BAD_CAST id);

        xmlFree(other);
        if (same) {
            return hm_xform_attr(b, bind, NULL, "nodeset");
        }
    }
    hm_xform_build_fail(b, HM_INVALID, node, "there is no bind with the id \"%s\"", id);
    return NULL;
}

static const char *path_of(struct hm_xform_build *b, const xmlNode *node)
{
    const char *path = hm_xform_attr(b, node, NULL, "ref");
    const char *bind_id;

    if (path == NULL) {
        path = hm_xform_attr(b, node, NULL, "nodeset");
    }
    if (path == NULL) {
        bind_id = hm_xform_attr(b, node, NULL, "bind");
        path = bind_id == NULL ? NULL : bind_path(b, node, bind_id);
    }
    return path;
}

static bool is_inside(const xmlNode *node, const xmlNode *around)
{
    while (node != NULL && node != around) {
        node = node->parent;
    }
    return node != NULL;
}

static void repeat_check(struct hm_xform_build *b, const xmlNode *node,
                         const xmlNode *target, const struct place *place)
{
    if (target == b->root) {
        hm_xform_build_fail(b, HM_INVALID, node, "the whole form cannot be a repeat");
    } else if (place->repeat != NULL &&
               (target == place->repeat || !is_inside(target, place->repeat))) {
        hm_xform_build_fail(b, HM_INVALID, node,
                            "this repeat stands inside the repeat of \"%s\" but its "
                            "nodes do not",
                            (const char *)place->repeat->name);
    }
}

static void item_add(struct hm_xform_build *b, xmlNode *at, xmlNode *target)
{
    if (b->item_count == HM_XFORM_CONTROLS_MAX) {
        hm_xform_build_fail(b, HM_TOOBIG, at, "more than %d controls",
                            HM_XFORM_CONTROLS_MAX);
        return;
    }
    b->items[b->item_count++] = (struct hm_xform_body_item){at, target};
}

static void children_find(struct hm_xform_build *b, const xmlNode *parent,
                          const struct place *place);

static void container_find(struct hm_xform_build *b, xmlNode *node, xmlNode *target,
                           const struct place *place)
{
    struct place inside = *place;

    if (target != NULL) {
        inside.context = target;
    }
    if (hm_xform_is(node, "repeat")) {
        repeat_check(b, node, target, place);
        hm_xform_mark_of(target)->repeat = true;
        inside.repeat = target;
    } else if (target != NULL && target != b->root) {
        hm_xform_mark_of(target)->group = true;
    }
    children_find(b, node, &inside);
}

static void node_find(struct hm_xform_build *b, xmlNode *node,
                      const struct place *place)
{
    bool group = hm_xform_is(node, "group");
    bool repeat = hm_xform_is(node, "repeat");
    xmlNode *target = NULL;
    const char *path;

    if (!group && !repeat && control_of(node) == HM_XFORM_CONTROL_NONE) {
        return; /* a label, an action, something of another program */
    }
    path = path_of(b, node);
    if (path == NULL && !group) {
        hm_xform_build_fail(b, HM_INVALID, node, "it names no node of the instance");
        return;
    }
    if (path != NULL) {
        target = hm_xform_resolve(b, node, place->context, path);
        if (target == NULL && (b->err != HM_OK || !group)) {
            hm_xform_build_fail(b, HM_INVALID, node, "it names an attribute");
            return;
        }
        item_add(b, node, target);
    }
    if ((group || repeat) && b->err == HM_OK) {
        container_find(b, node, target, place);
    }
}

static void children_find(struct hm_xform_build *b, const xmlNode *parent,
                          const struct place *place)
{
    for (xmlNode *node = hm_xform_first_element(parent);
         node != NULL && b->err == HM_OK; node = hm_xform_next_element(node)) {
        node_find(b, node, place);
    }
}

void hm_xform_body_find(struct hm_xform_build *b)
{
    struct place place = {.context = b->root};

    if (b->body == NULL) {
        return;
    }
    b->items = hm_xform_build_array(b, HM_XFORM_CONTROLS_MAX, sizeof *b->items);
    if (b->items != NULL) {
        children_find(b, b->body, &place);
    }
}

/* ---- applying -------------------------------------------------------------------- */

static void texts_take(struct hm_xform_build *b, const xmlNode *node, const char *name,
                       hm_xform_texts *texts)
{
    if (*texts == NULL) {
        *texts = hm_xform_texts_of_element(b, hm_xform_child(node, name));
    }
}

static void container_apply(struct hm_xform_build *b, const xmlNode *node,
                            const struct hm_xform_mark *mark)
{
    struct hm_xform_repeat *repeat =
        mark->repeat_index < 0 ? NULL : &b->form->repeats[mark->repeat_index];
    const char *fixed;

    if (repeat != NULL) {
        texts_take(b, node, "label", &repeat->label);
    } else if (mark->group_index >= 0) {
        texts_take(b, node, "label", &b->form->groups[mark->group_index].label);
    }
    if (repeat == NULL || !hm_xform_is(node, "repeat")) {
        return;
    }
    repeat->count = hm_xform_attr(b, node, HM_XFORM_JAVAROSA_NAMESPACE, "count");
    fixed = hm_xform_attr(b, node, HM_XFORM_JAVAROSA_NAMESPACE, "noAddRemove");
    repeat->fixed = fixed != NULL && strcmp(fixed, "true()") == 0;
    if (repeat->items == NULL) {
        repeat->items = hm_xform_items_of(b, node);
    }
}

static void control_type(struct hm_xform_field *field)
{
    switch (field->control) {
    case HM_XFORM_CONTROL_SELECT1:
        field->type = HM_FIELD_TYPE_SELECT1;
        break;
    case HM_XFORM_CONTROL_SELECT:
        field->type = HM_FIELD_TYPE_SELECT;
        break;
    case HM_XFORM_CONTROL_RANK:
        field->type = HM_FIELD_TYPE_RANK;
        break;
    case HM_XFORM_CONTROL_UPLOAD:
        field->type = HM_FIELD_TYPE_BINARY;
        break;
    case HM_XFORM_CONTROL_NONE:
    case HM_XFORM_CONTROL_INPUT:
    case HM_XFORM_CONTROL_SECRET:
    case HM_XFORM_CONTROL_RANGE:
    case HM_XFORM_CONTROL_TRIGGER:
        break;
    }
}

static void control_apply(struct hm_xform_build *b, const xmlNode *node,
                          const struct hm_xform_mark *mark)
{
    struct hm_xform_field *field;

    if (mark->field < 0) {
        hm_xform_build_fail(b, HM_INVALID, node,
                            "a question cannot be asked of a group or repeat");
        return;
    }
    field = &b->form->fields[mark->field];
    if (field->control == HM_XFORM_CONTROL_NONE) {
        field->control = control_of(node);
        field->appearance = hm_xform_attr(b, node, NULL, "appearance");
        field->mediatype = hm_xform_attr(b, node, NULL, "mediatype");
        control_type(field);
    } else if (field->control != control_of(node)) {
        hm_xform_build_fail(b, HM_INVALID, node,
                            "\"%s\" is asked as two kinds of question", field->path);
    }
    if (field->kind == HM_XFORM_KIND_HIDDEN) {
        field->kind = HM_XFORM_KIND_QUESTION;
    }
    texts_take(b, node, "label", &field->label);
    texts_take(b, node, "hint", &field->hint);
    if (field->type == HM_FIELD_TYPE_SELECT1 || field->type == HM_FIELD_TYPE_SELECT ||
        field->type == HM_FIELD_TYPE_RANK) {
        hm_xform_choices_read(b, node, field);
    }
}

static bool starts_with(const char *text, const char *start)
{
    return text != NULL && strncmp(text, start, strlen(start)) == 0;
}

static bool is_ordered(enum hm_field_type type)
{
    return type == HM_FIELD_TYPE_INT || type == HM_FIELD_TYPE_DECIMAL ||
           type == HM_FIELD_TYPE_DATE || type == HM_FIELD_TYPE_TIME ||
           type == HM_FIELD_TYPE_DATETIME;
}

static enum hm_field_policy policy_default(const struct hm_xform_field *field)
{
    if (field->calculate != NULL) {
        /* What is made once cannot be derived again: another node would make another.
         */
        return starts_with(field->calculate, "once(") ? HM_FIELD_POLICY_LATEST
                                                      : HM_FIELD_POLICY_DERIVED;
    }
    if (field->kind == HM_XFORM_KIND_META || field->type == HM_FIELD_TYPE_GEOPOINT) {
        return HM_FIELD_POLICY_LATEST;
    }
    return field->type == HM_FIELD_TYPE_SELECT ? HM_FIELD_POLICY_UNION
                                               : HM_FIELD_POLICY_ASK;
}

static void policy_apply(struct hm_xform_build *b, struct hm_xform_field *field)
{
    const char *reason = NULL;

    if (field->policy == 0) {
        field->policy = policy_default(field);
    } else if (field->policy == HM_FIELD_POLICY_UNION &&
               field->type != HM_FIELD_TYPE_SELECT) {
        reason = "union is for questions with several answers";
    } else if (field->policy == HM_FIELD_POLICY_MAX && !is_ordered(field->type)) {
        reason = "max is for numbers, dates and times";
    } else if (field->policy == HM_FIELD_POLICY_DERIVED && field->calculate == NULL) {
        reason = "derived is for fields with a calculate";
    }
    if (reason != NULL) {
        hm_xform_build_fail(b, HM_INVALID, NULL, "hamlet:merge of \"%s\": %s",
                            field->path, reason);
        b->error->line = field->line;
    }
}

void hm_xform_body_apply(struct hm_xform_build *b)
{
    for (size_t i = 0; i < b->item_count && b->err == HM_OK; i++) {
        const struct hm_xform_body_item *item = &b->items[i];

        if (item->target == NULL) {
            continue;
        }
        if (control_of(item->at) == HM_XFORM_CONTROL_NONE) {
            container_apply(b, item->at, hm_xform_mark_of(item->target));
        } else {
            control_apply(b, item->at, hm_xform_mark_of(item->target));
        }
    }
    for (size_t i = 0; i < b->form->field_count && b->err == HM_OK; i++) {
        policy_apply(b, &b->form->fields[i]);
    }
}
