/* From a member of a struct, as a callback gets it, to the struct. Pure. */
#ifndef HM_DAEMON_CONTAINER_H
#define HM_DAEMON_CONTAINER_H

#include <stddef.h>

#define HM_CONTAINER_OF(pointer, type, member)                                         \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
