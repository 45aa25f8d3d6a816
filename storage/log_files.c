/* Files: which there are, how they grow, what a failure leaves. */
#include "storage/log_files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/facts.h"
#include "storage/log_files_parts.h"

#define SUFFIX ".seg"

enum { NUMBER_DIGITS = 8, BATCH_BYTES_MAX = HM_LOG_FILES_BYTES_MIN };

int hm_log_files_create(const struct hm_log_files_options *options,
                        struct hm_log_files **out)
{
    struct hm_log_files *f = calloc(1, sizeof *f);
    int err;

    if (f == NULL) {
        return HM_NOMEM;
    }
    f->files = options->files;
    f->secret_key = options->secret_key;
    f->device = options->device;
    f->small_max =
        options->small_max == 0 ? HM_LOG_FILES_SMALL_MAX : options->small_max;
    f->blobs_at = -1;
    err = (size_t)snprintf(f->dir, sizeof f->dir, "%s", options->dir) >= sizeof f->dir
              ? HM_TOOBIG
              : hm_files_join(f->folder, options->dir, HM_LOG_FILES_FOLDER);
    if (err != HM_OK) {
        hm_log_files_destroy(f);
        return err;
    }
    *out = f;
    return HM_OK;
}

void hm_log_files_destroy(struct hm_log_files *f)
{
    if (f != NULL) {
        free(f->logs);
        free(f->known);
        free(f);
    }
}

int hm_log_files_path(const struct hm_log_files *f, uint64_t number,
                      char out[HM_FILES_PATH_MAX])
{
    char name[32];

    (void)snprintf(name, sizeof name, "%0*" PRIu64 SUFFIX, NUMBER_DIGITS, number);
    return hm_files_join(out, f->folder, name);
}

/* -- Reading the folder -- */

/* 0 for what is no name of ours. */
static uint64_t number_of(const char *name)
{
    uint64_t number = 0;
    size_t digits = strspn(name, "0123456789");

    if (digits < NUMBER_DIGITS || digits > 18 || strcmp(name + digits, SUFFIX) != 0) {
        return 0;
    }
    for (size_t i = 0; i < digits; i++) {
        number = 10 * number + (uint64_t)(name[i] - '0');
    }
    return number;
}

struct numbers {
    uint64_t *list;
    size_t count;
    size_t room;
};

static int note_name(void *arg, const char *name)
{
    struct numbers *numbers = arg;
    uint64_t number = number_of(name);

    if (number == 0) {
        return HM_OK;
    }
    if (numbers->count == numbers->room) {
        size_t room = 2 * numbers->room + 64;
        uint64_t *list = realloc(numbers->list, room * sizeof *list);

        if (list == NULL) {
            return HM_NOMEM;
        }
        numbers->list = list;
        numbers->room = room;
    }
    numbers->list[numbers->count++] = number;
    return HM_OK;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return (left > right) - (left < right);
}

/* Numbers of the files, ascending; to be freed. */
static int list_numbers(const struct hm_files *files, const char *folder,
                        struct numbers *out)
{
    int err = files->list(files->arg, folder, note_name, out);

    if (out->count > 1) {
        qsort(out->list, out->count, sizeof out->list[0], compare_u64);
    }
    return err == HM_NOTFOUND ? HM_OK : err;
}

struct file_end {
    uint64_t size;
    uint64_t torn;
    unsigned small; /* records of segments */
};

static int each_of_file(const struct hm_files *files, const char *path,
                        hm_log_files_fn fn, void *arg, struct file_end *out)
{
    struct hm_record record;
    struct hm_bytes left;
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_RECORDS_FILE_BYTES_MAX);
    err = files->read(files->arg, path, &buf);
    left = hm_buf_bytes(&buf);
    out->size = left.len;
    while (err == HM_OK && hm_records_next(&left, &record, &out->torn)) {
        out->small += record.kind == HM_RECORD_SEGMENT ? 1 : 0;
        err = fn(arg, &record);
    }
    hm_buf_deinit(&buf);
    return err;
}

static int learn(void *arg, const struct hm_record *record)
{
    return hm_log_files_learn(arg, record);
}

static int scan_file(struct hm_log_files *f, uint64_t number, struct file_end *out_end)
{
    char path[HM_FILES_PATH_MAX];
    int err = hm_log_files_path(f, number, path);

    if (err == HM_OK) {
        err = each_of_file(f->files, path, learn, f, out_end);
    }
    f->stats.files++;
    f->stats.bytes += out_end->size;
    f->stats.torn_bytes += out_end->torn;
    return err;
}

/* Forget a reading that broke off. */
static void forget(struct hm_log_files *f)
{
    f->log_count = 0;
    f->known_count = 0;
    f->known_sorted = 0;
    f->number = 0;
    f->number_max = 0;
    f->stats = (struct hm_log_files_stats){.compactions = f->stats.compactions};
}

static int scan(struct hm_log_files *f)
{
    struct numbers numbers = {0};
    int err = f->files->make_folder(f->files->arg, f->folder);

    forget(f);
    if (err == HM_OK) {
        err = f->files->sync_folder(f->files->arg, f->dir);
    }
    if (err == HM_OK) {
        err = list_numbers(f->files, f->folder, &numbers);
    }
    for (size_t i = 0; i < numbers.count && err == HM_OK; i++) {
        struct file_end end = {0};

        err = scan_file(f, numbers.list[i], &end);
        f->number_max = numbers.list[i];
        /* Behind a torn tail nothing is appended: a new file costs less than doubt. */
        f->number =
            end.torn == 0 && end.size < HM_LOG_FILES_BYTES_MIN ? numbers.list[i] : 0;
        f->size = end.size;
        f->small_records = end.small;
    }
    free(numbers.list);
    hm_log_files_note(f, true);
    f->scanned = err == HM_OK;
    return err;
}

int hm_log_files_each(const struct hm_files *files, const char *dir, hm_log_files_fn fn,
                      void *arg, uint64_t *out_torn)
{
    char folder[HM_FILES_PATH_MAX];
    struct numbers numbers = {0};
    uint64_t torn = 0;
    int err = hm_files_join(folder, dir, HM_LOG_FILES_FOLDER);

    if (err == HM_OK) {
        err = list_numbers(files, folder, &numbers);
    }
    for (size_t i = 0; i < numbers.count && err == HM_OK; i++) {
        struct hm_log_files names = {0};
        char path[HM_FILES_PATH_MAX];
        struct file_end end = {0};

        (void)snprintf(names.folder, sizeof names.folder, "%s", folder);
        err = hm_log_files_path(&names, numbers.list[i], path);
        if (err == HM_OK) {
            err = each_of_file(files, path, fn, arg, &end);
            err = err == HM_NOTFOUND ? HM_OK : err; /* a write that failed was undone */
        }
        torn += end.torn;
    }
    free(numbers.list);
    if (err == HM_OK && out_torn != NULL) {
        *out_torn = torn;
    }
    return err;
}

/* -- Writing -- */

/* Nothing of a write that failed may be taken for filed by a later reading: what the
 * cache shows need not be on the disk. */
static void undo_write(struct hm_log_files *f, const char *path)
{
    int err = f->size == 0 ? f->files->remove(f->files->arg, path)
                           : f->files->truncate(f->files->arg, path, f->size);

    (void)err; /* the records are written again, whatever this says */
    f->stats.files -= f->size == 0 ? 1 : 0;
    f->number = 0; /* into a new file */
}

static int append(struct hm_log_files *f, struct hm_bytes records)
{
    char path[HM_FILES_PATH_MAX];
    bool begins = f->number == 0;
    int err;

    if (begins) {
        f->number = ++f->number_max;
        f->size = 0;
        f->small_records = 0;
        f->stats.files++;
    }
    err = hm_log_files_path(f, f->number, path);
    if (err == HM_OK) {
        err = f->files->write(f->files->arg, path, f->size, records);
    }
    if (err == HM_OK && begins) {
        err = f->files->sync_folder(f->files->arg, f->folder);
    }
    if (err != HM_OK) {
        undo_write(f, path);
        return err;
    }
    f->size += records.len;
    f->stats.bytes += records.len;
    return HM_OK;
}

/* One batch; *out_more false: there was nothing to file. */
static int file_batch(struct hm_log_files *f, struct hm_store *s, bool *out_more)
{
    unsigned records = 0;
    struct hm_buf buf;
    int err;

    hm_buf_init(&buf, HM_RECORDS_FILE_BYTES_MAX / 2);
    err = hm_store_begin_read(s);
    if (err == HM_OK) {
        err = hm_log_files_gather(f, s, BATCH_BYTES_MAX, &buf, &records);
        err = hm_store_end(s, err);
    }
    *out_more = buf.len > 0;
    if (err == HM_OK && buf.len > 0) {
        err = append(f, hm_buf_bytes(&buf));
    }
    hm_log_files_note(f, err == HM_OK);
    hm_buf_deinit(&buf);
    if (err == HM_OK) {
        f->small_records += records;
        if (f->small_records >= f->small_max) {
            err = hm_log_files_compact(f);
        }
        if (f->size >= HM_LOG_FILES_BYTES_MIN) {
            f->number = 0;
        }
    }
    return err;
}

static int file_facts(struct hm_log_files *f, struct hm_store *s)
{
    struct hm_buf buf;
    uint64_t hash = 0;
    int err;

    hm_buf_init(&buf, HM_FACTS_BYTES_MAX);
    err = hm_store_begin_read(s);
    if (err == HM_OK) {
        err = hm_facts_encode(s, &buf);
        err = hm_store_end(s, err);
    }
    if (err == HM_OK) {
        hash = hm_hash_u64(hm_buf_bytes(&buf));
    }
    if (err == HM_OK && hash != f->facts) {
        err = hm_files_replace(f->files, f->dir, HM_FACTS_FILE, hm_buf_bytes(&buf));
        f->facts = err == HM_OK ? hash : 0;
    }
    hm_buf_deinit(&buf);
    return err;
}

int hm_log_files_file(struct hm_log_files *f, struct hm_store *s)
{
    bool more = true;
    int err = f->scanned ? HM_OK : scan(f);

    while (err == HM_OK && more) {
        err = file_batch(f, s, &more);
    }
    return err == HM_OK ? file_facts(f, s) : err;
}

struct hm_log_files_stats hm_log_files_stats(const struct hm_log_files *f)
{
    struct hm_log_files_stats stats = f->stats;

    for (size_t i = 0; i < f->log_count; i++) {
        stats.entries += f->logs[i].entries;
    }
    return stats;
}
