/* Runs a program's tests again and again, each time with another call failing.
 *
 * HM_FAULT=loop: for each test (or the one named), a run in which nothing fails counts
 * the calls of each kind; then a forked run for each call that is chosen. A faulty run
 * may pass or fail an assert: both are orderly. A signal, an exit code of a sanitizer,
 * a hang, or an assert where a fault must be borne is a finding, printed with what
 * repeats it. With HM_TEST_LONG=1 every call is chosen, up to a bound for each test,
 * and of more than that a few of each place that they come from; else some.
 *
 * HM_FAULT=<kind>:<n> or <kind>:<n>+ is one such run in this process, for a debugger.
 *
 * One thread; the tests may have more. */
#ifndef HM_TESTS_FAULT_LOOP_H
#define HM_TESTS_FAULT_LOOP_H

#include "tests/support/test.h"

/* What HM_FAULT asks for; returns the exit code of the program, or -1 when there is no
 * HM_FAULT or it is one run, now prepared. run runs a test and returns how many have
 * failed. name NULL: all tests. */
int hm_fault_main(struct hm_test *tests, const char *name,
                  int (*run)(struct hm_test *));

/* Around a test's function; nothing without a plan. */
void hm_fault_test_begins(void);
void hm_fault_test_ends(void);

/* Around what a helper sets up for many tests: nothing is counted and nothing fails in
 * between. Setting up is a scenario of other tests. */
void hm_fault_pause(void);
void hm_fault_resume(void);
/* The calling thread plays another program: what it does is not counted and works. */
void hm_fault_spare_thread(void);
/* A folder that outlives a faulty run, for what is costly to set up and the same in
 * every run of this program; NULL when there is no loop. */
const char *hm_fault_kept(void);

/* How often a test repeats something: the sizes of a run in which calls fail (each of
 * many runs, so small), of ./dev test, and of HM_TEST_LONG=1. */
unsigned long hm_test_rounds(unsigned long faulty, unsigned long usual,
                             unsigned long all);

#endif
