#include "daemon/journal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct hm_journal {
    pthread_mutex_t lock;
    enum hm_journal_level level;
    bool prefixes;
    void (*wake)(void *arg);
    void *wake_arg;
    uint64_t last;
    struct hm_journal_line *lines; /* number n lies at (n - 1) % LINES_MAX */
};

static const char *const names[] = {"error", "warning", "info", "debug"};
static const char *const marks[] = {"<3>", "<4>", "<6>", "<7>"};

const char *hm_journal_level_name(enum hm_journal_level level)
{
    return names[level];
}

int hm_journal_level_from_name(const char *name, enum hm_journal_level *out_level)
{
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out_level = (enum hm_journal_level)i;
            return HM_OK;
        }
    }
    return HM_INVALID;
}

int hm_journal_create(bool prefixes, struct hm_journal **out_journal)
{
    struct hm_journal *j = calloc(1, sizeof *j);

    if (j != NULL) {
        j->lines = calloc(HM_JOURNAL_LINES_MAX, sizeof *j->lines);
    }
    if (j == NULL || j->lines == NULL || pthread_mutex_init(&j->lock, NULL) != 0) {
        if (j != NULL) {
            free(j->lines);
        }
        free(j);
        return HM_NOMEM;
    }
    j->level = HM_JOURNAL_INFO;
    j->prefixes = prefixes;
    *out_journal = j;
    return HM_OK;
}

void hm_journal_destroy(struct hm_journal *j)
{
    if (j == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&j->lock);
    free(j->lines);
    free(j);
}

void hm_journal_set_level(struct hm_journal *j, enum hm_journal_level level)
{
    (void)pthread_mutex_lock(&j->lock);
    j->level = level;
    (void)pthread_mutex_unlock(&j->lock);
}

void hm_journal_set_wake(struct hm_journal *j, void (*wake)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&j->lock);
    j->wake = wake;
    j->wake_arg = arg;
    (void)pthread_mutex_unlock(&j->lock);
}

/* A line stays a line, and what a peer sent moves no cursor of a terminal. */
static void make_plain(char *text, size_t len)
{
    size_t cut = len;

    while (cut > 0 && cut == HM_JOURNAL_LINE_BYTES_MAX - 1 &&
           ((unsigned char)text[cut - 1] & 0xc0U) == 0x80U) {
        text[--cut] = 0; /* the tail of a letter that was cut */
        if (((unsigned char)text[cut - 1] & 0xc0U) == 0xc0U) {
            text[--cut] = 0;
            break;
        }
        if (len - cut > 3) {
            break;
        }
    }
    for (; *text != 0; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = ' ';
        }
    }
}

static int64_t utc_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void hm_journal_write(struct hm_journal *j, enum hm_journal_level level,
                      const char *format, ...)
{
    struct hm_journal_line line = {.level = level, .at_utc_ms = utc_ms()};
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line.text, sizeof line.text, format, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    make_plain(line.text, strlen(line.text));
    if (j == NULL) {
        (void)fprintf(stderr, "%s\n", line.text);
        return;
    }
    (void)pthread_mutex_lock(&j->lock);
    if (level <= j->level) {
        line.number = ++j->last;
        j->lines[(line.number - 1) % HM_JOURNAL_LINES_MAX] = line;
        (void)fprintf(stderr, "%s%s\n", j->prefixes ? marks[level] : "", line.text);
        if (j->wake != NULL) {
            j->wake(j->wake_arg);
        }
    }
    (void)pthread_mutex_unlock(&j->lock);
}

uint64_t hm_journal_last(struct hm_journal *j)
{
    uint64_t last;

    (void)pthread_mutex_lock(&j->lock);
    last = j->last;
    (void)pthread_mutex_unlock(&j->lock);
    return last;
}

bool hm_journal_read(struct hm_journal *j, uint64_t number, struct hm_journal_line *out)
{
    bool found;

    (void)pthread_mutex_lock(&j->lock);
    if (j->last > HM_JOURNAL_LINES_MAX && number <= j->last - HM_JOURNAL_LINES_MAX) {
        number = j->last - HM_JOURNAL_LINES_MAX + 1;
    }
    number = number == 0 ? 1 : number;
    found = number <= j->last;
    if (found) {
        *out = j->lines[(number - 1) % HM_JOURNAL_LINES_MAX];
    }
    (void)pthread_mutex_unlock(&j->lock);
    return found;
}
