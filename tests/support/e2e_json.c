#include <stdlib.h>
#include <string.h>

#include "tests/support/e2e.h"

/* One step of a path: a member's name or an element's index. */
static json_t *child_of(const json_t *json, const char *name)
{
    if (json_is_array(json)) {
        char *end = NULL;
        unsigned long index = strtoul(name, &end, 10);

        return *name == 0 || *end != 0 ? NULL : json_array_get(json, index);
    }
    return json_object_get(json, name);
}

const char *e2e_text(const json_t *json)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    json_t *kept = text == NULL ? NULL : json_string_nocheck(text);

    free(text);
    return json_string_value(e2e_keep(kept));
}

json_t *e2e_get(const json_t *json, const char *path)
{
    char steps[256];
    char *rest = NULL;
    json_t *at = (json_t *)(uintptr_t)json;

    if (strlen(path) >= sizeof steps) {
        e2e_fail("path too long: %s", path);
    }
    strcpy(steps, path);
    for (char *step = strtok_r(steps, ".", &rest); step != NULL && at != NULL;
         step = strtok_r(NULL, ".", &rest)) {
        at = child_of(at, step);
    }
    if (at == NULL) {
        e2e_fail("no '%s' in %s", path, json == NULL ? "nothing" : e2e_text(json));
    }
    return at;
}

const char *e2e_str(const json_t *json, const char *path)
{
    json_t *value = e2e_get(json, path);

    if (!json_is_string(value)) {
        e2e_fail("'%s' is not a string in %s", path, e2e_text(json));
    }
    return json_string_value(value);
}

json_int_t e2e_int(const json_t *json, const char *path)
{
    json_t *value = e2e_get(json, path);

    if (!json_is_integer(value)) {
        e2e_fail("'%s' is not an integer in %s", path, e2e_text(json));
    }
    return json_integer_value(value);
}

bool e2e_bool(const json_t *json, const char *path)
{
    json_t *value = e2e_get(json, path);

    if (!json_is_boolean(value)) {
        e2e_fail("'%s' is not true or false in %s", path, e2e_text(json));
    }
    return json_is_true(value);
}

size_t e2e_count(const json_t *json, const char *path)
{
    json_t *value = e2e_get(json, path);

    if (!json_is_array(value)) {
        e2e_fail("'%s' is not a list in %s", path, e2e_text(json));
    }
    return json_array_size(value);
}
