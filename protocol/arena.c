#include "protocol/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 8192 };

struct hm_arena_chunk {
    struct hm_arena_chunk *next;
    size_t used;
    size_t size;
    alignas(max_align_t) uint8_t bytes[];
};

void hm_arena_init(struct hm_arena *arena, size_t bytes_max)
{
    HM_ASSERT(bytes_max > 0);
    *arena = (struct hm_arena){.bytes_max = bytes_max};
}

void hm_arena_deinit(struct hm_arena *arena)
{
    struct hm_arena_chunk *chunk = arena->chunks;

    while (chunk != NULL) {
        struct hm_arena_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    arena->chunks = NULL;
    arena->used = 0;
}

void *hm_arena_alloc(struct hm_arena *arena, size_t size)
{
    struct hm_arena_chunk *chunk = arena->chunks;
    size_t rounded;
    void *out;

    if (size > arena->bytes_max - arena->used || size > SIZE_MAX / 2) {
        return NULL;
    }
    rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (chunk == NULL || rounded > chunk->size - chunk->used) {
        size_t bytes = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;

        chunk = malloc(sizeof *chunk + bytes);
        if (chunk == NULL) {
            return NULL;
        }
        *chunk = (struct hm_arena_chunk){.next = arena->chunks, .size = bytes};
        arena->chunks = chunk;
    }
    out = chunk->bytes + chunk->used;
    memset(out, 0, rounded);
    chunk->used += rounded;
    arena->used += size;
    return out;
}

void *hm_arena_array(struct hm_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return hm_arena_alloc(arena, count * size);
}

void *hm_arena_grow(struct hm_arena *arena, const void *old, size_t old_count,
                    size_t new_count, size_t size)
{
    void *out = hm_arena_array(arena, new_count, size);

    HM_ASSERT(new_count >= old_count);
    if (out != NULL && old_count > 0) {
        memcpy(out, old, old_count * size);
    }
    return out;
}

void *hm_arena_growable(struct hm_arena *arena, size_t count, size_t size)
{
    size_t room = 1;

    while (room < count && room <= SIZE_MAX / 2) {
        room *= 2;
    }
    return room < count ? NULL : hm_arena_array(arena, count == 0 ? 0 : room, size);
}

void *hm_arena_insert(struct hm_arena *arena, void *array, size_t count, size_t index,
                      size_t size)
{
    bool is_full = (count & (count - 1)) == 0; /* 0 or a power of two */
    uint8_t *out = array;

    HM_ASSERT(index <= count);
    if (is_full) {
        out = hm_arena_growable(arena, count + 1, size);
        if (out != NULL && count > 0) {
            memcpy(out, array, count * size);
        }
    }
    if (out != NULL) {
        memmove(out + (index + 1) * size, out + index * size, (count - index) * size);
    }
    return out;
}

int hm_arena_copy(struct hm_arena *arena, struct hm_bytes bytes,
                  struct hm_bytes *out_copy)
{
    uint8_t *to = hm_arena_alloc(arena, bytes.len);

    if (to == NULL) {
        return HM_NOMEM;
    }
    if (bytes.len > 0) {
        memcpy(to, bytes.data, bytes.len);
    }
    *out_copy = hm_bytes_of(to, bytes.len);
    return HM_OK;
}

char *hm_arena_text(struct hm_arena *arena, struct hm_bytes bytes)
{
    char *out = hm_arena_alloc(arena, bytes.len + 1);

    if (out != NULL && bytes.len > 0) {
        memcpy(out, bytes.data, bytes.len);
    }
    return out;
}
