#include "protocol/err.h"

#include <stdio.h>
#include <stdlib.h>

struct row {
    int value;
    const char *name;
    enum hm_err_class class;
    const char *text;
};

static const struct row rows[] = {
#define ROW(name, value, class, text) {(value), #name, HM_CLASS_##class, (text)},
    HM_ERR_TABLE(ROW)
#undef ROW
};

static const struct row *find(int err)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].value == err) {
            return &rows[i];
        }
    }
    return NULL;
}

const char *hm_err_name(int err)
{
    const struct row *row = find(err);

    return row == NULL ? "?" : row->name;
}

const char *hm_err_text(int err)
{
    const struct row *row = find(err);

    return row == NULL ? "unknown error" : row->text;
}

enum hm_err_class hm_err_class(int err)
{
    const struct row *row = find(err);

    return row == NULL ? HM_CLASS_FATAL : row->class;
}

void hm_assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: a bug in hamletd: %s\n", file, line, condition);
    abort();
}
