#include <errno.h>

#include "tests/support/simdisk_disk.h"

/* 0: do it; else the errno. *out_after: what to return when it is done. */
static int gate(struct hm_simdisk *disk, enum hm_simdisk_class class, const char *path,
                int *out_after)
{
    enum hm_simdisk_failure failure;

    *out_after = 0;
    switch (hm_simdisk_gate(disk, class, path, true, &failure)) {
    case HM_SIMDISK_GO:
        return 0;
    case HM_SIMDISK_LAST:
        *out_after = EIO;
        return 0;
    case HM_SIMDISK_BROKEN:
    case HM_SIMDISK_DARK:
    default:
        return disk->last_errno;
    }
}

static struct hm_simdisk_name *there(const struct hm_simdisk *disk, const char *path)
{
    struct hm_simdisk_name *name = hm_simdisk_find(disk, path);

    return name == NULL || name->now == NULL ? NULL : name;
}

int hm_simdisk_make(struct hm_simdisk *disk, const char *path)
{
    int after;
    int err = gate(disk, HM_SIMDISK_OPEN, path, &after);

    if (err != 0) {
        return err;
    }
    if (there(disk, path) != NULL) {
        hm_simdisk_unlink(disk, there(disk, path));
    }
    (void)hm_simdisk_link(disk, path);
    return after;
}

int hm_simdisk_sync(struct hm_simdisk *disk, const char *path)
{
    struct hm_simdisk_name *name = there(disk, path);
    int after;
    int err = gate(disk, HM_SIMDISK_SYNC, path, &after);

    if (err != 0 && name != NULL && !disk->dark) {
        hm_simdisk_file_drop(name->now);
    }
    if (err != 0 || after != 0) {
        return err != 0 ? err : after;
    }
    if (name == NULL) {
        return ENOENT;
    }
    hm_simdisk_file_sync(name->now);
    hm_simdisk_sync_name(name);
    return 0;
}

int hm_simdisk_rename(struct hm_simdisk *disk, const char *from, const char *to)
{
    int after;
    int err = gate(disk, HM_SIMDISK_DELETE, from, &after);

    if (err != 0) {
        return err;
    }
    if (there(disk, from) == NULL) {
        return ENOENT;
    }
    hm_simdisk_move(disk, from, to);
    return after;
}

int hm_simdisk_remove(struct hm_simdisk *disk, const char *path)
{
    int after;
    int err = gate(disk, HM_SIMDISK_DELETE, path, &after);

    if (err != 0) {
        return err;
    }
    if (there(disk, path) == NULL) {
        return ENOENT;
    }
    hm_simdisk_unlink(disk, there(disk, path));
    return after;
}

int hm_simdisk_sync_names(struct hm_simdisk *disk)
{
    int after;
    int err = gate(disk, HM_SIMDISK_SYNC, "", &after);

    if (err == 0 && after == 0) {
        hm_simdisk_sync_folder(disk);
    }
    return err != 0 ? err : after;
}
