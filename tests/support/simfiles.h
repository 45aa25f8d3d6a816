/* Files in memory, for what takes a struct hm_files: any call can fail, or the power be
 * cut in it. What a cache shows and what is on the disk are kept apart, for content and
 * for names.
 *
 * Failures of the harness itself end the test. One thread. */
#ifndef HM_TESTS_SUPPORT_SIMFILES_H
#define HM_TESTS_SUPPORT_SIMFILES_H

#include "storage/files.h"

enum { HM_SIMFILES_MAX = 64 };

struct hm_simfile {
    struct hm_buf cache; /* what a reading shows */
    struct hm_buf disk;  /* what a power cut leaves */
};

/* What a call that fails, or in which the power goes, has done until then. */
enum hm_simfiles_harm {
    HM_HARM_NOTHING, /* nothing */
    HM_HARM_TORN,    /* of a write, half of it; of others nothing */
    HM_HARM_DONE,    /* all of it */
    HM_HARM_CACHED,  /* all, in the cache alone: a failed fsync */
    HM_HARMS
};

struct hm_simfiles {
    struct hm_files files; /* hand this out */
    struct hm_simfile inodes[HM_SIMFILES_MAX];
    unsigned inode_count;
    struct hm_simfiles_name {
        char path[512];
        int cache; /* inode, -1: none */
        int disk;
    } names[HM_SIMFILES_MAX];
    unsigned name_count;
    unsigned calls;   /* that change something, so far */
    unsigned fail_at; /* this call, 1 .., fails with err; 0: none */
    int err;
    enum hm_simfiles_harm harm;
    bool cuts; /* the power goes in it: every later call fails too */
    bool off;
    bool reads_fail; /* with err */
};

void hm_simfiles_open(struct hm_simfiles *sim);
void hm_simfiles_close(struct hm_simfiles *sim);
/* The power is back: the caches are what the disk has. names_survive: so do the changes
 * of names that no sync_folder() followed. */
void hm_simfiles_power_on(struct hm_simfiles *sim, bool names_survive);
/* The content of a file as it is read now; NULL when there is none. */
struct hm_buf *hm_simfiles_find(struct hm_simfiles *sim, const char *path);
/* How many files there are whose path ends so. */
unsigned hm_simfiles_count(const struct hm_simfiles *sim, const char *suffix);

#endif
