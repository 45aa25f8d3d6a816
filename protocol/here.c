#include "protocol/here.h"

#include "protocol/guard.h"
#include "protocol/pack.h"

enum { ITEM_BYTES_MAX = 64 * 1024 };

static void write_item(struct hm_buf *buf, enum hm_frame_type type, struct hm_buf *item)
{
    if (item->err != HM_OK) {
        buf->err = buf->err == HM_OK ? item->err : buf->err;
    } else {
        hm_frame_write(buf, type, hm_buf_bytes(item));
    }
    hm_buf_deinit(item);
}

static int open_item(struct hm_bytes payload, struct hm_reader *r)
{
    *r = (struct hm_reader){.left = payload};
    return hm_guard_check(payload);
}

void hm_here_write(struct hm_buf *buf, const struct hm_here *here)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 4);
    hm_pack_uint(&item, here->opening);
    hm_pack_uint(&item, here->number);
    hm_pack_uint(&item, here->alarms);
    hm_pack_array(&item, here->lost_count);
    for (size_t i = 0; i < here->lost_count; i++) {
        hm_pack_array(&item, 3);
        hm_pack_uint(&item, here->lost[i].incarnation);
        hm_pack_uint(&item, here->lost[i].device);
        hm_pack_uint(&item, here->lost[i].entries);
    }
    write_item(buf, HM_FRAME_HERE, &item);
}

int hm_here_read(struct hm_bytes payload, struct hm_arena *arena, struct hm_here *out)
{
    struct hm_here here = {0};
    struct hm_lost_log *lost;
    struct hm_reader r;
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, 4);
    here.opening = hm_unpack_uint(&r);
    here.number = hm_unpack_uint(&r);
    here.alarms = hm_unpack_uint(&r);
    here.lost_count = hm_unpack_array(&r, HM_HERE_LOST_MAX);
    lost = hm_arena_array(arena, here.lost_count, sizeof *lost);
    if (lost == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < here.lost_count && r.err == HM_OK; i++) {
        hm_unpack_array_exact(&r, 3);
        lost[i].incarnation = hm_unpack_uint(&r);
        lost[i].device = hm_unpack_uint(&r);
        lost[i].entries = hm_unpack_uint_max(&r, INT64_MAX);
    }
    here.lost = lost;
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = here;
    }
    return err;
}

void hm_told_alarms_write(struct hm_buf *buf, const struct hm_told_alarm *alarms,
                          size_t count)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, count);
    for (size_t i = 0; i < count; i++) {
        hm_pack_array(&item, 4);
        hm_pack_uint(&item, (uint64_t)alarms[i].kind);
        hm_pack_uint(&item, alarms[i].event);
        hm_pack_int(&item, alarms[i].since_utc_ms);
        hm_pack_uint(&item, alarms[i].count);
    }
    write_item(buf, HM_FRAME_ALARMS, &item);
}

int hm_told_alarms_read(struct hm_bytes payload, struct hm_arena *arena,
                        struct hm_told_alarm **out_alarms, size_t *out_count)
{
    struct hm_told_alarm *alarms;
    struct hm_reader r;
    size_t count;
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    count = hm_unpack_array(&r, HM_TOLD_ALARMS_MAX);
    alarms = hm_arena_array(arena, count, sizeof *alarms);
    if (alarms == NULL) {
        return HM_NOMEM;
    }
    for (size_t i = 0; i < count && r.err == HM_OK; i++) {
        hm_unpack_array_exact(&r, 4);
        alarms[i].kind = (enum hm_alarm_kind)hm_unpack_uint_max(&r, INT16_MAX);
        alarms[i].event = hm_unpack_uint(&r);
        alarms[i].since_utc_ms = hm_unpack_int(&r);
        alarms[i].count = hm_unpack_uint_max(&r, INT64_MAX);
    }
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out_alarms = alarms;
        *out_count = count;
    }
    return err;
}

void hm_fork_write(struct hm_buf *buf, const struct hm_fork *fork)
{
    struct hm_buf item;

    hm_buf_init(&item, ITEM_BYTES_MAX);
    hm_pack_array(&item, 2);
    hm_pack_uint(&item, fork->incarnation);
    hm_pack_uint(&item, fork->common);
    write_item(buf, HM_FRAME_FORK, &item);
}

int hm_fork_read(struct hm_bytes payload, struct hm_fork *out)
{
    struct hm_fork fork = {0};
    struct hm_reader r;
    int err = open_item(payload, &r);

    if (err != HM_OK) {
        return err;
    }
    hm_unpack_array_exact(&r, 2);
    fork.incarnation = hm_unpack_uint(&r);
    fork.common = hm_unpack_uint_max(&r, INT64_MAX);
    err = hm_unpack_end(&r);
    if (err == HM_OK) {
        *out = fork;
    }
    return err;
}
