/* SQLite leaves the last bytes of each page to us: a sum over the rest, set when a page
 * is written to the store's file and checked whenever it is read. The WAL has sums of
 * its own. */
#include "storage/db_sqlite.h"

#include <string.h>

#include <sodium.h>

enum {
    PAGE_BYTES = 4096,
    HEADER_BYTES = 100, /* of the file, which SQLite also reads without its page */
    SUM_BYTES = HM_DB_SQLITE_SUM_BYTES,
    SUMMED_BYTES = PAGE_BYTES - SUM_BYTES
};

_Static_assert((int)SUM_BYTES == (int)crypto_shorthash_BYTES, "the sum is a SipHash");

static const struct hm_db_sqlite_sums *sums_of(sqlite3_file *file)
{
    return (const struct hm_db_sqlite_sums *)file->pMethods; /* its first member */
}

/* The page's place is in the sum: a page written to another one's place is damage. */
static void sum(const uint8_t *page, sqlite3_int64 offset, uint8_t out[SUM_BYTES])
{
    unsigned char key[crypto_shorthash_KEYBYTES] = {0};

    for (unsigned i = 0; i < sizeof(uint64_t); i++) {
        key[i] = (uint8_t)((uint64_t)(offset / PAGE_BYTES) >> (8 * i));
    }
    (void)crypto_shorthash(out, page, SUMMED_BYTES, key); /* cannot fail */
}

static bool is_page(int len, sqlite3_int64 offset)
{
    return len == PAGE_BYTES && offset % PAGE_BYTES == 0;
}

static int read_page(sqlite3_file *file, void *out, int len, sqlite3_int64 offset)
{
    uint8_t expected[SUM_BYTES];
    int rc = sums_of(file)->real->xRead(file, out, len, offset);

    if (len <= HEADER_BYTES || (rc == SQLITE_IOERR_SHORT_READ && offset == 0)) {
        return rc; /* parts of the header; the first page of an empty file */
    }
    if (!is_page(len, offset)) {
        return SQLITE_IOERR_DATA; /* the header says another size of pages */
    }
    if (rc == SQLITE_IOERR_SHORT_READ) {
        return SQLITE_IOERR_DATA; /* SQLite would take what is missing for zeros */
    }
    if (rc == SQLITE_OK) {
        sum(out, offset, expected);
        if (memcmp((const uint8_t *)out + SUMMED_BYTES, expected, SUM_BYTES) != 0) {
            return SQLITE_IOERR_DATA;
        }
    }
    return rc;
}

static int write_page(sqlite3_file *file, const void *bytes, int len,
                      sqlite3_int64 offset)
{
    const sqlite3_io_methods *real = sums_of(file)->real;
    uint8_t page[PAGE_BYTES];

    if (!is_page(len, offset)) {
        return real->xWrite(file, bytes, len, offset);
    }
    memcpy(page, bytes, SUMMED_BYTES);
    sum(page, offset, page + SUMMED_BYTES);
    return real->xWrite(file, page, len, offset);
}

int hm_db_sqlite_sum(sqlite3 *sqlite, struct hm_db_sqlite_sums *sums)
{
    sqlite3_file *file = NULL;
    int reserve = SUM_BYTES;
    int rc = sqlite3_file_control(sqlite, "main", SQLITE_FCNTL_FILE_POINTER, &file);

    if (rc == SQLITE_OK) { /* of a new file; one that is there has what it has */
        rc = sqlite3_file_control(sqlite, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    sums->real = file->pMethods;
    sums->methods = *file->pMethods;
    sums->methods.iVersion = 2; /* no mapped memory, which would go by the sums */
    sums->methods.xRead = read_page;
    sums->methods.xWrite = write_page;
    file->pMethods = &sums->methods;
    return SQLITE_OK;
}
