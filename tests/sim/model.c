#include "tests/sim/model.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/hash.h"

static void *grow(void *array, size_t count, size_t *room, size_t size)
{
    void *out = array;

    if (count == *room) {
        *room = 2 * *room + 16;
        out = realloc(array, *room * size);
        if (out == NULL) {
            abort();
        }
    }
    return out;
}

void sim_model_free(struct sim_model *model)
{
    for (size_t i = 0; i < model->family_count; i++) {
        struct sim_family *family = &model->families[i];

        for (size_t j = 0; j < family->write_count; j++) {
            free(family->writes[j].shown);
            free(family->writes[j].behind);
        }
        free(family->writes);
    }
    for (size_t i = 0; i < model->change_count; i++) {
        free(model->changes[i].saw);
    }
    free(model->families);
    free(model->changes);
    free(model->births);
    *model = (struct sim_model){0};
}

size_t sim_model_add_family(struct sim_model *model, const struct hm_household_id *id,
                            unsigned hamlet)
{
    model->families = grow(model->families, model->family_count, &model->family_room,
                           sizeof model->families[0]);
    model->families[model->family_count] =
        (struct sim_family){.id = *id, .hamlet = hamlet};
    return model->family_count++;
}

void sim_model_add_birth(struct sim_model *model, const struct sim_birth *birth)
{
    model->births = grow(model->births, model->birth_count, &model->birth_room,
                         sizeof model->births[0]);
    model->births[model->birth_count++] = *birth;
}

size_t sim_model_add_change(struct sim_model *model, const struct sim_change *change)
{
    model->changes = grow(model->changes, model->change_count, &model->change_room,
                          sizeof model->changes[0]);
    model->changes[model->change_count] = *change;
    return model->change_count++;
}

void sim_model_deletes(struct sim_model *model, size_t index,
                       const struct hm_household *seen)
{
    struct sim_change *change = &model->changes[index];

    change->deletes = true;
    change->saw_count = seen->vv_count;
    change->saw = calloc(seen->vv_count + 1, sizeof change->saw[0]);
    if (change->saw == NULL) {
        abort();
    }
    for (size_t i = 0; i < seen->vv_count; i++) {
        change->saw[i] = (struct hm_dot){seen->vv[i].author.incarnation, seen->vv[i].n};
    }
}

bool sim_model_saw(const struct sim_change *change, const struct hm_dot *dot)
{
    for (size_t i = 0; i < change->saw_count; i++) {
        if (change->saw[i].incarnation == dot->incarnation) {
            return change->saw[i].n >= dot->n;
        }
    }
    return false;
}

size_t sim_model_find_change(const struct sim_model *model, const struct hm_dot *dot)
{
    for (size_t i = model->change_count; i-- > 0;) {
        if (hm_dot_compare(&model->changes[i].dot, dot) == 0 &&
            !model->changes[i].gone) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool has(const struct hm_dot *dots, size_t count, const struct hm_dot *dot)
{
    for (size_t i = 0; i < count; i++) {
        if (hm_dot_compare(&dots[i], dot) == 0) {
            return true;
        }
    }
    return false;
}

static void add_dots(struct hm_dot **dots, size_t *count, const struct hm_dot *more,
                     size_t more_count)
{
    *dots = realloc(*dots, (*count + more_count + 1) * sizeof **dots);
    if (*dots == NULL) {
        abort();
    }
    for (size_t i = 0; i < more_count; i++) {
        if (!has(*dots, *count, &more[i])) {
            (*dots)[(*count)++] = more[i];
        }
    }
}

void sim_model_add_write(struct sim_model *model, size_t index,
                         const struct sim_write *write)
{
    struct sim_family *family = &model->families[index];
    struct sim_write *kept;

    family->writes = grow(family->writes, family->write_count, &family->write_room,
                          sizeof family->writes[0]);
    kept = &family->writes[family->write_count];
    *kept = *write;
    kept->shown = NULL;
    kept->shown_count = 0;
    kept->behind = NULL;
    kept->behind_count = 0;
    kept->held = 0;
    add_dots(&kept->shown, &kept->shown_count, write->shown, write->shown_count);
    for (size_t i = 0; i < write->shown_count; i++) {
        const struct sim_write *before = sim_model_write_of(
            model, family, &write->row, write->field, &write->shown[i]);

        if (before != NULL) {
            add_dots(&kept->behind, &kept->behind_count, before->shown,
                     before->shown_count);
            add_dots(&kept->behind, &kept->behind_count, before->behind,
                     before->behind_count);
        }
    }
    family->write_count++;
}

uint64_t sim_model_value(struct hm_bytes bytes)
{
    return hm_hash_u64(bytes);
}

static bool same_cell(const struct sim_write *a, const struct hm_row_key *row,
                      uint32_t field)
{
    return a->field == field && hm_row_key_compare(&a->row, row) == 0;
}

const struct sim_write *sim_model_write_of(const struct sim_model *model,
                                           const struct sim_family *family,
                                           const struct hm_row_key *row, uint32_t field,
                                           const struct hm_dot *dot)
{
    for (size_t i = family->write_count; i-- > 0;) {
        const struct sim_write *write = &family->writes[i];
        const struct sim_change *change = &model->changes[write->change];

        if (!change->gone && hm_dot_compare(&change->dot, dot) == 0 &&
            same_cell(write, row, field)) {
            return write;
        }
    }
    return NULL;
}

enum sim_fate sim_model_fate(const struct sim_model *model,
                             const struct sim_family *family,
                             const struct sim_write *write)
{
    const struct hm_dot *dot = &model->changes[write->change].dot;
    enum sim_fate fate = SIM_FATE_LIVE;

    for (size_t i = 0; i < family->write_count; i++) {
        const struct sim_write *other = &family->writes[i];

        if (!model->changes[other->change].included ||
            !same_cell(other, &write->row, write->field)) {
            continue;
        }
        if (has(other->shown, other->shown_count, dot)) {
            return SIM_FATE_DEAD;
        }
        if (has(other->behind, other->behind_count, dot)) {
            fate = SIM_FATE_EITHER;
        }
    }
    return fate;
}
