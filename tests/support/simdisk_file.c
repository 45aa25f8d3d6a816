#include "tests/support/simdisk_file.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/err.h"
#include "tests/fault/loop.h"

enum { PAGE = HM_SIMDISK_PAGE_BYTES, SECTOR = HM_SIMDISK_SECTOR_BYTES };

/* The disk is not what runs out of memory, however often the program under test does.
 */
void *hm_simdisk_memory(void *old, size_t bytes)
{
    void *out;

    hm_fault_pause();
    out = realloc(old, bytes);
    hm_fault_resume();
    HM_ASSERT(out != NULL);
    return out;
}

void *hm_simdisk_zeroed(size_t bytes)
{
    return memset(hm_simdisk_memory(NULL, bytes), 0, bytes);
}

char *hm_simdisk_text(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(hm_simdisk_memory(NULL, size), text, size);
}

void *hm_simdisk_grow(void *memory, size_t *inout_max, size_t need, size_t item_bytes)
{
    size_t max = *inout_max < 8 ? 8 : *inout_max;

    if (need <= *inout_max) {
        return memory;
    }
    while (max < need) {
        max *= 2;
    }
    memory = hm_simdisk_memory(memory, max * item_bytes);
    *inout_max = max;
    return memory;
}

/* Rounds of splitmix64. */
uint64_t hm_simdisk_mix(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t parts[3] = {a, b, c};
    uint64_t z = 0;

    for (size_t i = 0; i < 3; i++) {
        z = (z ^ parts[i]) + 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        z ^= z >> 31;
    }
    return z;
}

/* -- Pages ---------------------------------------------------------------------------
 */

static void page_unref(struct hm_simdisk_page *page)
{
    if (page != NULL && --page->refs == 0) {
        free(page);
    }
}

static struct hm_simdisk_page *page_create(const struct hm_simdisk_page *like)
{
    struct hm_simdisk_page *page = hm_simdisk_memory(NULL, sizeof *page);

    page->refs = 1;
    if (like == NULL) {
        memset(page->bytes, 0, sizeof page->bytes);
    } else {
        memcpy(page->bytes, like->bytes, sizeof page->bytes);
    }
    return page;
}

/* The page at index, ours alone, to be written to. */
static struct hm_simdisk_page *own_page(struct hm_simdisk_file *f, size_t index)
{
    struct hm_simdisk_page *page;

    if (index >= f->page_count) {
        size_t count = f->page_count;

        f->pages = hm_simdisk_grow(f->pages, &f->page_count, index + 1, sizeof(void *));
        memset(f->pages + count, 0, (f->page_count - count) * sizeof(void *));
    }
    page = f->pages[index];
    if (page == NULL || page->refs > 1) {
        f->pages[index] = page_create(page);
        page_unref(page);
    }
    return f->pages[index];
}

/* Put bytes (NULL: zeros) at offset, whatever the size is. */
static void put(struct hm_simdisk_file *f, int64_t offset, const uint8_t *bytes,
                size_t len)
{
    while (len > 0) {
        size_t index = (size_t)(offset / PAGE);
        size_t in_page = (size_t)(offset % PAGE);
        size_t part = len < PAGE - in_page ? len : PAGE - in_page;

        if (bytes != NULL) {
            memcpy(own_page(f, index)->bytes + in_page, bytes, part);
            bytes += part;
        } else if (index < f->page_count && f->pages[index] != NULL) {
            memset(own_page(f, index)->bytes + in_page, 0, part);
        }
        offset += (int64_t)part;
        len -= part;
    }
}

void hm_simdisk_file_read(const struct hm_simdisk_file *f, int64_t offset, void *out,
                          size_t len)
{
    uint8_t *to = out;

    while (len > 0) {
        size_t index = (size_t)(offset / PAGE);
        size_t in_page = (size_t)(offset % PAGE);
        size_t part = len < PAGE - in_page ? len : PAGE - in_page;

        if (index < f->page_count && f->pages[index] != NULL) {
            memcpy(to, f->pages[index]->bytes + in_page, part);
        } else {
            memset(to, 0, part);
        }
        to += part;
        offset += (int64_t)part;
        len -= part;
    }
}

/* -- Files ---------------------------------------------------------------------------
 */

struct hm_simdisk_file *hm_simdisk_file_create(uint64_t id)
{
    struct hm_simdisk_file *f = hm_simdisk_zeroed(sizeof *f);

    f->refs = 1;
    f->id = id;
    return f;
}

struct hm_simdisk_file *hm_simdisk_file_copy(const struct hm_simdisk_file *from,
                                             uint64_t id)
{
    struct hm_simdisk_file *f = hm_simdisk_file_create(id);
    size_t count = (size_t)((from->size + PAGE - 1) / PAGE);

    f->size = from->size;
    count = count < from->page_count ? count : from->page_count;
    if (count > 0) {
        f->pages = hm_simdisk_memory(NULL, count * sizeof(void *));
        f->page_count = count;
    }
    for (size_t i = 0; i < count; i++) {
        f->pages[i] = from->pages[i];
        if (f->pages[i] != NULL) {
            f->pages[i]->refs++;
        }
    }
    return f;
}

static void forget_lost(struct hm_simdisk_file *f)
{
    for (size_t i = 0; i < f->lost_count; i++) {
        page_unref(f->lost[i].page);
    }
    free(f->lost);
    f->lost = NULL;
    f->lost_count = 0;
}

void hm_simdisk_file_unref(struct hm_simdisk_file *f)
{
    if (f == NULL || --f->refs > 0) {
        return;
    }
    forget_lost(f);
    for (size_t i = 0; i < f->page_count; i++) {
        page_unref(f->pages[i]);
    }
    hm_simdisk_shm_unref(f->shm);
    free(f->pages);
    free(f->undo);
    free(f->before);
    free(f);
}

void hm_simdisk_shm_unref(struct hm_simdisk_shm *shm)
{
    if (shm == NULL || --shm->refs > 0) {
        return;
    }
    for (size_t i = 0; i < shm->region_count; i++) {
        free(shm->regions[i]);
    }
    free(shm->regions);
    free(shm);
}

/* Note how to undo a change of len bytes at offset. */
static void note(struct hm_simdisk_file *f, uint64_t seq, bool truncates,
                 int64_t offset, size_t len)
{
    struct hm_simdisk_undo *u;

    f->undo =
        hm_simdisk_grow(f->undo, &f->undo_max, f->undo_count + 1, sizeof f->undo[0]);
    f->before = hm_simdisk_grow(f->before, &f->before_max, f->before_len + len, 1);
    u = &f->undo[f->undo_count++];
    *u = (struct hm_simdisk_undo){.seq = seq,
                                  .truncates = truncates,
                                  .offset = offset,
                                  .len = len,
                                  .size_before = f->size,
                                  .at = f->before_len};
    if (len > 0) {
        hm_simdisk_file_read(f, offset, f->before + u->at, len);
        f->before_len += len;
    }
}

void hm_simdisk_file_write(struct hm_simdisk_file *f, uint64_t seq, int64_t offset,
                           const void *bytes, size_t len)
{
    if (len == 0) {
        return;
    }
    note(f, seq, false, offset, len);
    put(f, offset, bytes, len);
    if (f->size < offset + (int64_t)len) {
        f->size = offset + (int64_t)len;
    }
}

void hm_simdisk_file_truncate(struct hm_simdisk_file *f, uint64_t seq, int64_t size)
{
    size_t len = size < f->size ? (size_t)(f->size - size) : 0;

    note(f, seq, true, size, len);
    put(f, size, NULL, len);
    f->size = size;
}

static bool touches(const struct hm_simdisk_undo *u, size_t index)
{
    int64_t start = (int64_t)index * PAGE;

    return u->len > 0 && u->offset < start + PAGE &&
           u->offset + (int64_t)u->len > start;
}

/* Pages that are written again reach the disk after all. */
static void find_lost_again(struct hm_simdisk_file *f)
{
    for (size_t i = 0; i < f->lost_count;) {
        bool again = false;

        for (size_t j = 0; j < f->undo_count && !again; j++) {
            again = touches(&f->undo[j], f->lost[i].index);
        }
        if (again) {
            page_unref(f->lost[i].page);
            f->lost[i] = f->lost[--f->lost_count];
        } else {
            i++;
        }
    }
}

void hm_simdisk_file_sync(struct hm_simdisk_file *f)
{
    if (f->lost_count > 0) {
        find_lost_again(f);
    }
    f->undo_count = 0;
    f->before_len = 0;
}

/* Exchange what an operation changed and what was there before it. */
static void swap(struct hm_simdisk_file *f, const struct hm_simdisk_undo *u)
{
    uint8_t bytes[SECTOR];

    for (size_t done = 0; done < u->len;) {
        size_t part = u->len - done < sizeof bytes ? u->len - done : sizeof bytes;
        uint8_t *kept = f->before + u->at + done;
        int64_t offset = u->offset + (int64_t)done;

        hm_simdisk_file_read(f, offset, bytes, part);
        put(f, offset, kept, part);
        memcpy(kept, bytes, part);
        done += part;
    }
}

static bool is_lost(const struct hm_simdisk_file *f, size_t index)
{
    for (size_t i = 0; i < f->lost_count; i++) {
        if (f->lost[i].index == index) {
            return true;
        }
    }
    return false;
}

/* Keep the page at index as it is now, before anything of undo. */
static void lose(struct hm_simdisk_file *f, size_t index)
{
    struct hm_simdisk_lost *lost;

    if (is_lost(f, index)) {
        return; /* an older one is on the disk */
    }
    f->lost = hm_simdisk_memory(f->lost, (f->lost_count + 1) * sizeof f->lost[0]);
    lost = &f->lost[f->lost_count++];
    lost->index = index;
    lost->page = index < f->page_count ? f->pages[index] : NULL;
    if (lost->page != NULL) {
        lost->page->refs++;
    }
}

void hm_simdisk_file_drop(struct hm_simdisk_file *f)
{
    int64_t size = f->size;

    for (size_t i = f->undo_count; i-- > 0;) {
        swap(f, &f->undo[i]);
    }
    for (size_t i = 0; i < f->undo_count; i++) {
        const struct hm_simdisk_undo *u = &f->undo[i];
        size_t end = (size_t)((u->offset + (int64_t)u->len + PAGE - 1) / PAGE);

        for (size_t j = (size_t)(u->offset / PAGE); j < end && u->len > 0; j++) {
            lose(f, j);
        }
    }
    for (size_t i = 0; i < f->undo_count; i++) {
        swap(f, &f->undo[i]);
    }
    f->size = size; /* sizes belong to the file system, which has its own journal */
    f->undo_count = 0;
    f->before_len = 0;
}

/* -- What survives -------------------------------------------------------------------
 */

/* Whether what the operation seq did to a sector is there. ordinal counts the sectors
 * of the operation. */
static bool survives(const struct hm_simdisk_survival *how, uint64_t seq, uint64_t file,
                     uint64_t sector, uint64_t ordinal, uint64_t sectors)
{
    uint64_t luck;

    switch (how->pattern) {
    case HM_SIMDISK_NONE:
        return false;
    case HM_SIMDISK_ALL:
        return true;
    case HM_SIMDISK_PREFIX:
        return seq < how->threshold;
    case HM_SIMDISK_SUFFIX:
        return seq >= how->threshold;
    case HM_SIMDISK_WRITES:
        return (hm_simdisk_mix(how->seed, seq, 1) & 1) != 0;
    case HM_SIMDISK_SECTORS:
        luck = hm_simdisk_mix(how->seed, file, sector);
        if (luck % 3 < 2) { /* never written back, or just now */
            return luck % 3 == 0;
        }
        return seq < how->seq_min + luck / 3 % (how->seq_max - how->seq_min + 2);
    case HM_SIMDISK_TORN:
        return seq < how->threshold ||
               (seq == how->threshold &&
                ordinal < hm_simdisk_mix(how->seed, seq, 2) % sectors);
    case HM_SIMDISK_PATTERNS_:
    default:
        HM_ASSERT(false);
    }
}

/* The block in which a torn write ended is spoiled as a whole. */
static void spoil(struct hm_simdisk_file *f, uint64_t seed, int64_t offset)
{
    uint8_t garbage[PAGE];

    for (size_t i = 0; i < sizeof garbage; i++) {
        garbage[i] = (uint8_t)hm_simdisk_mix(seed, i, 3);
    }
    put(f, offset / PAGE * PAGE, garbage, sizeof garbage);
}

/* Do again what survived of one operation. */
static void redo(struct hm_simdisk_file *f, const struct hm_simdisk_undo *u,
                 const struct hm_simdisk_survival *how)
{
    uint64_t first = (uint64_t)u->offset / SECTOR;
    uint64_t end = ((uint64_t)u->offset + u->len + SECTOR - 1) / SECTOR;
    bool torn = false;

    for (uint64_t s = first; s < end; s++) {
        int64_t from =
            (int64_t)s * SECTOR < u->offset ? u->offset : (int64_t)s * SECTOR;
        int64_t to = (int64_t)(s + 1) * SECTOR;

        if (to > u->offset + (int64_t)u->len) {
            to = u->offset + (int64_t)u->len;
        }
        if (survives(how, u->seq, f->id, s, s - first, end - first)) {
            put(f, from, u->truncates ? NULL : f->before + u->at + (from - u->offset),
                (size_t)(to - from));
        } else if (how->pattern == HM_SIMDISK_TORN && u->seq == how->threshold &&
                   !torn && !u->truncates) {
            torn = true;
            if (!how->powersafe) {
                spoil(f, how->seed, from);
            }
        }
    }
    /* The size is a sector of its own, somewhere else. */
    if (survives(how, u->seq, f->id, UINT64_MAX, 0, 2)) {
        int64_t size = u->offset + (u->truncates ? 0 : (int64_t)u->len);

        f->size = u->truncates || size > f->size ? size : f->size;
    }
}

static void zero_beyond_size(struct hm_simdisk_file *f)
{
    int64_t end = (int64_t)f->page_count * PAGE;

    if (f->size < end) {
        put(f, f->size, NULL, (size_t)(end - f->size));
    }
}

void hm_simdisk_file_survive(struct hm_simdisk_file *f,
                             const struct hm_simdisk_survival *how)
{
    for (size_t i = f->undo_count; i-- > 0;) {
        swap(f, &f->undo[i]);
        f->size = f->undo[i].size_before;
    }
    for (size_t i = 0; i < f->lost_count; i++) {
        struct hm_simdisk_page *page = f->lost[i].page;

        put(f, (int64_t)f->lost[i].index * PAGE, page == NULL ? NULL : page->bytes,
            PAGE);
    }
    forget_lost(f);
    for (size_t i = 0; i < f->undo_count; i++) {
        redo(f, &f->undo[i], how);
    }
    zero_beyond_size(f);
    hm_simdisk_file_sync(f);
    f->shared = 0;
    f->reserved = f->pending = f->exclusive = NULL;
    hm_simdisk_shm_unref(f->shm);
    f->shm = NULL;
}

void hm_simdisk_file_scribble(struct hm_simdisk_file *f, int64_t offset,
                              const void *bytes, size_t len)
{
    put(f, offset, bytes, len);
}

void hm_simdisk_file_flip(struct hm_simdisk_file *f, int64_t bit)
{
    HM_ASSERT(bit >= 0 && bit / 8 < f->size);
    own_page(f, (size_t)(bit / 8 / PAGE))->bytes[bit / 8 % PAGE] ^=
        (uint8_t)(1U << (bit % 8));
}
