/* Words of the made-up commune: Vietnamese names by sex and generation, places, jobs.
 *
 * Lists of common words only; no person's data. All text is NFC, static, and of 1 to 31
 * bytes. Pure. */
#ifndef HM_TESTS_SUPPORT_COMMUNE_WORDS_H
#define HM_TESTS_SUPPORT_COMMUNE_WORDS_H

#include "tests/support/commune_random.h"

/* Weighted as in the region: one in three is a Nguyễn. */
const char *hm_commune_words_surname(struct hm_commune_random *random);
/* sex 1 male, 2 female. A middle name may be of two words. */
const char *hm_commune_words_middle(struct hm_commune_random *random, int sex,
                                    int birth_year);
const char *hm_commune_words_given(struct hm_commune_random *random, int sex,
                                   int birth_year);
/* A place within a hamlet, without the hamlet's name. */
const char *hm_commune_words_place(struct hm_commune_random *random);
/* A choice of the register's question `school`. */
const char *hm_commune_words_school(struct hm_commune_random *random, int age);
/* What somebody of that age and school does; "" for a child below 6. */
const char *hm_commune_words_job(struct hm_commune_random *random, int sex, int age,
                                 const char *school);

#endif
