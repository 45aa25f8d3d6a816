/* Text for a terminal: columns that line up, and nothing in it that could steer the
 * terminal. Knows JSON values but no command. Not thread-safe; writes to the given
 * stream. */
#ifndef HM_DAEMON_CLI_CLI_PRINT_H
#define HM_DAEMON_CLI_CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "daemon/cli/cli_args.h"
#include "protocol/buf.h"

enum { HM_CLI_CELL_BYTES_MAX = 64 * 1024 };

/* How many columns of a terminal text takes: 0 for a combining mark, 2 for a wide
 * character, 1 for a byte that is not UTF-8. */
size_t hm_cli_print_width(struct hm_bytes text);

/* Append text with line breaks and tabs as blanks; control characters, marks that turn
 * the direction of writing, and bytes that are not UTF-8 become U+FFFD. */
void hm_cli_print_clean(struct hm_buf *to, struct hm_bytes text);

/* Append a value in words, cleaned: "-" for null, yes or no, lists with commas, objects
 * as JSON. value may be NULL, which is null. */
void hm_cli_print_value(struct hm_buf *to, const json_t *value);

/* The member of object at "a" or "a.b"; NULL when there is none. Borrowed. */
const json_t *hm_cli_print_find(const json_t *object, const char *path);

/* Write a value in words. */
void hm_cli_print_words(FILE *out, const json_t *value);

/* Write text with each {path} replaced by the member of object there, in words. */
void hm_cli_print_fill(FILE *out, const json_t *object, const char *text);

/* The integer at path; 0 when it is not one. */
long long hm_cli_print_int(const json_t *object, const char *path);

/* One line of titles and one for each row of the array, columns two blanks apart and
 * as wide as their widest cell; the last one is not filled up. */
void hm_cli_print_table(FILE *out, const json_t *rows,
                        const struct hm_cli_column *columns);

/* "1 change", "3 changes", "no changes". plural is the word for many. */
void hm_cli_print_count(FILE *out, long long count, const char *singular,
                        const char *plural);

/* Bytes for people: "831 B", "12.4 kB", "3.1 MB". to holds 32 bytes. Returns to. */
const char *hm_cli_print_bytes(char *to, long long bytes);

#endif
