#include "daemon/restore_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/config.h"
#include "daemon/serve/sealed.h"

enum { KEY_BYTES_MAX = 64 * 1024, ENTRIES_MAX = 64 };

/* Without these no node can be started. */
static const struct {
    const char *name;
    uint64_t bytes_max; /* 0: as large as the backup's file */
} needed[] = {
    {"store.db", 0},
    {"keys/sign.key", KEY_BYTES_MAX},
    {"keys/box.key", KEY_BYTES_MAX},
    {"keys/tls.key", KEY_BYTES_MAX},
    {"keys/tls.crt", KEY_BYTES_MAX},
    {"hamletd.conf", HM_CONFIG_BYTES_MAX},
    {"api-token", KEY_BYTES_MAX},
};

enum { NEEDED = sizeof needed / sizeof needed[0] };

struct reading {
    struct hm_sealed *sealed;
    struct archive *tar;
    const struct hm_restore_sink *sink;
    struct hm_buf *errmsg;
    uint64_t file_bytes;
    int err; /* of hm_sealed_next(), inside of libarchive */
    char names[ENTRIES_MAX][HM_RESTORE_NAME_MAX];
    size_t count;
};

static int fail(struct reading *r, int err, const char *what, const char *name)
{
    if (r->errmsg->len == 0) {
        hm_buf_printf(r->errmsg, "%s%s%s", name, name[0] == 0 ? "" : ": ", what);
    }
    return err;
}

/* In words of what a person can do about it. */
static int fail_read(struct reading *r, int err)
{
    switch (err) {
    case HM_DENIED:
        return fail(r, err, "not the backup's passphrase, or the file was changed", "");
    case HM_TRUNCATED:
        return fail(r, err, "the backup is cut short", "");
    case HM_MALFORMED:
        return fail(r, err, "this is not a backup of a node", "");
    default:
        return fail(r, err, hm_err_text(err), "");
    }
}

static la_ssize_t on_read(struct archive *tar, void *arg, const void **out)
{
    struct reading *r = arg;
    struct hm_bytes piece = {0};

    r->err = hm_sealed_next(r->sealed, &piece);
    if (r->err != HM_OK) {
        archive_set_error(tar, EIO, "%s", hm_err_text(r->err));
        return -1;
    }
    *out = piece.data;
    return (la_ssize_t)piece.len;
}

static int fail_tar(struct reading *r)
{
    const char *text = archive_error_string(r->tar);

    if (r->err != HM_OK) {
        return fail_read(r, r->err);
    }
    return text != NULL && strstr(text, "runcated") != NULL
               ? fail_read(r, HM_TRUNCATED)
               : fail_read(r, HM_MALFORMED);
}

static bool is_plain(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t len = strlen(name);

    return len > 0 && name[0] != '.' && strspn(name, letters) == len;
}

/* 0: not a name that a backup has. */
static uint64_t bytes_max_of(const struct reading *r, const char *name)
{
    for (size_t i = 0; i < NEEDED; i++) {
        if (strcmp(name, needed[i].name) == 0) {
            return needed[i].bytes_max == 0 ? r->file_bytes : needed[i].bytes_max;
        }
    }
    /* What somebody has put beside the keys comes along. */
    return strncmp(name, "keys/", 5) == 0 && is_plain(name + 5) ? KEY_BYTES_MAX : 0;
}

static bool seen(const struct reading *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int check_entry(struct reading *r, struct archive_entry *entry,
                       struct hm_restore_entry *out)
{
    const char *name = archive_entry_pathname(entry);
    int64_t bytes = archive_entry_size(entry);

    if (name == NULL || strlen(name) >= sizeof out->name ||
        bytes_max_of(r, name) == 0) {
        return fail(r, HM_MALFORMED, "the backup holds a file that no backup has", "");
    }
    if (archive_entry_filetype(entry) != AE_IFREG ||
        archive_entry_hardlink(entry) != NULL || archive_entry_symlink(entry) != NULL ||
        archive_entry_sparse_count(entry) > 0) {
        return fail(r, HM_MALFORMED, "not a plain file in the backup", name);
    }
    if (!archive_entry_size_is_set(entry) || bytes < 0 ||
        (uint64_t)bytes > bytes_max_of(r, name)) {
        return fail(r, HM_TOOBIG, "larger in the backup than it can be", name);
    }
    if (seen(r, name) || r->count == ENTRIES_MAX) {
        return fail(r, HM_MALFORMED, "twice in the backup, or too many files", name);
    }
    *out = (struct hm_restore_entry){.bytes = (uint64_t)bytes,
                                     .made_utc_ms =
                                         (int64_t)archive_entry_mtime(entry) * 1000};
    (void)strcpy(out->name, name);
    (void)strcpy(r->names[r->count++], name);
    return HM_OK;
}

static int read_content(struct reading *r, const struct hm_restore_entry *entry)
{
    uint64_t done = 0;
    int err = HM_OK;

    while (err == HM_OK) {
        const void *block = NULL;
        la_int64_t offset = 0;
        size_t len = 0;
        int got = archive_read_data_block(r->tar, &block, &len, &offset);

        if (got == ARCHIVE_EOF) {
            break;
        }
        if (got != ARCHIVE_OK) {
            return fail_tar(r);
        }
        if ((uint64_t)offset != done || len > entry->bytes - done) {
            return fail(r, HM_MALFORMED, "has holes in the backup", entry->name);
        }
        done += len;
        if (r->sink->content != NULL && len > 0) {
            err = r->sink->content(r->sink->arg, hm_bytes_of(block, len));
        }
    }
    if (err == HM_OK && done != entry->bytes) {
        err = fail_read(r, HM_TRUNCATED);
    }
    return err;
}

static int read_entry(struct reading *r, struct archive_entry *found)
{
    struct hm_restore_entry entry;
    int err = check_entry(r, found, &entry);

    if (err == HM_OK && r->sink->begin != NULL) {
        err = r->sink->begin(r->sink->arg, &entry);
    }
    if (err == HM_OK) {
        err = read_content(r, &entry);
    }
    if (err == HM_OK && r->sink->end != NULL) {
        err = r->sink->end(r->sink->arg);
    }
    return err;
}

static int read_entries(struct reading *r)
{
    struct archive_entry *entry = NULL;
    int got = ARCHIVE_OK;
    int err = HM_OK;

    while (err == HM_OK &&
           (got = archive_read_next_header(r->tar, &entry)) == ARCHIVE_OK) {
        err = read_entry(r, entry);
    }
    if (err == HM_OK && got != ARCHIVE_EOF) {
        err = fail_tar(r);
    }
    for (size_t i = 0; i < NEEDED && err == HM_OK; i++) {
        if (!seen(r, needed[i].name)) {
            err = fail(r, r->count == 0 ? HM_MALFORMED : HM_TRUNCATED,
                       r->count == 0 ? "this is not a backup of a node"
                                     : "missing in the backup, which is cut short",
                       r->count == 0 ? "" : needed[i].name);
        }
    }
    return err;
}

/* Behind the archive's end there is nothing but its own padding; a sealed file is read
 * to its last chunk, which says that nothing is missing. */
static int read_rest(struct reading *r)
{
    struct hm_bytes piece = {0};
    int err = HM_OK;

    do {
        err = hm_sealed_next(r->sealed, &piece);
    } while (err == HM_OK && piece.len > 0);
    return err == HM_OK ? HM_OK : fail_read(r, err);
}

int hm_restore_archive_read(int fd, uint64_t file_bytes, struct hm_bytes passphrase,
                            const struct hm_restore_sink *sink, struct hm_buf *errmsg)
{
    struct reading r = {.sink = sink, .errmsg = errmsg, .file_bytes = file_bytes};
    int err = hm_sealed_open(fd, passphrase, &r.sealed);

    if (err != HM_OK) {
        return fail_read(&r, err);
    }
    r.tar = archive_read_new();
    if (r.tar == NULL) {
        err = HM_NOMEM;
    } else if (archive_read_support_format_tar(r.tar) != ARCHIVE_OK ||
               archive_read_open(r.tar, &r, NULL, on_read, NULL) != ARCHIVE_OK) {
        err = fail_tar(&r);
    }
    if (err == HM_OK) {
        err = read_entries(&r);
    }
    if (err == HM_OK) {
        err = read_rest(&r);
    }
    if (r.tar != NULL) {
        (void)archive_read_free(r.tar); /* an error was returned before */
    }
    hm_sealed_destroy(r.sealed);
    return err;
}
