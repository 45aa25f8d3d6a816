/* Lets the n-th allocation of the code under test fail, for every n.
 *
 * A test program that includes this header is linked with malloc, calloc, realloc and
 * free wrapped (tests/CMakeLists.txt). Allocations inside shared libraries are not
 * counted and never fail. */
#ifndef HM_TESTS_SUPPORT_FAULT_H
#define HM_TESTS_SUPPORT_FAULT_H

/* Runs scenario with the 1st, 2nd .. allocation failing, until a run meets no failure.
 * Fails the test when a run leaves memory behind. Returns how many runs met a failure.
 * scenario must return to where it began whatever fails. */
unsigned hm_fault_each(void (*scenario)(void *arg), void *arg);

/* True in a run of hm_fault_each() in which an allocation has failed already. */
int hm_fault_happened(void);

#endif
