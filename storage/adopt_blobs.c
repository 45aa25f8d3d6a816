#include "storage/adopt_blobs.h"

#include "protocol/message.h"
#include "storage/households.h"

static bool same(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, HM_CONTENT_HASH_BYTES) == 0;
}

/* What a whole blob is for, by the forms that name it. */
static int use_blob(struct hm_store *s, struct hm_forms *forms, const uint8_t *hash,
                    struct hm_arena *arena)
{
    struct hm_form_item *list = NULL;
    size_t count = 0;
    bool is_table = false;
    bool is_dictionary = false;
    uint64_t id = 0;
    int err = hm_forms_list(s, arena, &list, &count);

    for (size_t i = 0; i < count && err == HM_OK; i++) {
        is_table = is_table || same(list[i].table, hash);
        is_dictionary =
            is_dictionary || (list[i].has_dictionary && same(list[i].dictionary, hash));
    }
    if (err == HM_OK && is_dictionary) {
        err = hm_blobs_add_dictionary(s, hash, &id);
    }
    if (err == HM_OK && is_table) {
        err = hm_households_recount(s, hm_forms_policy_of, forms);
    }
    return err;
}

int hm_adopt_blob(struct hm_store *s, struct hm_forms *forms, struct hm_bytes payload,
                  struct hm_arena *arena, bool *out_moved)
{
    struct hm_blob_piece piece;
    bool complete = false;
    int err = hm_blob_piece_read(payload, &piece);

    if (err != HM_OK || piece.size == 0) {
        return err;
    }
    err = hm_blobs_add_piece(s, piece.hash, piece.offset, piece.size, piece.bytes,
                             &complete);
    if (err == HM_MALFORMED) {
        return HM_OK; /* it had not its hash: thrown away, to be fetched anew */
    }
    *out_moved = *out_moved || piece.bytes.len > 0;
    return err == HM_OK && complete ? use_blob(s, forms, piece.hash, arena) : err;
}

int hm_adopt_missing_blobs(struct hm_store *s, struct hm_arena *arena,
                           bool *out_missing)
{
    struct hm_form_item *list = NULL;
    size_t count = 0;
    bool missing = false;
    int err = hm_forms_list(s, arena, &list, &count);

    for (size_t i = 0; i < count && err == HM_OK && !missing; i++) {
        const uint8_t *const hashes[] = {list[i].table, list[i].xform,
                                         list[i].dictionary};
        size_t parts = list[i].has_dictionary ? 3 : 2;

        for (size_t j = 0; j < parts && err == HM_OK && !missing; j++) {
            uint64_t bytes = 0;
            bool complete = false;

            err = hm_blobs_have(s, hashes[j], &bytes, &complete);
            missing = err == HM_OK && !complete;
        }
    }
    *out_missing = missing;
    return err;
}
