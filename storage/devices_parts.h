/* What the files of storage/devices.h share. Not for others. */
#ifndef HM_STORAGE_DEVICES_PARTS_H
#define HM_STORAGE_DEVICES_PARTS_H

#include "storage/devices.h"

/* Scopes as a value of a body. Reading: in arena, NULL with r->err set on error. */
void hm_devices_write_scopes(struct hm_buf *buf, unsigned key, const uint32_t *scopes,
                             size_t count);
const uint32_t *hm_devices_read_scopes(struct hm_reader *r, struct hm_arena *arena,
                                       size_t *out_count);
/* A hm_body_read_fn: out is a struct hm_device. */
int hm_devices_read_item(const struct hm_admin_item *item, struct hm_arena *arena,
                         void *out) HM_MUST_USE;
void hm_devices_write_body(const struct hm_device *device, struct hm_buf *buf);
/* Ascending, each once, each a unit that is there. Errors: HM_INVALID; HM_TOOBIG. */
int hm_devices_sort_scopes(struct hm_store *s, const uint32_t *scopes, size_t count,
                           struct hm_arena *arena, uint32_t **out_scopes,
                           size_t *out_count) HM_MUST_USE;

#endif
