/* A CSV file, record by record, with the line on which each begins.
 *
 * Separator comma or semicolon, whichever the first line has more of outside of quotes;
 * a byte order mark is skipped; lines end with LF, CRLF or CR; quoted fields may hold
 * line breaks. Blanks around a field are dropped, text is brought to NFC.
 *
 * Never blocks; allocates. One thread. */
#ifndef HM_DAEMON_SERVE_CSV_IN_H
#define HM_DAEMON_SERVE_CSV_IN_H

#include "protocol/arena.h"
#include "protocol/bytes.h"

enum {
    HM_CSV_IN_FIELDS_MAX = 2000,
    HM_CSV_IN_RECORD_BYTES_MAX = 256 * 1024 /* what is longer is not a record */
};

struct hm_csv_record {
    uint64_t line;           /* of its first byte; the file's first line is 1 */
    struct hm_bytes *fields; /* NUL-terminated; in the arena of the call */
    size_t count;
    const char *wrong; /* NULL, or why it cannot be read; static */
};

struct hm_csv_in;

/* bytes are borrowed until close. Errors: HM_NOMEM. */
int hm_csv_in_open(struct hm_bytes bytes, struct hm_csv_in **out_csv) HM_MUST_USE;
void hm_csv_in_close(struct hm_csv_in *csv);
/* The next record that is not blank; *out_found false: there is none.
 * Errors: HM_NOMEM. */
int hm_csv_in_next(struct hm_csv_in *csv, struct hm_arena *arena,
                   struct hm_csv_record *out, bool *out_found) HM_MUST_USE;

#endif
