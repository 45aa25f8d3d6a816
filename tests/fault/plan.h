/* Which call of a test fails: what the loop of tests/fault/loop.c tells the shared
 * object that stands between a test and the functions that it calls
 * (tests/fault/calls.c, for LD_PRELOAD).
 *
 * Calls are counted and fail from the begin of a test's function to its end, on every
 * thread. The plan lies in memory that a forked test shares with the loop. */
#ifndef HM_TESTS_FAULT_PLAN_H
#define HM_TESTS_FAULT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/* X(NAME, name, does): what can fail. Those of the last group must be borne: a read or
 * a write that does less than asked, or was interrupted, is no error. */
/* clang-format off */
#define HM_FAULT_KINDS(X)                                                          \
    X(ALLOC, "alloc", "there is no memory")                                        \
    X(OPEN,  "open",  "no more files may be opened")                               \
    X(READ,  "read",  "the device can't read")                                     \
    X(WRITE, "write", "the device is full")                                        \
    X(SYNC,  "sync",  "the device did not take what was written")                  \
    X(SIZE,  "size",  "no space to make a file longer")                            \
    X(NAME,  "name",  "a name can't be made, changed or removed")                  \
    X(STAT,  "stat",  "a file can't be looked at")                                 \
    X(LOCK,  "lock",  "no more locks")                                             \
    X(MAP,   "map",   "no address space")                                          \
    X(NET,   "net",   "a socket can't be made, bound, connected or used")          \
    X(CLOSE, "close", "closed, but with an error")                                 \
    X(SHORT, "short", "half of what was asked is read or written")                 \
    X(INTR,  "intr",  "a signal interrupted the call")
/* clang-format on */

enum hm_fault_kind {
#define HM_FAULT_ENUM(name, text, does) HM_FAULT_##name,
    HM_FAULT_KINDS(HM_FAULT_ENUM)
#undef HM_FAULT_ENUM
        HM_FAULT_KIND_COUNT
};

enum { HM_FAULT_PATHS_MAX = 1 << 18, HM_FAULT_DEPTH = 12 };

/* What a test that failed in an orderly way ends with in a faulty run. */
enum { HM_FAULT_FAILED = 1 };

struct hm_fault_plan {
    _Atomic bool active; /* the test's function runs */
    enum hm_fault_kind kind;
    uint64_t n; /* the call that fails, from 1; 0: none */
    bool later; /* so do all later calls of the kind */
    _Atomic uint64_t counts[HM_FAULT_KIND_COUNT];
    _Atomic bool happened;
    void *where[HM_FAULT_DEPTH]; /* return addresses of the first call that failed */
    _Atomic bool keep_paths;     /* note from where each call comes */
    /* A hash of the return addresses of the first calls of each kind. */
    uint32_t paths[HM_FAULT_KIND_COUNT][HM_FAULT_PATHS_MAX];
};

/* NULL is no plan. */
void hm_fault_calls_use(struct hm_fault_plan *plan);
/* What the calling thread does is neither counted nor fails. */
void hm_fault_calls_spare(void);

#endif
