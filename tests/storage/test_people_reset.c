#include "storage/people_reset.h"

#include <ctype.h>

#include "tests/support/village.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, MINUTE_MS = 60 * 1000 };

/* Hashes take long, and what is in them does not matter here. */
static const char of_centre[] = "$argon2id$centre";
static const char of_laptop[] = "$argon2id$laptop";

static struct hm_village v;
static struct hm_village_node *a;
static struct hm_village_node *b;
static uint32_t lan;
static uint32_t minh;
static char code[HM_RESET_CODE_TEXT_MAX];

static uint32_t add_user(const char *name)
{
    struct hm_store *s = v.centre.node.store;
    struct hm_user user = {.name = name, .full_name = "", .active = true};
    struct hm_role role;
    struct hm_arena arena;
    uint32_t id = 0;

    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_people_find_role(s, "enumerator", &arena, &role));
    user.role = role.id;
    user.unit = v.hamlets[0];
    CHECK_OK(hm_people_add_user(s, &user, &id));
    CHECK_OK(hm_people_set_passphrase(s, id, of_centre));
    CHECK_OK(hm_store_end(s, HM_OK));
    hm_arena_deinit(&arena);
    return id;
}

/* Two laptops, two users, and a code for Lan on a. */
static void begin(void)
{
    struct hm_store *s;
    int64_t expires_utc_ms = 0;

    hm_village_open(&v);
    s = v.centre.node.store;
    lan = add_user("Nguyễn.Thị.Lan");
    minh = add_user("minh");
    a = hm_village_add(&v, "a", 1);
    b = hm_village_add(&v, "b", 1);
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_people_reset_code(s, lan, a->node.device, code, &expires_utc_ms));
    CHECK_OK(hm_store_end(s, HM_OK));
    assert_int_equal(strlen(code), 19);
    assert_true(expires_utc_ms > v.centre.node.now_ms + 7LL * DAY_MS);
    assert_true(expires_utc_ms <= v.centre.node.now_ms + 8LL * DAY_MS);
}

static int redeem(struct hm_village_node *n, uint32_t user, const char *text)
{
    struct hm_store *s = n->node.store;

    CHECK_OK(hm_store_begin(s));
    return hm_store_end(s, hm_people_redeem_reset(s, user, text, of_laptop));
}

static const char *passphrase(struct hm_village_node *n, uint32_t user)
{
    static char hash[HM_PASSPHRASE_HASH_BYTES];

    CHECK_OK(hm_store_begin_read(n->node.store));
    CHECK_OK(hm_store_end(n->node.store,
                          hm_people_get_passphrase(n->node.store, user, hash)));
    return hash;
}

/* The laptop has not heard of the code, and needs not; it works once. */
HM_TEST(a_code_works_without_a_link_and_once)
{
    begin();
    assert_string_equal(passphrase(a, lan), of_centre);
    CHECK_OK(redeem(a, lan, code));
    assert_string_equal(passphrase(a, lan), of_laptop);
    assert_string_equal(passphrase(a, minh), of_centre);
    assert_int_equal(redeem(a, lan, code), HM_DENIED);
    assert_non_null(strstr(hm_store_errmsg(a->node.store), "has been used"));
    hm_village_restart(a);
    assert_int_equal(redeem(a, lan, code), HM_DENIED);
    assert_string_equal(passphrase(a, lan), of_laptop);
    hm_village_settle(&v); /* it is this laptop's own, and nothing differs by it */
    assert_string_equal(passphrase(a, lan), of_laptop);
    assert_string_equal(passphrase(b, lan), of_centre);
    hm_village_check_equal(&v);
    hm_village_close(&v);
}

/* Read over a bad telephone line, typed in haste. */
HM_TEST(a_code_is_read_as_people_type_it)
{
    char typed[64] = "";
    size_t len = 0;

    begin();
    for (const char *c = code; *c != 0; c++) {
        typed[len++] = *c == '-' ? ' ' : (char)tolower((unsigned char)*c);
    }
    CHECK_OK(redeem(a, lan, typed));
    hm_village_close(&v);
}

HM_TEST(a_code_is_for_one_user_on_one_device)
{
    begin();
    assert_int_equal(redeem(a, minh, code), HM_DENIED);
    assert_int_equal(redeem(b, lan, code), HM_DENIED);
    for (size_t i = 0; code[i] != 0; i++) {
        char wrong[HM_RESET_CODE_TEXT_MAX];

        if (code[i] != '-') {
            (void)strcpy(wrong, code);
            wrong[i] = wrong[i] == 'Z' ? 'Y' : 'Z';
            assert_int_equal(redeem(a, lan, wrong), HM_DENIED);
        }
    }
    assert_int_equal(redeem(a, lan, ""), HM_DENIED);
    assert_int_equal(redeem(a, lan, "no code"), HM_DENIED);
    assert_int_equal(redeem(a, lan, "0000-0000-0000-0000-0000"), HM_DENIED);
    CHECK_OK(redeem(a, lan, code));
    hm_village_close(&v);
}

/* By the corrected clock: a laptop that lives in 1970 knows by how much it is wrong. */
HM_TEST(a_code_ends)
{
    begin();
    a->node.now_ms += 9LL * DAY_MS;
    assert_int_equal(redeem(a, lan, code), HM_DENIED);
    assert_non_null(strstr(hm_store_errmsg(a->node.store), "time of this code"));
    a->node.now_ms -= 20000LL * DAY_MS;
    (void)hm_village_sync(&v, a);
    a->node.now_ms += 6LL * DAY_MS;
    CHECK_OK(redeem(a, lan, code));
    hm_village_close(&v);
}

/* What an officer sets at the centre later counts here, too, when it comes. */
HM_TEST(a_newer_passphrase_of_the_centre_counts)
{
    struct hm_store *s;

    begin();
    s = v.centre.node.store;
    CHECK_OK(redeem(a, lan, code));
    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(s, hm_people_set_passphrase(s, lan, "$argon2id$newer")));
    assert_string_equal(passphrase(a, lan), of_laptop);
    (void)hm_village_sync(&v, a);
    assert_string_equal(passphrase(a, lan), "$argon2id$newer");
    hm_village_close(&v);
}

HM_TEST(only_the_centre_makes_codes)
{
    int64_t expires_utc_ms;

    begin();
    CHECK_OK(hm_store_begin(a->node.store));
    assert_int_equal(hm_store_end(a->node.store, hm_people_reset_code(
                                                     a->node.store, lan, a->node.device,
                                                     code, &expires_utc_ms)),
                     HM_DENIED);
    CHECK_OK(hm_store_begin(v.centre.node.store));
    assert_int_equal(hm_store_end(v.centre.node.store,
                                  hm_people_reset_code(v.centre.node.store, lan, 4711,
                                                       code, &expires_utc_ms)),
                     HM_NOTFOUND);
    hm_village_close(&v);
}

static int64_t guess(void)
{
    struct hm_store *s = a->node.store;
    int64_t wait_ms = -1;

    CHECK_OK(hm_store_begin(s));
    CHECK_OK(hm_store_end(s, hm_people_guess(s, lan, &wait_ms)));
    return wait_ms;
}

/* Five wrong ones, then a pause, which neither a restart nor a clock set back ends. */
HM_TEST(guessing_is_slow)
{
    int64_t wait_ms = 0;

    begin();
    for (int i = 0; i < HM_GUESSES_MAX; i++) {
        assert_int_equal(guess(), 0);
    }
    assert_int_equal(guess(), HM_GUESS_WAIT_MS);
    a->node.now_ms += 5 * MINUTE_MS;
    hm_village_restart(a);
    assert_int_equal(guess(), HM_GUESS_WAIT_MS - 5 * MINUTE_MS);
    a->node.now_ms -= 3LL * DAY_MS;
    assert_int_equal(guess(), HM_GUESS_WAIT_MS);
    a->node.now_ms += HM_GUESS_WAIT_MS;
    for (int i = 0; i < HM_GUESSES_MAX; i++) {
        assert_int_equal(guess(), 0);
    }
    assert_true(guess() > 0);
    CHECK_OK(hm_store_begin(a->node.store));
    CHECK_OK(hm_people_guess(a->node.store, minh, &wait_ms));
    CHECK_OK(hm_store_end(a->node.store, HM_OK));
    assert_int_equal(wait_ms, 0); /* each for oneself */
    CHECK_OK(hm_store_begin(a->node.store));
    CHECK_OK(hm_store_end(a->node.store, hm_people_guessed(a->node.store, lan)));
    assert_int_equal(guess(), 0);
    hm_village_close(&v);
}

/* Names with marks, typed in either way. */
HM_TEST(names_are_found_however_their_marks_were_typed)
{
    static const char decomposed[] = "Nguye\xcc\x82\xcc\x83n.Thi\xcc\xa3.Lan";
    struct hm_store *s;
    struct hm_user user;
    struct hm_arena arena;
    uint32_t id = 0;

    begin();
    s = v.centre.node.store;
    hm_arena_init(&arena, 1024 * 1024);
    CHECK_OK(hm_people_find_user(s, decomposed, &arena, &user));
    assert_int_equal(user.id, lan);
    assert_string_equal(user.name, "Nguyễn.Thị.Lan");
    CHECK_OK(hm_store_begin(s));
    user.name = decomposed;
    assert_int_equal(hm_people_add_user(s, &user, &id), HM_EXISTS);
    user.name = "Đặng\xff";
    assert_int_equal(hm_people_add_user(s, &user, &id), HM_INVALID);
    CHECK_OK(hm_store_end(s, HM_OK));
    assert_int_equal(hm_people_find_user(s, "nguyễn.thị.lan", &arena, &user),
                     HM_NOTFOUND);
    assert_int_equal(hm_people_find_user(s, "\xff", &arena, &user), HM_NOTFOUND);
    hm_arena_deinit(&arena);
    hm_village_close(&v);
}
