/* Languages of a form, and its texts by id. */
#include "protocol/form/xform_build.h"

#include "protocol/buf.h"

enum { LABEL_BYTES_MAX = 64 * 1024 };

/* ---- languages ------------------------------------------------------------------- */

static void language_add(struct hm_xform_build *b, xmlNode *translation)
{
    struct hm_xform *form = b->form;
    const char *name = hm_xform_attr(b, translation, NULL, "lang");
    size_t index = form->language_count;
    xmlNode *text = hm_xform_first_element(translation);

    if (name == NULL || index == HM_XFORM_LANGUAGES_MAX) {
        hm_xform_build_fail(b, name == NULL ? HM_INVALID : HM_TOOBIG, translation,
                            name == NULL ? "a translation without lang"
                                         : "too many languages");
        return;
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(form->languages[i], name) == 0) {
            hm_xform_build_fail(b, HM_INVALID, translation,
                                "two translations for the language \"%s\"", name);
            return;
        }
    }
    b->itext[index] = xmlHashCreate(64);
    if (b->itext[index] == NULL) {
        hm_xform_build_fail(b, HM_NOMEM, NULL, "out of memory");
        return;
    }
    form->languages[index] = name;
    form->language_count++;
    if (hm_xform_attr(b, translation, NULL, "default") != NULL) {
        form->default_language = index;
    }
    for (; text != NULL && b->err == HM_OK; text = hm_xform_next_element(text)) {
        const char *id = hm_xform_attr(b, text, NULL, "id");

        if (id != NULL && hm_xform_is(text, "text")) {
            (void)xmlHashAddEntry(b->itext[index], BAD_CAST id, text); /* the first */
        }
    }
}

void hm_xform_itext_read(struct hm_xform_build *b)
{
    xmlNode *itext = hm_xform_child(b->model, "itext");
    xmlNode *child = itext == NULL ? NULL : hm_xform_first_element(itext);

    b->form->languages =
        hm_xform_build_array(b, HM_XFORM_LANGUAGES_MAX, sizeof *b->form->languages);
    b->itext = hm_xform_build_array(b, HM_XFORM_LANGUAGES_MAX, sizeof(xmlHashTable *));
    for (; child != NULL && b->err == HM_OK; child = hm_xform_next_element(child)) {
        if (hm_xform_is(child, "translation")) {
            language_add(b, child);
        }
    }
    if (b->err == HM_OK && b->form->language_count == 0) {
        b->form->languages[0] = "";
        b->form->language_count = 1;
    }
}

void hm_xform_itext_release(struct hm_xform_build *b)
{
    for (size_t i = 0; b->itext != NULL && i < HM_XFORM_LANGUAGES_MAX; i++) {
        xmlHashFree(b->itext[i], NULL); /* NULL is allowed */
    }
    b->itext = NULL;
}

/* ---- texts ----------------------------------------------------------------------- */

static void mixed_append(const xmlNode *parent, struct hm_buf *out)
{
    for (const xmlNode *node = parent->children; node != NULL; node = node->next) {
        if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
            hm_buf_append_str(out, (const char *)node->content);
        } else if (hm_xform_is(node, "output")) {
            xmlChar *value = xmlGetNoNsProp((xmlNode *)node, BAD_CAST "value");

            if (value == NULL) {
                value = xmlGetNoNsProp((xmlNode *)node, BAD_CAST "ref");
            }
            hm_buf_append_u8(out, HM_XFORM_OUTPUT_BEGIN);
            hm_buf_append_str(out, (const char *)value);
            hm_buf_append_u8(out, HM_XFORM_OUTPUT_END);
            xmlFree(value);
        } else if (node->type == XML_ELEMENT_NODE) {
            mixed_append(node, out); /* depth is bounded for the whole document */
        }
    }
}

/* Text with its outputs, blanks at both ends removed; NULL when nothing is left. */
static const char *mixed_text(struct hm_xform_build *b, const xmlNode *element)
{
    struct hm_buf buf;
    const char *text = NULL;
    size_t start = 0;

    hm_buf_init(&buf, LABEL_BYTES_MAX);
    mixed_append(element, &buf);
    if (buf.err != HM_OK) {
        hm_xform_build_fail(b, buf.err, element, "a text of more than 64 kB");
        goto out;
    }
    while (start < buf.len && buf.data[start] <= ' ' &&
           buf.data[start] != HM_XFORM_OUTPUT_BEGIN) {
        start++;
    }
    while (buf.len > start && buf.data[buf.len - 1] <= ' ' &&
           buf.data[buf.len - 1] != HM_XFORM_OUTPUT_END) {
        buf.len--;
    }
    if (buf.len > start) {
        text = hm_xform_build_text(b, hm_bytes_of(buf.data + start, buf.len - start));
    }
out:
    hm_buf_deinit(&buf);
    return text;
}

/* <value> without form, else form="long"; media are no texts. */
static const char *itext_value(struct hm_xform_build *b, const xmlNode *text)
{
    const xmlNode *chosen = NULL;

    for (const xmlNode *node = hm_xform_first_element(text); node != NULL;
         node = hm_xform_next_element(node)) {
        xmlChar *form;

        if (!hm_xform_is(node, "value")) {
            continue;
        }
        form = xmlGetNoNsProp((xmlNode *)node, BAD_CAST "form");
        if (form == NULL || (chosen == NULL && xmlStrEqual(form, BAD_CAST "long"))) {
            chosen = node;
        }
        xmlFree(form);
        if (chosen == node && !xmlHasProp((xmlNode *)node, BAD_CAST "form")) {
            break;
        }
    }
    return chosen == NULL ? NULL : mixed_text(b, chosen);
}

hm_xform_texts hm_xform_itext_find(struct hm_xform_build *b, const xmlNode *node,
                                   const char *id)
{
    const char **texts =
        hm_xform_build_array(b, b->form->language_count, sizeof *texts);
    bool found = false;

    for (size_t i = 0; texts != NULL && i < b->form->language_count; i++) {
        xmlNode *text =
            b->itext[i] == NULL ? NULL : xmlHashLookup(b->itext[i], BAD_CAST id);

        if (text != NULL) {
            found = true;
            texts[i] = itext_value(b, text);
        }
    }
    if (!found) {
        hm_xform_build_fail(b, HM_INVALID, node, "the text \"%s\" is in no translation",
                            id);
        return NULL;
    }
    return texts;
}

/* The id in "jr:itext('id')", or an empty view. */
static struct hm_bytes itext_id(const char *ref)
{
    static const char start[] = "jr:itext(";
    const char *at = strstr(ref, start);
    const char *end;

    if (at != ref) {
        return hm_bytes_str(NULL);
    }
    at += sizeof start - 1;
    at += strspn(at, " ");
    end = *at == '\'' || *at == '"' ? strchr(at + 1, *at) : NULL;
    return end == NULL ? hm_bytes_str(NULL)
                       : hm_bytes_of(at + 1, (size_t)(end - at) - 1);
}

static hm_xform_texts one_text(struct hm_xform_build *b, const char *text)
{
    const char **texts;

    if (text == NULL || text[0] == 0) {
        return NULL;
    }
    texts = hm_xform_build_array(b, b->form->language_count, sizeof *texts);
    if (texts != NULL) {
        texts[b->form->default_language] = text;
    }
    return texts;
}

hm_xform_texts hm_xform_texts_of_ref(struct hm_xform_build *b, const xmlNode *node,
                                     const char *ref_or_text)
{
    struct hm_bytes id;

    if (ref_or_text == NULL || b->err != HM_OK) {
        return NULL;
    }
    id = itext_id(ref_or_text);
    if (id.len > 0) {
        const char *copy = hm_xform_build_text(b, id);

        return copy == NULL ? NULL : hm_xform_itext_find(b, node, copy);
    }
    return one_text(b, ref_or_text);
}

hm_xform_texts hm_xform_texts_of_element(struct hm_xform_build *b,
                                         const xmlNode *element)
{
    const char *ref;

    if (element == NULL || b->err != HM_OK) {
        return NULL;
    }
    ref = hm_xform_attr(b, element, NULL, "ref");
    if (ref != NULL && itext_id(ref).len > 0) {
        return hm_xform_texts_of_ref(b, element, ref);
    }
    return one_text(b, mixed_text(b, element));
}
