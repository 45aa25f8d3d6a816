/* A file that appears whole or not at all: written beside its place, synced, renamed.
 *
 * Blocks on the disk. One thread per file. */
#ifndef HM_DAEMON_CLI_CLI_FILE_H
#define HM_DAEMON_CLI_CLI_FILE_H

#include <stdio.h>

#include "protocol/err.h"

/* Zeroed: nothing is open. */
struct hm_cli_file {
    FILE *file;
    char *path;      /* where it will appear */
    char *temporary; /* path with ".tmp" behind it; gone after commit or abort */
};

/* Start writing path. On error nothing is open and errno says why.
 *
 * Errors:
 *   HM_IO      it cannot be made
 *   HM_EXISTS  something that is no plain file is in its place
 *   HM_NOMEM */
int hm_cli_file_open(struct hm_cli_file *to, const char *path) HM_MUST_USE;

/* Make it appear, in place of an older one. Closes in any case; on error (HM_IO, errno
 * says why) the older one is unchanged and the temporary is removed. */
int hm_cli_file_commit(struct hm_cli_file *to) HM_MUST_USE;

/* Give up: close and remove the temporary. A zeroed or committed one is allowed. */
void hm_cli_file_abort(struct hm_cli_file *to);

#endif
