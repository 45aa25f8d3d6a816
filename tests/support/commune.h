/* A made-up commune: households as the register sees them, for tests and samples.
 *
 * Every household is a function of (seed, index): couples, children, grandparents with
 * ages that fit, Vietnamese names, personal numbers by the rule of the real ones,
 * answers that are missing as often as in a village, and a few families that stand in
 * the list twice. All text is NFC. No person's data went into it; numbers are random.
 *
 * Knows nothing of units, files or the clock: ages are counted to HM_COMMUNE_YEAR.
 * Pure, any thread. */
#ifndef HM_TESTS_SUPPORT_COMMUNE_H
#define HM_TESTS_SUPPORT_COMMUNE_H

#include <stddef.h>
#include <stdint.h>

enum {
    HM_COMMUNE_YEAR = 2026,
    HM_COMMUNE_MEMBERS_MAX = 12,
    HM_COMMUNE_NAME_BYTES = 64,
    HM_COMMUNE_TEXT_BYTES = 96
};

/* Texts are as the register's form writes them; "" and 0 are missing answers. */
struct hm_commune_member {
    char name[HM_COMMUNE_NAME_BYTES]; /* never missing */
    int sex;                          /* 1 male, 2 female */
    int birth_year;
    char birth_date[11]; /* in birth_year, before September of HM_COMMUNE_YEAR */
    char id_number[13];  /* fits sex and birth_year where they are known */
    const char *relation;
    const char *ethnic;
    const char *school;
    const char *job;
    const char *health_insurance;
    const char *disability;
    const char *note;
};

struct hm_commune_household {
    char head_name[HM_COMMUNE_NAME_BYTES]; /* the name of members[0] */
    char phone[12];
    char address[HM_COMMUNE_TEXT_BYTES];
    const char *ethnic;
    char house_number[16];
    const char *note;
    int64_t duplicate_of; /* index of the same family, lower than its own; -1: none */
    size_t member_count;  /* 1 .. 9; members[0] is the head */
    struct hm_commune_member members[HM_COMMUNE_MEMBERS_MAX];
};

/* Same arguments, same bytes. Personal numbers differ within the first 80,000
 * households of a seed, but for those of a duplicate. Allocates a little for some
 * duplicates; without memory for it their names keep their marks. */
void hm_commune_household(uint64_t seed, uint64_t index,
                          struct hm_commune_household *out_household);

#endif
