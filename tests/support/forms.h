/* Small XForms for tests. */
#ifndef HM_TESTS_SUPPORT_FORMS_H
#define HM_TESTS_SUPPORT_FORMS_H

#include "protocol/form/xform.h"

/* A form with id "f" of these parts of its model and body; instance is the inside of
 * <data>. Static memory, overwritten by the next call. */
const char *hm_test_form(const char *instance, const char *rest_of_model,
                         const char *body);

/* The form of these parts, which must parse. */
struct hm_xform *hm_test_form_parse(const char *instance, const char *rest_of_model,
                                    const char *body);

/* tests/fixtures/forms/<name>, which must parse. */
struct hm_xform *hm_test_form_load(const char *name);

#endif
