/* Arguments of a program to be run. Private to the harness. */
#ifndef HM_TESTS_SUPPORT_E2E_ARGUMENTS_H
#define HM_TESTS_SUPPORT_E2E_ARGUMENTS_H

#include <stdarg.h>
#include <stddef.h>

enum { E2E_ARGUMENTS_MAX = 40 };

/* All zero is empty; values ends with NULL and borrows its strings. */
struct e2e_arguments {
    const char *values[E2E_ARGUMENTS_MAX + 1];
    size_t count;
};

void e2e_arguments_add(struct e2e_arguments *arguments, const char *value);
/* Adds strings until NULL. */
void e2e_arguments_add_all(struct e2e_arguments *arguments, va_list values);
/* "program value value", to be freed by the caller. */
char *e2e_arguments_join(const char *program, const char *const *values);

#endif
