#include "tests/support/simfiles.h"

#include <stdio.h>

#include "tests/support/test.h"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

static struct hm_simfiles_name *find_name(struct hm_simfiles *sim, const char *path)
{
    for (unsigned i = 0; i < sim->name_count; i++) {
        if (strcmp(sim->names[i].path, path) == 0) {
            return &sim->names[i];
        }
    }
    return NULL;
}

static struct hm_simfiles_name *want_name(struct hm_simfiles *sim, const char *path)
{
    struct hm_simfiles_name *name = find_name(sim, path);

    if (name == NULL) {
        assert_true(sim->name_count < HM_SIMFILES_MAX);
        name = &sim->names[sim->name_count++];
        (void)snprintf(name->path, sizeof name->path, "%s", path);
        name->cache = -1;
        name->disk = -1;
    }
    return name;
}

/* An inode that no name leads to any more, emptied. */
static int new_inode(struct hm_simfiles *sim)
{
    for (unsigned i = 0; i < HM_SIMFILES_MAX; i++) {
        bool used = false;

        for (unsigned k = 0; k < sim->name_count; k++) {
            used =
                used || sim->names[k].cache == (int)i || sim->names[k].disk == (int)i;
        }
        if (!used) {
            hm_buf_clear(&sim->inodes[i].cache);
            hm_buf_clear(&sim->inodes[i].disk);
            return (int)i;
        }
    }
    fail_msg("%s", "too many files");
    return -1;
}

static void copy(struct hm_buf *to, const struct hm_buf *from)
{
    hm_buf_clear(to);
    hm_buf_append(to, hm_buf_bytes(from));
    CHECK_OK(to->err);
}

/* What becomes of a call that changes something: HM_OK, or it fails with this harm. */
static int enter(struct hm_simfiles *sim, enum hm_simfiles_harm *out_harm)
{
    *out_harm = HM_HARM_DONE;
    if (sim->off) {
        *out_harm = HM_HARM_NOTHING;
        return HM_IO;
    }
    if (++sim->calls != sim->fail_at) {
        return HM_OK;
    }
    *out_harm = sim->harm;
    sim->off = sim->cuts;
    return sim->err;
}

static int sim_make_folder(void *arg, const char *path)
{
    (void)path; /* folders are only prefixes */
    return ((struct hm_simfiles *)arg)->off ? HM_IO : HM_OK;
}

static int sim_list(void *arg, const char *folder, hm_files_name_fn fn, void *fn_arg)
{
    struct hm_simfiles *sim = arg;
    size_t len = strlen(folder);
    int err = sim->off ? HM_IO : sim->reads_fail ? sim->err : HM_OK;

    for (unsigned i = 0; i < sim->name_count && err == HM_OK; i++) {
        const char *path = sim->names[i].path;

        if (sim->names[i].cache >= 0 && strncmp(path, folder, len) == 0 &&
            path[len] == '/' && strchr(path + len + 1, '/') == NULL) {
            err = fn(fn_arg, path + len + 1);
        }
    }
    return err;
}

static int sim_read(void *arg, const char *path, struct hm_buf *out)
{
    struct hm_simfiles *sim = arg;
    struct hm_buf *content = hm_simfiles_find(sim, path);

    if (sim->off || sim->reads_fail) {
        return sim->off ? HM_IO : sim->err;
    }
    if (content == NULL) {
        return HM_NOTFOUND;
    }
    hm_buf_append(out, hm_buf_bytes(content));
    return out->err;
}

static int sim_write(void *arg, const char *path, uint64_t offset,
                     struct hm_bytes bytes)
{
    struct hm_simfiles *sim = arg;
    struct hm_simfiles_name *name = want_name(sim, path);
    enum hm_simfiles_harm harm;
    struct hm_simfile *file;
    int err = enter(sim, &harm);

    if (harm == HM_HARM_NOTHING) {
        return err;
    }
    if (offset == 0) {
        name->cache = new_inode(sim);
    }
    if (name->cache < 0) {
        return HM_NOTFOUND;
    }
    file = &sim->inodes[name->cache];
    assert_true(offset <= file->cache.len); /* a hole is a bug of the caller */
    file->cache.len = (size_t)offset;
    bytes.len = harm == HM_HARM_TORN ? bytes.len / 2 : bytes.len;
    hm_buf_append(&file->cache, bytes);
    CHECK_OK(file->cache.err);
    if (harm != HM_HARM_CACHED) {
        copy(&file->disk, &file->cache);
    }
    return err;
}

static int sim_truncate(void *arg, const char *path, uint64_t size)
{
    struct hm_simfiles *sim = arg;
    struct hm_buf *content = hm_simfiles_find(sim, path);
    enum hm_simfiles_harm harm;
    int err = enter(sim, &harm);

    if (content == NULL) {
        return HM_NOTFOUND;
    }
    if (harm >= HM_HARM_DONE && size < content->len) {
        content->len = (size_t)size; /* the disk follows with the next write */
    }
    return err;
}

static int sim_rename(void *arg, const char *from, const char *to)
{
    struct hm_simfiles *sim = arg;
    struct hm_simfiles_name *target = want_name(sim, to);
    struct hm_simfiles_name *source = find_name(sim, from);
    enum hm_simfiles_harm harm;
    int err = enter(sim, &harm);

    if (source == NULL || source->cache < 0) {
        return HM_NOTFOUND;
    }
    if (harm >= HM_HARM_DONE) {
        target->cache = source->cache;
        source->cache = -1;
    }
    return err;
}

static int sim_remove(void *arg, const char *path)
{
    struct hm_simfiles *sim = arg;
    struct hm_simfiles_name *name = find_name(sim, path);
    enum hm_simfiles_harm harm;
    int err = enter(sim, &harm);

    if (name == NULL || name->cache < 0) {
        return HM_NOTFOUND;
    }
    if (harm >= HM_HARM_DONE) {
        name->cache = -1;
    }
    return err;
}

static int sim_sync_folder(void *arg, const char *folder)
{
    struct hm_simfiles *sim = arg;
    size_t len = strlen(folder);
    enum hm_simfiles_harm harm;
    int err = enter(sim, &harm);

    for (unsigned i = 0; i < sim->name_count && harm == HM_HARM_DONE; i++) {
        if (strncmp(sim->names[i].path, folder, len) == 0) {
            sim->names[i].disk = sim->names[i].cache;
        }
    }
    return err;
}

void hm_simfiles_open(struct hm_simfiles *sim)
{
    *sim = (struct hm_simfiles){.files = {.make_folder = sim_make_folder,
                                          .list = sim_list,
                                          .read = sim_read,
                                          .write = sim_write,
                                          .truncate = sim_truncate,
                                          .rename = sim_rename,
                                          .remove = sim_remove,
                                          .sync_folder = sim_sync_folder,
                                          .arg = sim},
                                .err = HM_IO};
    for (unsigned i = 0; i < HM_SIMFILES_MAX; i++) {
        hm_buf_init(&sim->inodes[i].cache, FILE_BYTES_MAX);
        hm_buf_init(&sim->inodes[i].disk, FILE_BYTES_MAX);
    }
}

void hm_simfiles_close(struct hm_simfiles *sim)
{
    for (unsigned i = 0; i < HM_SIMFILES_MAX; i++) {
        hm_buf_deinit(&sim->inodes[i].cache);
        hm_buf_deinit(&sim->inodes[i].disk);
    }
}

void hm_simfiles_power_on(struct hm_simfiles *sim, bool names_survive)
{
    sim->off = false;
    sim->fail_at = 0;
    for (unsigned i = 0; i < sim->name_count; i++) {
        if (names_survive) {
            sim->names[i].disk = sim->names[i].cache;
        }
        sim->names[i].cache = sim->names[i].disk;
    }
    for (unsigned i = 0; i < HM_SIMFILES_MAX; i++) {
        copy(&sim->inodes[i].cache, &sim->inodes[i].disk);
    }
}

struct hm_buf *hm_simfiles_find(struct hm_simfiles *sim, const char *path)
{
    struct hm_simfiles_name *name = find_name(sim, path);

    return name == NULL || name->cache < 0 ? NULL : &sim->inodes[name->cache].cache;
}

unsigned hm_simfiles_count(const struct hm_simfiles *sim, const char *suffix)
{
    unsigned count = 0;

    for (unsigned i = 0; i < sim->name_count; i++) {
        size_t len = strlen(sim->names[i].path);

        count += sim->names[i].cache >= 0 && len >= strlen(suffix) &&
                 strcmp(sim->names[i].path + len - strlen(suffix), suffix) == 0;
    }
    return count;
}
