/* Stores for fuzz targets: a village is made once, and every input begins with it as it
 * was. One thread. */
#ifndef HM_TESTS_FUZZ_STORES_H
#define HM_TESTS_FUZZ_STORES_H

#include "tests/support/village.h"

/* Keep v and the bytes of its stores; v is closed. For the life of the process. */
void hm_fuzz_village_keep(struct hm_village *v);
/* Open v again as it was kept. Also after an input that left it open or not. */
void hm_fuzz_village_open(struct hm_village *v);

#endif
