#include "tests/support/e2e_arguments.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/e2e.h"

void e2e_arguments_add(struct e2e_arguments *arguments, const char *value)
{
    if (arguments->count == E2E_ARGUMENTS_MAX) {
        e2e_fail("more than %d arguments", E2E_ARGUMENTS_MAX);
    }
    arguments->values[arguments->count++] = value;
}

void e2e_arguments_add_all(struct e2e_arguments *arguments, va_list values)
{
    const char *value;

    while ((value = va_arg(values, const char *)) != NULL) {
        e2e_arguments_add(arguments, value);
    }
}

char *e2e_arguments_join(const char *program, const char *const *values)
{
    size_t len = strlen(program) + 1;
    char *text;

    for (size_t i = 0; values[i] != NULL; i++) {
        len += strlen(values[i]) + 1;
    }
    text = malloc(len);
    if (text == NULL) {
        e2e_fail("out of memory");
    }
    strcpy(text, program);
    for (size_t i = 0; values[i] != NULL; i++) {
        strcat(text, " ");
        strcat(text, values[i]);
    }
    return text;
}
