/* What the process tells people: one line an event, to standard error and into a ring
 * of the last HM_JOURNAL_LINES_MAX lines that can be asked for.
 *
 * Any thread; a lock is held for the length of a copy. Writing to standard error may
 * wait for whoever reads it. */
#ifndef HM_DAEMON_JOURNAL_H
#define HM_DAEMON_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/err.h"

enum { HM_JOURNAL_LINES_MAX = 2000, HM_JOURNAL_LINE_BYTES_MAX = 500 };

/* In the order of their weight; those beyond the level that is set are dropped. */
enum hm_journal_level {
    HM_JOURNAL_ERROR,
    HM_JOURNAL_WARNING,
    HM_JOURNAL_INFO,
    HM_JOURNAL_DEBUG
};

struct hm_journal;

struct hm_journal_line {
    uint64_t number; /* 1, 2, 3 .. */
    int64_t at_utc_ms;
    enum hm_journal_level level;
    char text[HM_JOURNAL_LINE_BYTES_MAX]; /* UTF-8 without control characters */
};

/* prefixes: begin each line on standard error with the mark that systemd reads
 * ("<6>"). Errors: HM_NOMEM. */
int hm_journal_create(bool prefixes, struct hm_journal **out_journal) HM_MUST_USE;
/* NULL is allowed. */
void hm_journal_destroy(struct hm_journal *journal);

void hm_journal_set_level(struct hm_journal *journal, enum hm_journal_level level);
/* wake runs behind every line that was kept, on the thread that wrote it. NULL: none
 * any more, and none is running when this returns. */
void hm_journal_set_wake(struct hm_journal *journal, void (*wake)(void *arg),
                         void *arg);

/* One line, without a full stop; cut when it is too long. NULL journal: standard error
 * alone. */
void hm_journal_write(struct hm_journal *journal, enum hm_journal_level level,
                      const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The number of the latest line; 0 for none. */
uint64_t hm_journal_last(struct hm_journal *journal);
/* Copy the first kept line with at least this number. False: there is none. */
bool hm_journal_read(struct hm_journal *journal, uint64_t number,
                     struct hm_journal_line *out);

/* "error", "warning", "info", "debug". Static. */
const char *hm_journal_level_name(enum hm_journal_level level);
/* Errors: HM_INVALID. */
int hm_journal_level_from_name(const char *name,
                               enum hm_journal_level *out_level) HM_MUST_USE;

#endif
