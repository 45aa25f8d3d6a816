/* The disk under files that are not the store: what storage/log_files.h and facts.h do
 * with it, as an argument, so that a test can let any call fail or cut the power.
 *
 * Paths are whole; blocking; any thread, one at a time per path. */
#ifndef HM_STORAGE_FILES_H
#define HM_STORAGE_FILES_H

#include "protocol/buf.h"

/* A code other than HM_OK ends the listing and is returned. */
typedef int (*hm_files_name_fn)(void *arg, const char *name);

/* Errors of all: HM_NOTFOUND, HM_NOSPACE, HM_DENIED, HM_NOMEM, HM_IO. */
struct hm_files {
    /* Make a folder, mode 0700. HM_OK too when it is there. */
    int (*make_folder)(void *arg, const char *path);
    /* The names in a folder, in no order, without "." and "..". */
    int (*list)(void *arg, const char *folder, hm_files_name_fn fn, void *fn_arg);
    /* Append the content of a file to out. HM_TOOBIG: more than out takes. */
    int (*read)(void *arg, const char *path, struct hm_buf *out);
    /* Put bytes into a file from offset on, which is its length; offset 0 makes it
     * anew, mode 0600. HM_OK: they are on the disk. After an error anything between
     * nothing and all may be there. */
    int (*write)(void *arg, const char *path, uint64_t offset, struct hm_bytes bytes);
    /* Cut a file to its first size bytes. */
    int (*truncate)(void *arg, const char *path, uint64_t size);
    /* Give a file another name in its folder, over what has that name. On the disk only
     * after sync_folder(), as what remove() and write() at 0 do to names. */
    int (*rename)(void *arg, const char *from, const char *to);
    int (*remove)(void *arg, const char *path);
    int (*sync_folder)(void *arg, const char *folder);
    void *arg;
};

/* The machine's own. Static. */
const struct hm_files *hm_files_disk(void);

/* Write folder/name so that it has the old content or the new one, whatever happens, by
 * way of folder/name.tmp. Errors: as hm_files; HM_TOOBIG (the path). */
int hm_files_replace(const struct hm_files *files, const char *folder, const char *name,
                     struct hm_bytes bytes) HM_MUST_USE;

enum { HM_FILES_PATH_MAX = 4096 };
/* folder/name. Errors: HM_TOOBIG. */
int hm_files_join(char out[HM_FILES_PATH_MAX], const char *folder,
                  const char *name) HM_MUST_USE;

#endif
