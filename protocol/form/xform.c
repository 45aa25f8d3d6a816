#include "protocol/form/xform.h"

#include <libxml/parser.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "protocol/form/xform_build.h"

/* ---- errors ---------------------------------------------------------------------- */

/* Cutting may leave half a character at the end. */
static void trim_broken_utf8(char *text)
{
    size_t len = strlen(text);
    size_t start = len;
    unsigned char lead;
    size_t need;

    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start == 0) {
        return;
    }
    lead = (unsigned char)text[start - 1];
    need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (need > 1 && len - (start - 1) < need) {
        text[start - 1] = 0;
    }
}

static void describe_node(const xmlNode *node, char *out, size_t size)
{
    static const char *const telling[] = {"nodeset", "ref", "id"};

    (void)snprintf(out, size, "%s", node->name == NULL ? "" : (const char *)node->name);
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
        xmlChar *value = xmlGetNoNsProp((xmlNode *)node, BAD_CAST telling[i]);

        if (value != NULL) {
            (void)snprintf(out, size, "%s %s=\"%s\"", (const char *)node->name,
                           telling[i], (const char *)value);
            xmlFree(value);
            break;
        }
    }
    trim_broken_utf8(out);
}

void hm_xform_build_fail(struct hm_xform_build *b, int err, const xmlNode *node,
                         const char *format, ...)
{
    va_list args;

    if (b->err != HM_OK) {
        return;
    }
    b->err = err;
    *b->error = (struct hm_xform_error){0};
    if (node != NULL) {
        b->error->line = (int)xmlGetLineNo(node);
        describe_node(node, b->error->node, sizeof b->error->node);
    }
    va_start(args, format);
    (void)vsnprintf(b->error->reason, sizeof b->error->reason, format, args);
    va_end(args);
    trim_broken_utf8(b->error->reason);
}

/* ---- memory and texts ------------------------------------------------------------ */

void *hm_xform_build_array(struct hm_xform_build *b, size_t count, size_t size)
{
    void *data;

    if (b->err != HM_OK) {
        return NULL;
    }
    data = hm_arena_array(b->arena, count, size);
    if (data == NULL) {
        bool full = count * size > b->arena->bytes_max - b->arena->used;

        hm_xform_build_fail(b, full ? HM_TOOBIG : HM_NOMEM, NULL,
                            full ? "the form needs more than %d MB of memory"
                                 : "out of memory after %d MB",
                            HM_XFORM_MEMORY_MAX / 1024 / 1024);
    }
    return data;
}

const char *hm_xform_build_text(struct hm_xform_build *b, struct hm_bytes text)
{
    char *copy = hm_xform_build_array(b, text.len + 1, 1);

    if (copy != NULL && text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    return copy;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct hm_bytes trimmed(struct hm_bytes text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text = hm_bytes_of(text.data + 1, text.len - 1);
    }
    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

bool hm_xform_is(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE &&
           strcmp((const char *)node->name, name) == 0;
}

xmlNode *hm_xform_next_element(const xmlNode *node)
{
    xmlNode *next = node->next;

    while (next != NULL && next->type != XML_ELEMENT_NODE) {
        next = next->next;
    }
    return next;
}

xmlNode *hm_xform_first_element(const xmlNode *parent)
{
    xmlNode *child = parent->children;

    return child == NULL || child->type == XML_ELEMENT_NODE
               ? child
               : hm_xform_next_element(child);
}

xmlNode *hm_xform_child(const xmlNode *parent, const char *name)
{
    xmlNode *child = hm_xform_first_element(parent);

    while (child != NULL && !hm_xform_is(child, name)) {
        child = hm_xform_next_element(child);
    }
    return child;
}

struct hm_xform_mark *hm_xform_mark_of(const xmlNode *node)
{
    return node->_private;
}

const char *hm_xform_attr(struct hm_xform_build *b, const xmlNode *node,
                          const char *space, const char *name)
{
    xmlNode *at = (xmlNode *)node; /* libxml2 does not change it */
    xmlChar *value = space == NULL ? xmlGetNoNsProp(at, BAD_CAST name)
                                   : xmlGetNsProp(at, BAD_CAST name, BAD_CAST space);
    struct hm_bytes text = trimmed(hm_bytes_str((const char *)value));
    const char *copy = text.len == 0 ? NULL : hm_xform_build_text(b, text);

    xmlFree(value);
    return copy;
}

const char *hm_xform_content(struct hm_xform_build *b, const xmlNode *node)
{
    xmlChar *value = xmlNodeGetContent(node);
    const char *copy =
        hm_xform_build_text(b, trimmed(hm_bytes_str((const char *)value)));

    xmlFree(value);
    return copy;
}

/* ---- the model ------------------------------------------------------------------- */

static void model_find(struct hm_xform_build *b, xmlNode *html)
{
    xmlNode *head;

    if (html == NULL || !hm_xform_is(html, "html")) {
        hm_xform_build_fail(b, HM_INVALID, html,
                            "this is not an XForm: the outermost element is not html");
        return;
    }
    head = hm_xform_child(html, "head");
    b->model = head == NULL ? NULL : hm_xform_child(head, "model");
    if (b->model == NULL) {
        hm_xform_build_fail(b, HM_INVALID, html, "there is no model in head");
        return;
    }
    b->body = hm_xform_child(html, "body");
    b->form->title = "";
    if (hm_xform_child(head, "title") != NULL) {
        b->form->title = hm_xform_content(b, hm_xform_child(head, "title"));
    }
}

static void root_find(struct hm_xform_build *b)
{
    xmlNode *instance;

    if (b->err != HM_OK) {
        return;
    }
    instance = hm_xform_child(b->model, "instance");
    b->root = instance == NULL ? NULL : hm_xform_first_element(instance);
    if (b->root == NULL) {
        hm_xform_build_fail(b, HM_INVALID, instance == NULL ? b->model : instance,
                            "there is no primary instance");
    }
}

static void root_read(struct hm_xform_build *b)
{
    const char *version;

    if (b->err != HM_OK) {
        return;
    }
    b->form->id = hm_xform_attr(b, b->root, NULL, "id");
    if (b->form->id == NULL && b->err == HM_OK) {
        hm_xform_build_fail(b, HM_INVALID, b->root,
                            "the primary instance has no id attribute");
    }
    version = hm_xform_attr(b, b->root, NULL, "version");
    b->form->version = version == NULL ? "" : version;
}

/* "register/members": one slash with something on either side. */
const char *hm_xform_items_of(struct hm_xform_build *b, const xmlNode *node)
{
    const char *items = hm_xform_attr(b, node, HM_XFORM_NAMESPACE, "items");
    const char *slash = items == NULL ? NULL : strchr(items, '/');

    if (items != NULL && (slash == NULL || slash == items || slash[1] == 0 ||
                          strchr(slash + 1, '/') != NULL)) {
        hm_xform_build_fail(b, HM_INVALID, node,
                            "hamlet:items is \"%s\"; write form/repeat", items);
        return NULL;
    }
    return items;
}

static void roles_read(struct hm_xform_build *b)
{
    const char *text = hm_xform_attr(b, b->model, HM_XFORM_NAMESPACE, "write");
    struct hm_bytes left = hm_bytes_str(text);
    const char **roles;

    if (text == NULL) {
        return;
    }
    roles = hm_xform_build_array(b, left.len, sizeof *roles);
    while (left.len > 0 && b->err == HM_OK) {
        size_t len = 0;

        while (len < left.len && !is_blank(left.data[len])) {
            len++;
        }
        if (len > 0) {
            roles[b->form->write_role_count++] =
                hm_xform_build_text(b, hm_bytes_of(left.data, len));
        }
        len += len < left.len; /* the blank behind it */
        left = hm_bytes_of(left.data + len, left.len - len);
    }
    b->form->write_roles = roles;
}

static void model_read(struct hm_xform_build *b)
{
    const char *fill;

    if (b->err != HM_OK) {
        return;
    }
    b->form->fill = HM_FORM_FILL_MANY;
    fill = hm_xform_attr(b, b->model, HM_XFORM_NAMESPACE, "fill");
    if (fill != NULL && !hm_form_fill_parse(hm_bytes_str(fill), &b->form->fill)) {
        hm_xform_build_fail(b, HM_INVALID, b->model,
                            "hamlet:fill is \"%s\"; it may be once, per-round or many",
                            fill);
    }
    b->form->items = hm_xform_items_of(b, b->model);
    roles_read(b);
}

/* The model's items belong to the repeat of that name, unless it has its own. */
static void items_apply(struct hm_xform_build *b)
{
    const char *name = b->form->items == NULL ? NULL : strchr(b->form->items, '/') + 1;

    for (size_t i = 0; i < b->form->repeat_count && b->err == HM_OK; i++) {
        struct hm_xform_repeat *repeat = &b->form->repeats[i];

        if (repeat->items == NULL && name != NULL && strcmp(name, repeat->name) == 0) {
            repeat->items = b->form->items;
        }
    }
}

/* ---- the document ---------------------------------------------------------------- */

/* A DOCTYPE brings entities, and with them expansion and files: stop at the first. */
static void on_doctype(void *context, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system)
{
    xmlParserCtxt *ctxt = context;

    (void)name;
    (void)external;
    (void)system;
    ctxt->_private = ctxt; /* the sign that this is why it ended */
    xmlStopParser(ctxt);
}

static void fail_from_libxml(struct hm_xform_build *b, xmlParserCtxt *ctxt)
{
    const xmlError *last = &ctxt->lastError;
    char text[200];
    size_t len;

    (void)snprintf(text, sizeof text, "%s",
                   last->message == NULL ? "it ends too early" : last->message);
    len = strlen(text);
    while (len > 0 && is_blank((uint8_t)text[len - 1])) {
        text[--len] = 0;
    }
    if (last->code == XML_ERR_NO_MEMORY) {
        hm_xform_build_fail(b, HM_NOMEM, NULL, "out of memory");
    } else if (ctxt->_private != NULL) {
        hm_xform_build_fail(b, HM_MALFORMED, NULL, "a DOCTYPE is not allowed");
    } else {
        hm_xform_build_fail(b, HM_MALFORMED, NULL, "not well-formed XML: %s", text);
    }
    b->error->line =
        ctxt->_private != NULL && ctxt->input != NULL ? ctxt->input->line : last->line;
}

/* Returns the document, or NULL with the error set. */
static xmlDoc *document_read(struct hm_xform_build *b, struct hm_bytes xml)
{
    const int options = XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
                        XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES;
    xmlParserCtxt *ctxt;
    utf8proc_uint8_t *nfc = NULL;
    utf8proc_ssize_t len;
    xmlDoc *doc;

    if (xml.len == 0 || xml.len > HM_XFORM_BYTES_MAX) {
        hm_xform_build_fail(b, xml.len == 0 ? HM_MALFORMED : HM_TOOBIG, NULL,
                            xml.len == 0 ? "the file is empty"
                                         : "the file is larger than 4 MB");
        return NULL;
    }
    ctxt = xmlNewParserCtxt();
    if (ctxt == NULL) {
        hm_xform_build_fail(b, HM_NOMEM, NULL, "out of memory");
        return NULL;
    }
    ctxt->sax->internalSubset = on_doctype;
    /* Names and values are compared with those of a field table, which are in NFC. What
     * is not UTF-8 is left to libxml2. */
    len = utf8proc_map(xml.data, (utf8proc_ssize_t)xml.len, &nfc,
                       UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (len == UTF8PROC_ERROR_NOMEM) {
        hm_xform_build_fail(b, HM_NOMEM, NULL, "out of memory");
        xmlFreeParserCtxt(ctxt);
        return NULL;
    }
    if (len >= 0) {
        xml = hm_bytes_of(nfc, (size_t)len);
    }
    doc = xmlCtxtReadMemory(ctxt, (const char *)xml.data, (int)xml.len, NULL, NULL,
                            options);
    free(nfc);
    if (doc == NULL || !ctxt->wellFormed || !ctxt->nsWellFormed ||
        ctxt->_private != NULL) {
        fail_from_libxml(b, ctxt);
        xmlFreeDoc(doc);
        doc = NULL;
    }
    xmlFreeParserCtxt(ctxt);
    return doc;
}

/* Elements are walked by recursion later on: bound it here, without any. */
static void depth_check(struct hm_xform_build *b, const xmlNode *root)
{
    const xmlNode *node = root;
    int depth = 1;

    while (node != NULL && b->err == HM_OK) {
        const xmlNode *child = hm_xform_first_element(node);

        if (child != NULL) {
            node = child;
            if (++depth > HM_XFORM_DEPTH_MAX) {
                hm_xform_build_fail(b, HM_TOOBIG, node,
                                    "elements are nested deeper than %d",
                                    HM_XFORM_DEPTH_MAX);
            }
            continue;
        }
        while (node != root && hm_xform_next_element(node) == NULL) {
            node = node->parent;
            depth--;
        }
        node = node == root ? NULL : hm_xform_next_element(node);
    }
}

static void build(struct hm_xform_build *b, xmlDoc *doc)
{
    void (*const steps[])(struct hm_xform_build *) = {
        root_find,
        root_read,
        model_read,
        hm_xform_itext_read,
        hm_xform_instance_mark,
        hm_xform_instance_binds,
        hm_xform_body_find,
        hm_xform_instance_read,
        hm_xform_body_apply,
        items_apply,
    };
    xmlNode *html = xmlDocGetRootElement(doc);

    if (html != NULL) {
        depth_check(b, html);
    }
    model_find(b, html);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && b->err == HM_OK; i++) {
        steps[i](b);
    }
    hm_xform_itext_release(b);
}

int hm_xform_parse(struct hm_bytes xml, struct hm_xform **out_form,
                   struct hm_xform_error *error)
{
    struct hm_xform_owned *owned = calloc(1, sizeof *owned);
    struct hm_xform_build b = {.error = error};
    xmlDoc *doc;

    if (owned == NULL) {
        hm_xform_build_fail(&b, HM_NOMEM, NULL, "out of memory");
        return HM_NOMEM;
    }
    hm_arena_init(&owned->arena, HM_XFORM_MEMORY_MAX);
    b.form = &owned->form;
    b.arena = &owned->arena;
    doc = document_read(&b, xml);
    if (doc != NULL) {
        build(&b, doc);
        xmlFreeDoc(doc);
    }
    if (b.err != HM_OK) {
        hm_xform_destroy(&owned->form);
        return b.err;
    }
    *out_form = &owned->form;
    return HM_OK;
}

void hm_xform_destroy(struct hm_xform *form)
{
    struct hm_xform_owned *owned = (struct hm_xform_owned *)form; /* its first member */

    if (owned != NULL) {
        hm_arena_deinit(&owned->arena);
        free(owned);
    }
}

const struct hm_xform_field *hm_xform_field_at(const struct hm_xform *form,
                                               const char *path)
{
    for (size_t i = 0; i < form->field_count; i++) {
        if (strcmp(form->fields[i].path, path) == 0) {
            return &form->fields[i];
        }
    }
    return NULL;
}

const char *hm_xform_text(const struct hm_xform *form, hm_xform_texts texts,
                          size_t language)
{
    if (texts == NULL) {
        return "";
    }
    if (language < form->language_count && texts[language] != NULL) {
        return texts[language];
    }
    if (texts[form->default_language] != NULL) {
        return texts[form->default_language];
    }
    for (size_t i = 0; i < form->language_count; i++) {
        if (texts[i] != NULL) {
            return texts[i];
        }
    }
    return "";
}
