/* Walks forms of other projects where they are present: HM_XFORMS names the folder,
 * else
 * ../shared/xforms beside the source tree. Each file becomes a form or is refused with
 * a reason; the numbers seen are asserted, so that a loss shows. */
#include "protocol/form/xform.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test.h"

enum { FILES_SEEN = 347, FORMS_SEEN = 308, FIELDS_SEEN = 1810 };

static struct {
    int files;
    int forms;
    size_t fields;
    size_t choices;
} seen;

static uint8_t *file_read(const char *path, size_t *out_len)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long size;

    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    data = malloc((size_t)size + 1);
    assert_non_null(data);
    *out_len = fread(data, 1, (size_t)size, file);
    (void)fclose(file);
    return data;
}

/* What every description promises, whatever the form. */
static void form_check(const struct hm_xform *form)
{
    assert_true(form->language_count >= 1);
    assert_true(form->default_language < form->language_count);
    for (size_t i = 0; i < form->field_count; i++) {
        const struct hm_xform_field *field = &form->fields[i];

        assert_non_null(field->name);
        assert_true(field->repeat < (int)form->repeat_count);
        assert_true(field->list < (int)form->list_count);
        assert_true(field->policy >= HM_FIELD_POLICY_ASK);
        assert_ptr_equal(hm_xform_field_at(form, field->path), field);
        for (size_t k = 0; k < i; k++) {
            assert_false(form->fields[k].repeat == field->repeat &&
                         strcmp(form->fields[k].name, field->name) == 0);
        }
        if (field->list >= 0) {
            seen.choices += form->lists[field->list].count;
        }
    }
}

static int on_file(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    struct hm_xform_error error = {0};
    struct hm_xform *form = NULL;
    size_t len = 0;
    uint8_t *data;

    (void)info;
    (void)at;
    if (kind != FTW_F || strlen(path) < 4 ||
        strcmp(path + strlen(path) - 4, ".xml") != 0) {
        return 0;
    }
    data = file_read(path, &len);
    seen.files++;
    if (hm_xform_parse(hm_bytes_of(data, len), &form, &error) == HM_OK) {
        seen.forms++;
        seen.fields += form->field_count;
        form_check(form);
    } else {
        assert_null(form);
        assert_true(error.reason[0] != 0);
        print_message("%s:%d: %s: %s\n", path, error.line, error.node, error.reason);
    }
    hm_xform_destroy(form);
    free(data);
    return 0;
}

HM_TEST(every_file_is_a_form_or_refused_with_a_reason)
{
    const char *named = getenv("HM_XFORMS");
    char folder[1024];

    (void)snprintf(folder, sizeof folder, "%s",
                   named != NULL ? named : hm_test_fixture("../../../shared/xforms"));
    if (nftw(folder, on_file, 16, FTW_PHYS) != 0) {
        print_message("skipped: no forms in %s\n", folder);
        skip();
    }
    print_message("%d files, %d forms, %zu fields, %zu choices\n", seen.files,
                  seen.forms, seen.fields, seen.choices);
    assert_true(seen.files >= FILES_SEEN);
    assert_true(seen.forms >= FORMS_SEEN);
    assert_true(seen.fields >= FIELDS_SEEN);
}
