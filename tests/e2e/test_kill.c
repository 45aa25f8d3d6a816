/* kill -9 at any moment: what was answered as saved is there in the end, once. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/e2e_data.h"
#include "tests/support/test.h"

enum { HOUSEHOLDS = 60, ROUNDS = 20, ROUNDS_LONG = 200, SAVES_A_ROUND = 3 };

/* A save that was tried. Its marker is its phone number, different in each and longer
 * than those of the generated commune. */
struct save {
    char marker[24];
    const char *household; /* NULL: not answered, so nobody was promised anything */
    const char *change;
    bool is_new; /* else an update of an earlier save's household */
};

struct scene {
    struct e2e_commune commune;
    struct save saves[ROUNDS_LONG * 2 * SAVES_A_ROUND];
    size_t count;
    uint64_t random;
};

/* xorshift64*: one seed, one run. */
static unsigned draw(struct scene *scene, unsigned below)
{
    scene->random ^= scene->random >> 12;
    scene->random ^= scene->random << 25;
    scene->random ^= scene->random >> 27;
    return (unsigned)((scene->random * 2685821657736338717U) >> 33) % below;
}

/* The save that goes into an earlier household of the same laptop, or a new one. */
static json_t *next_save(struct scene *scene, struct save *save, size_t laptop)
{
    const char *scope = laptop == 0 ? E2E_HAMLET_A : E2E_HAMLET_B;
    json_t *json;

    (void)snprintf(save->marker, sizeof save->marker, "09%u%08u", (unsigned)laptop,
                   (unsigned)scene->count);
    for (size_t i = draw(scene, 2) == 0 ? 0 : scene->count; i-- > 0;) {
        const struct save *earlier = &scene->saves[i];

        if (earlier->household != NULL && earlier->marker[2] == save->marker[2]) {
            return e2e_field_save(earlier->household, "phone", save->marker);
        }
    }
    save->is_new = true;
    json = e2e_new_save(scope, "Nguyễn Văn Thử", 2);
    (void)json_object_set_new(json_object_get(json, "values"), "phone",
                              json_string(save->marker));
    return json;
}

static struct e2e_job *begin_save(struct scene *scene, size_t laptop)
{
    struct save *save = &scene->saves[scene->count];
    json_t *json = e2e_keep(next_save(scene, save, laptop));
    struct e2e_node *node = laptop == 0 ? scene->commune.a : scene->commune.b;

    scene->count++;
    return e2e_begin(node, e2e_text(json), "household", "put", NULL);
}

static void end_save(struct save *save, struct e2e_job *job)
{
    const struct e2e_result *result = e2e_end(job, E2E_CLI_S);

    if (result->exit_code == E2E_DONE) {
        save->household = e2e_str(result->json, "household");
        save->change = e2e_str(result->json, "change");
    } else if (result->exit_code != E2E_FAILED &&
               result->exit_code != E2E_NOT_RUNNING) {
        e2e_fail("a save ends with %d: %s", result->exit_code, result->err);
    }
}

/* Saves and syncs on both laptops while one of the three is killed. Saves of one laptop
 * come one after the other, as a person's do. */
static void one_round(struct scene *scene)
{
    struct e2e_node *const all[] = {scene->commune.centre, scene->commune.a,
                                    scene->commune.b};
    struct e2e_node *victim = all[draw(scene, 3)];
    struct e2e_job *sync_a = e2e_begin(scene->commune.a, NULL, "sync", NULL);
    struct e2e_job *sync_b = e2e_begin(scene->commune.b, NULL, "sync", NULL);
    unsigned kill_at = draw(scene, SAVES_A_ROUND + 1);

    for (unsigned i = 0; i < SAVES_A_ROUND; i++) {
        size_t at = scene->count;
        struct e2e_job *a = begin_save(scene, 0);
        struct e2e_job *b = begin_save(scene, 1);

        if (i == kill_at) {
            hm_child_sleep(draw(scene, 60) / 1000.0);
            e2e_kill(victim, SIGKILL);
        }
        end_save(&scene->saves[at], a);
        end_save(&scene->saves[at + 1], b);
    }
    if (kill_at == SAVES_A_ROUND) {
        e2e_kill(victim, SIGKILL);
    }
    (void)e2e_end(sync_a, E2E_CLI_S); /* any result: its node or its peer is gone */
    (void)e2e_end(sync_b, E2E_CLI_S);
    e2e_start(victim);
}

static unsigned times_in(const char *text, const char *word)
{
    unsigned times = 0;

    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        times++;
    }
    return times;
}

/* A later save of the same household may have replaced the marker, answered or not. */
static bool has_later(const struct scene *scene, size_t index)
{
    for (size_t i = index + 1; i < scene->count; i++) {
        if (scene->saves[i].marker[2] == scene->saves[index].marker[2] &&
            !scene->saves[i].is_new &&
            (scene->saves[i].household == NULL ||
             strcmp(scene->saves[i].household, scene->saves[index].household) == 0)) {
            return true;
        }
    }
    return false;
}

static void check_save(struct scene *scene, size_t index, const char *exported)
{
    const struct save *save = &scene->saves[index];
    struct e2e_node *centre = scene->commune.centre;
    unsigned shown = times_in(exported, save->marker);

    if (shown > 1) {
        e2e_fail("%s is there %u times", save->marker, shown);
    }
    if (save->household == NULL) {
        return;
    }
    if (e2e_times_in_history(centre, save->household, save->change) != 1) {
        e2e_fail("save %zu, %s of %s, is in the centre's history %u times", index,
                 save->change, save->household,
                 e2e_times_in_history(centre, save->household, save->change));
    }
    if (!has_later(scene, index)) {
        e2e_check_field(save->marker[2] == '0' ? scene->commune.a : scene->commune.b,
                        save->household, "phone", save->marker);
        e2e_check_field(centre, save->household, "phone", save->marker);
    }
}

/* New households: at least those answered, at most those tried. */
static void check_count(struct scene *scene)
{
    json_int_t count = e2e_household_count(scene->commune.centre) - HOUSEHOLDS;
    json_int_t answered = 0;
    json_int_t tried = 0;

    for (size_t i = 0; i < scene->count; i++) {
        tried += scene->saves[i].is_new ? 1 : 0;
        answered += scene->saves[i].is_new && scene->saves[i].household != NULL ? 1 : 0;
    }
    e2e_step("%d new households, %d answered, %d tried", (int)count, (int)answered,
             (int)tried);
    assert_in_range(count, answered, tried);
    assert_true(answered > 0);
}

/* Each household has its phone number in one place of the register's export. */
HM_TEST(answered_saves_survive_and_none_is_doubled)
{
    static struct scene scene;
    unsigned rounds = e2e_long() ? ROUNDS_LONG : ROUNDS;
    const char *seed = getenv("HM_TEST_SEED");
    const char *exported = e2e_path("exported.csv");

    scene.random = seed == NULL ? 1 : strtoull(seed, NULL, 10) * 2 + 1;
    scene.commune = e2e_commune(HOUSEHOLDS);
    for (unsigned i = 0; i < rounds; i++) {
        e2e_step("round %u of %u (seed %s)", i + 1, rounds, seed == NULL ? "0" : seed);
        one_round(&scene);
    }
    e2e_step("all three run: in the end everything is everywhere");
    e2e_sync_all(&scene.commune);
    assert_int_equal(e2e_cli(scene.commune.centre, "export", "--form", "register",
                             "--format", "csv", "-o", exported, NULL)
                         ->exit_code,
                     E2E_DONE);
    for (size_t i = 0; i < scene.count; i++) {
        check_save(&scene, i, e2e_read_file(exported));
    }
    check_count(&scene);
    e2e_check_no_conflicts(&scene.commune);
    e2e_check_digests(&scene.commune);
    e2e_finish();
}

/* A change that nobody has but the laptop is not lost with its process. */
HM_TEST(unsent_work_survives_a_kill)
{
    struct e2e_commune commune = e2e_commune(HOUSEHOLDS);
    const char *id = e2e_id_at(e2e_households(commune.a, E2E_HAMLET_A), 0);
    json_int_t changes;

    e2e_pause(commune.a);
    (void)e2e_set(commune.a, id, "phone", "0905000111");
    (void)e2e_add(commune.a, E2E_HAMLET_A, "Hồ Thị Mới", 2);
    changes = e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes");
    assert_true(changes >= 2);
    e2e_kill(commune.a, SIGKILL);
    e2e_start(commune.a);
    e2e_step("still paused, still unsent");
    assert_true(e2e_bool(e2e_ok(commune.a, "status", NULL), "paused"));
    assert_true(e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes") >=
                changes);
    (void)e2e_sync(commune.a);
    e2e_check_field(commune.centre, id, "phone", "0905000111");
    assert_int_equal(e2e_household_count(commune.centre), HOUSEHOLDS + 1);
    assert_int_equal(e2e_int(e2e_ok(commune.a, "status", NULL), "unsent.changes"), 0);
    e2e_finish();
}
