/* The primary instance: its nodes, their binds, and the rows and fields they make. */
#include "protocol/form/xform_build.h"

#include <stdlib.h>

/* ---- paths ----------------------------------------------------------------------- */

xmlNode *hm_xform_child_canonical(const xmlNode *parent, const xmlChar *name,
                                  size_t name_len)
{
    xmlNode *first = NULL;

    for (xmlNode *child = hm_xform_first_element(parent); child != NULL;
         child = hm_xform_next_element(child)) {
        if (xmlStrlen(child->name) != (int)name_len ||
            memcmp(child->name, name, name_len) != 0) {
            continue;
        }
        if (xmlHasNsProp(child, BAD_CAST "template",
                         BAD_CAST HM_XFORM_JAVAROSA_NAMESPACE) != NULL) {
            return child;
        }
        if (first == NULL) {
            first = child;
        }
    }
    return first;
}

/* One step of a path without its prefix; the rest of the path in *path. */
static struct hm_bytes step_take(const char **path)
{
    const char *start = *path;
    size_t len = strcspn(start, "/");
    const char *end = start + len;
    const char *colon;

    *path = *end == '/' ? end + 1 : end;
    while (len > 0 && start[len - 1] == ' ') {
        len--;
    }
    while (len > 0 && *start == ' ') {
        start++;
        len--;
    }
    colon = len == 0 ? NULL : memchr(start, ':', len);
    if (colon != NULL) {
        len -= (size_t)(colon - start) + 1;
        start = colon + 1;
    }
    return hm_bytes_of(start, len);
}

static xmlNode *step_go(xmlNode *from, const xmlNode *root, struct hm_bytes step)
{
    if (hm_bytes_equal(step, hm_bytes_str("."))) {
        return from;
    }
    if (hm_bytes_equal(step, hm_bytes_str(".."))) {
        return from == root ? NULL : from->parent;
    }
    return hm_xform_child_canonical(from, step.data, step.len);
}

xmlNode *hm_xform_resolve(struct hm_xform_build *b, const xmlNode *node,
                          xmlNode *context, const char *path)
{
    static const char current[] = "current()/";
    const char *left = path;
    xmlNode *at = context;

    if (strncmp(path, current, sizeof current - 1) == 0) {
        left = path + sizeof current - 1;
    }

    if (path[0] == '/') {
        struct hm_bytes first;

        left = path + 1;
        first = step_take(&left);
        at = hm_bytes_equal(first, hm_bytes_str((const char *)b->root->name)) ? b->root
                                                                              : NULL;
    }
    while (at != NULL && *left != 0) {
        struct hm_bytes step = step_take(&left);

        if (step.len > 0 && step.data[0] == '@') {
            return NULL;
        }
        at = step_go(at, b->root, step);
    }
    if (at == NULL) {
        hm_xform_build_fail(b, HM_INVALID, node,
                            "\"%s\" is not in the primary instance", path);
    }
    return at;
}

/* ---- marks and binds ------------------------------------------------------------- */

static size_t nodes_count(const xmlNode *node)
{
    size_t count = 1;

    for (const xmlNode *child = hm_xform_first_element(node); child != NULL;
         child = hm_xform_next_element(child)) {
        count += nodes_count(child);
    }
    return count;
}

static void nodes_mark(xmlNode *node, struct hm_xform_mark **next)
{
    **next = (struct hm_xform_mark){.field = -1, .group_index = -1, .repeat_index = -1};
    node->_private = (*next)++;
    for (xmlNode *child = hm_xform_first_element(node); child != NULL;
         child = hm_xform_next_element(child)) {
        nodes_mark(child, next);
    }
}

void hm_xform_instance_mark(struct hm_xform_build *b)
{
    size_t count = nodes_count(b->root);
    struct hm_xform_mark *marks;

    if (count > HM_XFORM_NODES_MAX) {
        hm_xform_build_fail(b, HM_TOOBIG, b->root,
                            "the primary instance has %zu nodes, more than %d", count,
                            HM_XFORM_NODES_MAX);
        return;
    }
    marks = hm_xform_build_array(b, count, sizeof *marks);
    b->form->fields = hm_xform_build_array(b, count, sizeof *b->form->fields);
    b->form->repeats = hm_xform_build_array(b, count, sizeof *b->form->repeats);
    b->form->groups = hm_xform_build_array(b, count, sizeof *b->form->groups);
    if (b->err == HM_OK) {
        nodes_mark(b->root, &marks);
    }
}

void hm_xform_instance_binds(struct hm_xform_build *b)
{
    xmlNode *bind = hm_xform_first_element(b->model);

    for (; bind != NULL && b->err == HM_OK; bind = hm_xform_next_element(bind)) {
        const char *path;
        xmlNode *target;

        if (!hm_xform_is(bind, "bind")) {
            continue;
        }
        path = hm_xform_attr(b, bind, NULL, "nodeset");
        if (path == NULL) {
            path = hm_xform_attr(b, bind, NULL, "ref");
        }
        if (path == NULL) {
            hm_xform_build_fail(b, HM_INVALID, bind, "a bind without nodeset");
            return;
        }
        target = hm_xform_resolve(b, bind, b->root, path);
        if (target == NULL) {
            continue;
        }
        if (hm_xform_mark_of(target)->bind != NULL) {
            hm_xform_build_fail(b, HM_INVALID, bind, "two binds for \"%s\"", path);
            return;
        }
        hm_xform_mark_of(target)->bind = bind;
    }
}

/* ---- rows and fields ------------------------------------------------------------- */

/* Where in the instance the walk stands. */
struct place {
    const char *path;     /* of the node whose children are read */
    size_t row_path_from; /* where row paths begin in the paths of its children */
    int repeat;
    int group;
    bool meta;
    bool conditional;
};

static bool is_literal(const char *expression, const char *literal)
{
    return expression != NULL && strcmp(expression, literal) == 0;
}

static const char *bind_attr(struct hm_xform_build *b, const xmlNode *bind,
                             const char *space, const char *name)
{
    return bind == NULL ? NULL : hm_xform_attr(b, bind, space, name);
}

static const char *path_below(struct hm_xform_build *b, const char *parent,
                              const xmlNode *node)
{
    size_t parent_len = strlen(parent);
    size_t name_len = strlen((const char *)node->name);
    char *path = hm_xform_build_array(b, parent_len + name_len + 2, 1);

    if (path != NULL) {
        memcpy(path, parent, parent_len);
        path[parent_len] = '/';
        memcpy(path + parent_len + 1, node->name, name_len);
    }
    return path;
}

static void field_preload(struct hm_xform_build *b, struct hm_xform_field *field,
                          const xmlNode *bind)
{
    const char *what = bind_attr(b, bind, HM_XFORM_JAVAROSA_NAMESPACE, "preload");
    const char *params =
        bind_attr(b, bind, HM_XFORM_JAVAROSA_NAMESPACE, "preloadParams");
    char *both;
    size_t what_len;

    if (what == NULL || params == NULL) {
        field->preload = what;
        return;
    }
    what_len = strlen(what);
    both = hm_xform_build_array(b, what_len + strlen(params) + 2, 1);
    if (both != NULL) {
        memcpy(both, what, what_len);
        both[what_len] = ' ';
        memcpy(both + what_len + 1, params, strlen(params));
    }
    field->preload = both;
}

static void field_type(struct hm_xform_build *b, struct hm_xform_field *field,
                       const xmlNode *bind)
{
    const char *type = bind_attr(b, bind, NULL, "type");

    field->type = HM_FIELD_TYPE_STRING;
    if (type != NULL && !hm_field_type_parse(hm_bytes_str(type), &field->type)) {
        hm_xform_build_fail(b, HM_INVALID, bind, "the type \"%s\" is not supported",
                            type);
    }
}

static void field_policy(struct hm_xform_build *b, struct hm_xform_field *field,
                         const xmlNode *bind)
{
    const char *merge = bind_attr(b, bind, HM_XFORM_NAMESPACE, "merge");

    if (merge != NULL && !hm_field_policy_parse(hm_bytes_str(merge), &field->policy)) {
        hm_xform_build_fail(b, HM_INVALID, bind,
                            "hamlet:merge is \"%s\"; it may be ask, "
                            "answered-beats-unknown, union, max, latest, authority or "
                            "derived",
                            merge);
    }
}

static void field_likeness(struct hm_xform_build *b, struct hm_xform_field *field,
                           const xmlNode *bind)
{
    const char *same_by = bind_attr(b, bind, HM_XFORM_NAMESPACE, "same-by");

    if (same_by != NULL &&
        !hm_field_likeness_parse(hm_bytes_str(same_by), &field->likeness)) {
        hm_xform_build_fail(
            b, HM_INVALID, bind,
            "hamlet:same-by is \"%s\"; it may be id-number, phone, name "
            "or birth-year",
            same_by);
    }
}

static void field_bind(struct hm_xform_build *b, struct hm_xform_field *field,
                       const xmlNode *bind)
{
    const char *required = bind_attr(b, bind, NULL, "required");
    const char *secret = bind_attr(b, bind, HM_XFORM_NAMESPACE, "secret");

    field->relevant = bind_attr(b, bind, NULL, "relevant");
    field->constraint = bind_attr(b, bind, NULL, "constraint");
    field->calculate = bind_attr(b, bind, NULL, "calculate");
    field->readonly = bind_attr(b, bind, NULL, "readonly");
    field->required = is_literal(required, "true()");
    if (!field->required && !is_literal(required, "false()")) {
        field->required_expr = required;
    }
    field->secret = is_literal(secret, "true()") || is_literal(secret, "true");
    field->tally = bind_attr(b, bind, HM_XFORM_NAMESPACE, "tally");
    field->save_to =
        bind_attr(b, bind, "http://www.opendatakit.org/xforms/entities", "saveto");
    field->constraint_message = hm_xform_texts_of_ref(
        b, bind, bind_attr(b, bind, HM_XFORM_JAVAROSA_NAMESPACE, "constraintMsg"));
    field->required_message = hm_xform_texts_of_ref(
        b, bind, bind_attr(b, bind, HM_XFORM_JAVAROSA_NAMESPACE, "requiredMsg"));
    field_preload(b, field, bind);
    field_type(b, field, bind);
    field_policy(b, field, bind);
    field_likeness(b, field, bind);
}

static void field_add(struct hm_xform_build *b, const xmlNode *node, const char *path,
                      const struct place *place)
{
    struct hm_xform_mark *mark = hm_xform_mark_of(node);
    struct hm_xform_field *field = &b->form->fields[b->form->field_count];
    const char *text = hm_xform_content(b, node);

    mark->field = (int)b->form->field_count++;
    field->path = path;
    field->row_path = path + place->row_path_from;
    field->name = strrchr(path, '/') + 1;
    field->repeat = place->repeat;
    field->group = place->group;
    field->default_value = text != NULL && text[0] != 0 ? text : NULL;
    field->list = -1;
    field->line = (int)xmlGetLineNo(node);
    field_bind(b, field, mark->bind);
    field->conditional = place->conditional || (field->relevant != NULL &&
                                                !is_literal(field->relevant, "true()"));
    field->kind = field->calculate != NULL                ? HM_XFORM_KIND_CALCULATE
                  : place->meta || field->preload != NULL ? HM_XFORM_KIND_META
                                                          : HM_XFORM_KIND_HIDDEN;
}

static void repeat_add(struct hm_xform_build *b, const xmlNode *node, const char *path,
                       const struct place *place)
{
    struct hm_xform_mark *mark = hm_xform_mark_of(node);
    struct hm_xform_repeat *repeat = &b->form->repeats[b->form->repeat_count];

    mark->repeat_index = (int)b->form->repeat_count++;
    repeat->path = path;
    repeat->name = strrchr(path, '/') + 1;
    repeat->parent = place->repeat;
    repeat->group = place->group;
    repeat->relevant = bind_attr(b, mark->bind, NULL, "relevant");
    repeat->items = mark->bind == NULL ? NULL : hm_xform_items_of(b, mark->bind);
    repeat->line = (int)xmlGetLineNo(node);
}

static void group_add(struct hm_xform_build *b, const xmlNode *node, const char *path,
                      const struct place *place)
{
    struct hm_xform_mark *mark = hm_xform_mark_of(node);
    struct hm_xform_group *group = &b->form->groups[b->form->group_count];

    mark->group_index = (int)b->form->group_count++;
    group->path = path;
    group->repeat = place->repeat;
    group->parent = place->group;
    group->relevant = bind_attr(b, mark->bind, NULL, "relevant");
    group->readonly = bind_attr(b, mark->bind, NULL, "readonly");
}

static void children_read(struct hm_xform_build *b, const xmlNode *parent,
                          const struct place *place);

/* A node that holds others: a repeat or a group. */
static void inner_read(struct hm_xform_build *b, const xmlNode *node, const char *path,
                       const struct place *place)
{
    struct hm_xform_mark *mark = hm_xform_mark_of(node);
    struct place inside = *place;
    const char *relevant = bind_attr(b, mark->bind, NULL, "relevant");

    inside.path = path;
    inside.conditional |= relevant != NULL && !is_literal(relevant, "true()");
    if (mark->repeat) {
        repeat_add(b, node, path, place);
        inside.repeat = mark->repeat_index;
        inside.group = -1;
        inside.row_path_from = strlen(path) + 1;
    } else {
        group_add(b, node, path, place);
        inside.group = mark->group_index;
        inside.meta |= node->parent == b->root && hm_xform_is(node, "meta");
    }
    children_read(b, node, &inside);
}

static void children_read(struct hm_xform_build *b, const xmlNode *parent,
                          const struct place *place)
{
    for (const xmlNode *node = hm_xform_first_element(parent);
         node != NULL && b->err == HM_OK; node = hm_xform_next_element(node)) {
        const xmlNode *canonical =
            hm_xform_child_canonical(parent, node->name, (size_t)xmlStrlen(node->name));
        const char *path;

        if (node != canonical) {
            /* The template says what a row has; first instances only repeat it. */
            if (!hm_xform_mark_of(canonical)->repeat) {
                hm_xform_build_fail(b, HM_INVALID, node,
                                    "\"%s/%s\" stands twice in the primary instance",
                                    place->path, (const char *)node->name);
            }
            continue;
        }
        path = path_below(b, place->path, node);
        if (path == NULL) {
            return;
        }
        if (hm_xform_mark_of(node)->repeat || hm_xform_mark_of(node)->group ||
            hm_xform_first_element(node) != NULL) {
            inner_read(b, node, path, place);
        } else {
            field_add(b, node, path, place);
        }
    }
}

/* ---- names ----------------------------------------------------------------------- */

static int compare_names(const void *left, const void *right)
{
    const struct hm_xform_field *a = *(struct hm_xform_field *const *)left;
    const struct hm_xform_field *b = *(struct hm_xform_field *const *)right;

    return a->repeat != b->repeat ? (a->repeat > b->repeat) - (a->repeat < b->repeat)
                                  : strcmp(a->name, b->name);
}

/* A name that stands twice in one kind of row gives way to the path, every time. */
static void fields_name(struct hm_xform_build *b)
{
    size_t count = b->form->field_count;
    struct hm_xform_field **sorted = hm_xform_build_array(b, count, sizeof *sorted);
    size_t end;

    if (sorted == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &b->form->fields[i];
    }
    qsort(sorted, count, sizeof(struct hm_xform_field *), compare_names);
    for (size_t start = 0; start < count; start = end) {
        end = start + 1;
        while (end < count && compare_names(&sorted[start], &sorted[end]) == 0) {
            end++;
        }
        for (size_t i = start; end - start > 1 && i < end; i++) {
            sorted[i]->name = NULL; /* renamed below: sorting must not see it yet */
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (b->form->fields[i].name == NULL) {
            b->form->fields[i].name = b->form->fields[i].row_path;
        }
    }
}

static void repeats_name(struct hm_xform_build *b, size_t root_path_len)
{
    struct hm_xform_repeat *repeats = b->form->repeats;
    size_t count = b->form->repeat_count;
    bool *twice = hm_xform_build_array(b, count, sizeof *twice);

    for (size_t i = 0; twice != NULL && i < count; i++) {
        for (size_t k = i + 1; k < count; k++) {
            if (strcmp(repeats[i].name, repeats[k].name) == 0) {
                twice[i] = true;
                twice[k] = true;
            }
        }
    }
    for (size_t i = 0; twice != NULL && i < count; i++) {
        repeats[i].name =
            twice[i] ? repeats[i].path + root_path_len + 1 : repeats[i].name;
    }
}

void hm_xform_instance_read(struct hm_xform_build *b)
{
    const char *root_path = path_below(b, "", b->root);
    struct place place = {.path = root_path, .repeat = -1, .group = -1};

    if (root_path == NULL) {
        return;
    }
    place.row_path_from = strlen(root_path) + 1;
    children_read(b, b->root, &place);
    if (b->err == HM_OK) {
        fields_name(b);
        repeats_name(b, strlen(root_path));
    }
}
