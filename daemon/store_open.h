/* A node's store with the real world behind it: its keys, the machine's clock and
 * randomness. Blocking; the store belongs to the thread that opened it. */
#ifndef HM_DAEMON_STORE_OPEN_H
#define HM_DAEMON_STORE_OPEN_H

#include "daemon/node_files.h"
#include "storage/store.h"

/* Of the program: "0.1.0". Static. */
const char *hm_store_open_version(void);

/* How to open it; path and keys are borrowed as long as out is used. */
void hm_store_open_options(const char *path, const struct hm_node_keys *keys,
                           bool read_only, struct hm_store_options *out);

/* keys is borrowed for the call. Errors: as hm_store_open(). */
int hm_store_open_node(const char *path, const struct hm_node_keys *keys,
                       bool read_only, struct hm_store **out_store) HM_MUST_USE;

#endif
