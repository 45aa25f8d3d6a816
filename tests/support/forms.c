#include "tests/support/forms.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

const char *hm_test_form(const char *instance, const char *rest_of_model,
                         const char *body)
{
    static char xml[64 * 1024];
    int len = snprintf(
        xml, sizeof xml,
        "<h:html xmlns='http://www.w3.org/2002/xforms'\n"
        " xmlns:h='http://www.w3.org/1999/xhtml'\n"
        " xmlns:jr='http://openrosa.org/javarosa'\n"
        " xmlns:hamlet='" HM_XFORM_NAMESPACE "'>\n"
        "<h:head><model><instance><data id='f' version='1'>%s</data></instance>\n"
        "%s</model></h:head>\n"
        "<h:body>%s</h:body></h:html>",
        instance, rest_of_model, body);

    assert_true(len > 0 && (size_t)len < sizeof xml);
    return xml;
}

static struct hm_xform *parse(struct hm_bytes xml)
{
    struct hm_xform *form = NULL;
    struct hm_xform_error error = {0};
    int err = hm_xform_parse(xml, &form, &error);

    if (err != HM_OK) {
        fail_msg("line %d: %s: %s", error.line, error.node, error.reason);
    }
    return form;
}

struct hm_xform *hm_test_form_parse(const char *instance, const char *rest_of_model,
                                    const char *body)
{
    return parse(hm_bytes_str(hm_test_form(instance, rest_of_model, body)));
}

struct hm_xform *hm_test_form_load(const char *name)
{
    static char xml[256 * 1024];
    char relative[256];
    FILE *file;
    size_t len;

    (void)snprintf(relative, sizeof relative, "forms/%s", name);
    file = fopen(hm_test_fixture(relative), "rb");
    assert_non_null(file);
    len = fread(xml, 1, sizeof xml, file);
    (void)fclose(file);
    return parse(hm_bytes_of(xml, len));
}
