#include "storage/people.h"

#include "storage/units.h"
#include "tests/support/store.h"

struct fixture {
    struct hm_test_node node;
    struct hm_arena arena;
    struct hm_store *s;
    uint32_t role;
    uint32_t unit;
};

static void begin(struct fixture *f)
{
    struct hm_role role = {.code = "enumerator",
                           .rank = 4,
                           .title_vi = "Thôn trưởng",
                           .title_en = "Hamlet head",
                           .rights = (uint64_t)HM_RIGHT_HOUSEHOLD_READ |
                                     (uint64_t)HM_RIGHT_BACKUP};
    struct hm_unit unit = {.kind = HM_UNIT_PROVINCE,
                           .code = "46",
                           .name = "Huế",
                           .valid_from = "",
                           .valid_to = "",
                           .former = "",
                           .note = ""};

    hm_arena_init(&f->arena, 16 * 1024 * 1024);
    hm_test_node_open(&f->node, "centre", HM_NODE_CENTRE);
    f->s = f->node.store;
    CHECK_OK(hm_store_begin(f->s));
    CHECK_OK(hm_people_put_role(f->s, &role, &f->role));
    CHECK_OK(hm_units_put(f->s, &unit, &f->unit));
}

static void end(struct fixture *f)
{
    CHECK_OK(hm_store_end(f->s, HM_OK));
    hm_test_node_close(&f->node);
    hm_arena_deinit(&f->arena);
}

/* Rights are what the programme says; a role published again keeps its id. */
HM_TEST(roles)
{
    struct fixture f;
    struct hm_role role;
    struct hm_role *roles;
    enum hm_right right;
    size_t count;
    uint32_t id;

    begin(&f);
    CHECK_OK(hm_people_find_role(f.s, "enumerator", &f.arena, &role));
    assert_int_equal(role.id, f.role);
    assert_int_equal(role.rank, 4);
    assert_string_equal(role.title_vi, "Thôn trưởng");
    assert_true(hm_people_has_right(&role, HM_RIGHT_HOUSEHOLD_READ));
    assert_false(hm_people_has_right(&role, HM_RIGHT_HOUSEHOLD_WRITE));
    role.id = 0;
    role.rank = 5;
    CHECK_OK(hm_people_put_role(f.s, &role, &id));
    assert_int_equal(id, f.role);
    role.code = "leader";
    CHECK_OK(hm_people_put_role(f.s, &role, &id));
    assert_int_not_equal(id, f.role);
    CHECK_OK(hm_people_list_roles(f.s, &f.arena, &roles, &count));
    assert_int_equal(count, 2);
    assert_int_equal(roles[0].rank, 5);
    role.rank = 16;
    assert_int_equal(hm_people_put_role(f.s, &role, &id), HM_INVALID);
    assert_int_equal(hm_people_find_role(f.s, "nobody", &f.arena, &role), HM_NOTFOUND);
    CHECK_OK(hm_right_from_text(hm_bytes_str("quarantine.release"), &right));
    assert_string_equal(hm_right_text(right), "quarantine.release");
    assert_int_equal(hm_right_from_text(hm_bytes_str("all"), &right), HM_INVALID);
    end(&f);
}

/* Two people with one name to sign in with would read each other's households. */
HM_TEST(names_are_unique)
{
    static const char *const bad[] = {"",
                                      "a b",
                                      "a\tb",
                                      ("a\xc2\xa0"
                                       "b"),
                                      "a\xe2\x80\x8b",
                                      "\xff"};
    struct fixture f;
    struct hm_user user;
    struct hm_user found;
    uint32_t first;
    uint32_t id;

    begin(&f);
    user = (struct hm_user){.name = "lành",
                            .full_name = "Nguyễn Thị Lành",
                            .role = f.role,
                            .unit = f.unit,
                            .active = true};
    CHECK_OK(hm_people_add_user(f.s, &user, &first));
    assert_int_equal(hm_people_add_user(f.s, &user, &id), HM_EXISTS);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        user.name = bad[i];
        assert_int_equal(hm_people_add_user(f.s, &user, &id), HM_INVALID);
    }
    user.name = "mai";
    user.unit = 77;
    assert_int_equal(hm_people_add_user(f.s, &user, &id), HM_INVALID);
    user.unit = f.unit;
    user.role = 77;
    assert_int_equal(hm_people_add_user(f.s, &user, &id), HM_INVALID);
    user.role = f.role;
    CHECK_OK(hm_people_add_user(f.s, &user, &id));
    assert_int_not_equal(id, first);
    CHECK_OK(hm_people_find_user(f.s, "lành", &f.arena, &found));
    assert_int_equal(found.id, first);
    assert_string_equal(found.full_name, "Nguyễn Thị Lành");
    CHECK_OK(hm_people_disable_user(f.s, first));
    CHECK_OK(hm_people_get_user(f.s, first, &f.arena, &found));
    assert_false(found.active);
    found.active = true;
    found.full_name = "Lành";
    found.name = "other";
    CHECK_OK(hm_people_change_user(f.s, &found));
    CHECK_OK(hm_people_get_user(f.s, first, &f.arena, &found));
    assert_true(found.active);
    assert_string_equal(found.full_name, "Lành");
    assert_string_equal(found.name, "lành");
    assert_int_equal(hm_people_disable_user(f.s, 99), HM_NOTFOUND);
    end(&f);
}

/* Only the right passphrase opens; what is kept tells nothing. */
HM_TEST(passphrases)
{
    char hash[HM_PASSPHRASE_HASH_BYTES];
    char kept[HM_PASSPHRASE_HASH_BYTES];
    struct fixture f;
    struct hm_user user;
    uint32_t id;

    begin(&f);
    user = (struct hm_user){
        .name = "mai", .full_name = "", .role = f.role, .unit = f.unit};
    CHECK_OK(hm_people_add_user(f.s, &user, &id));
    CHECK_OK(hm_people_hash_passphrase(hm_bytes_str("một con vịt"), hash));
    assert_int_equal(hm_people_get_passphrase(f.s, id, kept), HM_NOTFOUND);
    CHECK_OK(hm_people_set_passphrase(f.s, id, hash));
    CHECK_OK(hm_people_get_passphrase(f.s, id, kept));
    assert_string_equal(kept, hash);
    assert_null(strstr(kept, "vịt"));
    CHECK_OK(hm_people_check_passphrase(kept, hm_bytes_str("một con vịt")));
    assert_int_equal(hm_people_check_passphrase(kept, hm_bytes_str("một con gà")),
                     HM_DENIED);
    assert_int_equal(hm_people_check_passphrase(kept, hm_bytes_str("")), HM_DENIED);
    assert_int_equal(hm_people_hash_passphrase(hm_bytes_str(""), hash), HM_INVALID);
    assert_int_equal(hm_people_set_passphrase(f.s, id, "plain"), HM_INVALID);
    assert_int_equal(hm_people_set_passphrase(f.s, 99, kept), HM_NOTFOUND);
    end(&f);
}
