#include "tests/support/fault.h"

#include <stdbool.h>
#include <stdlib.h>

#include "tests/support/test.h"

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);

static bool active;
static bool happened;
static unsigned left; /* allocations until the one that fails */
static long live;

static bool fails(void)
{
    if (!active || happened || --left > 0) {
        return false;
    }
    happened = true;
    return true;
}

static void *counted(void *memory)
{
    live += active && memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    void *memory;

    if (fails()) {
        return NULL;
    }
    memory = __real_realloc(old, size);
    return old == NULL ? counted(memory) : memory;
}

/* The C library's own would not be seen. */
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : counted(__real_strdup(text));
}

void __wrap_free(void *memory)
{
    live -= active && memory != NULL;
    __real_free(memory);
}

int hm_fault_happened(void)
{
    return happened;
}

unsigned hm_fault_each(void (*scenario)(void *arg), void *arg)
{
    unsigned tried = 0;

    do {
        live = 0;
        happened = false;
        left = tried + 1;
        active = true;
        scenario(arg);
        active = false;
        assert_int_equal(live, 0);
        tried++;
        assert_true(tried < 1000000);
    } while (happened);
    happened = false;
    return tried - 1;
}
