/* Publishing a programme: a folder of data makes an empty node a centre
 * (docs/programmes.md).
 *
 * Blocking, some seconds; thread as the store. */
#ifndef HM_DAEMON_PROGRAMME_H
#define HM_DAEMON_PROGRAMME_H

#include "storage/store.h"

enum { HM_PROGRAMME_FILE_BYTES_MAX = 8 * 1024 * 1024 };

/* folder: a path, or the name of a bundled programme. Appends the path.
 * Errors: HM_NOTFOUND. */
int hm_programme_find(const char *folder, struct hm_buf *out_path) HM_MUST_USE;

/* Roles, units and forms of the folder become items, in a transaction of the caller;
 * the store is a centre's. Publishing again changes what has changed. errmsg gets one
 * line that names the file.
 * Errors: HM_NOTFOUND (a file is missing); HM_INVALID (a file with faults); the
 * store's. */
int hm_programme_publish(struct hm_store *s, const char *folder,
                         struct hm_buf *errmsg) HM_MUST_USE;

#endif
