/* Memory of one piece of work: many small allocations, freed at once.
 *
 * Not thread-safe, never blocks. */
#ifndef HM_PROTOCOL_ARENA_H
#define HM_PROTOCOL_ARENA_H

#include "protocol/bytes.h"

struct hm_arena_chunk;

struct hm_arena {
    struct hm_arena_chunk *chunks; /* newest first */
    size_t used;                   /* bytes handed out */
    size_t bytes_max;
};

/* Allocates nothing yet. bytes_max > 0. */
void hm_arena_init(struct hm_arena *arena, size_t bytes_max);
/* Frees everything that was handed out; the arena may be used again. */
void hm_arena_deinit(struct hm_arena *arena);

/* size zeroed bytes, aligned for any type, valid until hm_arena_deinit(). NULL when the
 * limit or the memory of the machine is reached. size 0 gives a valid pointer. */
void *hm_arena_alloc(struct hm_arena *arena, size_t size);
/* count zeroed elements of size bytes; NULL as above or when the product overflows. */
void *hm_arena_array(struct hm_arena *arena, size_t count, size_t size);
/* old_count elements copied into a new array of new_count >= old_count; old stays. */
void *hm_arena_grow(struct hm_arena *arena, const void *old, size_t old_count,
                    size_t new_count, size_t size);

/* As hm_arena_array(), with room up to the next power of two for hm_arena_insert(). */
void *hm_arena_growable(struct hm_arena *arena, size_t count, size_t size);
/* Make room for one element at index <= count of an array of count elements that came
 * from hm_arena_growable() or this, or is empty. Returns the array, which may have
 * moved, with the new element undefined; NULL as above. n insertions cost memory for
 * less than 4 n elements. */
void *hm_arena_insert(struct hm_arena *arena, void *array, size_t count, size_t index,
                      size_t size);

/* Copies bytes. Errors: HM_NOMEM. */
int hm_arena_copy(struct hm_arena *arena, struct hm_bytes bytes,
                  struct hm_bytes *out_copy) HM_MUST_USE;
/* A NUL-terminated copy; NULL as hm_arena_alloc(). */
char *hm_arena_text(struct hm_arena *arena, struct hm_bytes bytes);

#endif
