/* The two local sides of an import: the first line renamed before the file is sent, and
 * the rejected records written out after the answer.
 *
 * Blocks on files. One thread. */
#ifndef HM_DAEMON_CLI_CLI_IMPORT_H
#define HM_DAEMON_CLI_CLI_IMPORT_H

#include <jansson.h>
#include <stdio.h>

#include "protocol/buf.h"

/* Read "column = field" lines; blank ones and those that begin with # are skipped.
 * *out_map is an object owned by the caller. text (one line, size bytes) says what is
 * wrong on error.
 *
 * Errors: HM_IO, HM_NOMEM, HM_MALFORMED (a line is not of that form, not UTF-8, or
 * names a column again) */
int hm_cli_import_read_map(const char *path, json_t **out_map, char *text,
                           size_t size) HM_MUST_USE;

/* Read the first line of file and append it to head with its columns renamed by map,
 * and with line ends so that the lines behind it keep their numbers. file then stands
 * behind it. text as above.
 *
 * Errors: HM_IO, HM_NOMEM, HM_TOOBIG, HM_NOTFOUND (the file is empty, or has no column
 * that map names) */
int hm_cli_import_rename(FILE *file, const json_t *map, struct hm_buf *head, char *text,
                         size_t size) HM_MUST_USE;

/* FILE.rejected.csv for FILE.csv; owned by the caller, NULL when memory is short. */
char *hm_cli_import_rejected_name(const char *path);

/* Copy the first line of in and the records that rejected ([{line, reason}]) names to
 * out, as they are, each with its reason in a last column hamlet_reason. A column of
 * that name at the end of in is replaced.
 *
 * Errors: HM_IO, HM_NOMEM, HM_TOOBIG (a record is too long), HM_NOTFOUND (in is empty)
 */
int hm_cli_import_copy_rejected(FILE *in, const json_t *rejected,
                                FILE *out) HM_MUST_USE;

#endif
