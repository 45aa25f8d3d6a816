#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <utf8proc.h>

#include "tests/support/commune_csv.h"
#include "tests/support/test.h"

/* Other tests lean on the made-up commune: these say what they may lean on. */

enum { SAMPLE = 4000, NUMBERED = 80000 };

static uint64_t hash(uint64_t state, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++) {
        state = (state ^ bytes[i]) * 0x100000001b3U; /* FNV-1a */
    }
    return state;
}

static uint64_t hash_text(uint64_t state, const char *text)
{
    return hash(state, text, strlen(text) + 1);
}

static uint64_t hash_number(uint64_t state, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, number);
    return hash_text(state, text);
}

/* Every text of a household, the members' behind the household's. */
static size_t texts_of(const struct hm_commune_household *h, const char **texts)
{
    size_t count = 0;

    texts[count++] = h->head_name;
    texts[count++] = h->phone;
    texts[count++] = h->address;
    texts[count++] = h->ethnic;
    texts[count++] = h->house_number;
    texts[count++] = h->note;
    for (size_t i = 0; i < h->member_count; i++) {
        const struct hm_commune_member *m = &h->members[i];

        texts[count++] = m->name;
        texts[count++] = m->birth_date;
        texts[count++] = m->id_number;
        texts[count++] = m->relation;
        texts[count++] = m->ethnic;
        texts[count++] = m->school;
        texts[count++] = m->job;
        texts[count++] = m->health_insurance;
        texts[count++] = m->disability;
        texts[count++] = m->note;
    }
    return count;
}

enum { TEXTS_MAX = 6 + 10 * HM_COMMUNE_MEMBERS_MAX };

/* A failing test names a seed; the seed must bring the same household back on every
 * machine and with every compiler. The number changes only with the generator. */
HM_TEST(same_seed_same_households)
{
    struct hm_commune_household h;
    const char *texts[TEXTS_MAX];
    uint64_t sum = 0xcbf29ce484222325U;

    for (uint64_t index = 0; index < 100; index++) {
        hm_commune_household(7, index, &h);
        size_t count = texts_of(&h, texts);

        for (size_t i = 0; i < count; i++) {
            sum = hash_text(sum, texts[i]);
        }
        for (size_t i = 0; i < h.member_count; i++) {
            sum = hash_number(sum, h.members[i].sex);
            sum = hash_number(sum, h.members[i].birth_year);
        }
        sum = hash_number(sum, h.duplicate_of);
    }
    assert_int_equal(sum, 0x1fa3025275dfbffdU);
}

/* The same for the file, with and without the mess of a spreadsheet. */
HM_TEST(same_seed_same_file)
{
    static const char *const hamlets[] = {"19885001", "19885002", "19885003"};
    static const uint64_t expected[] = {0x5178fc23a5a8c725U, 0x8c6589696d857b8fU};
    struct hm_commune_csv csv = {
        .seed = 7, .hamlets = hamlets, .hamlet_count = 3, .member_columns = 12};
    struct hm_buf buf;

    hm_buf_init(&buf, 1024 * 1024);
    for (int messy = 0; messy < 2; messy++) {
        csv.messy = messy == 1;
        hm_commune_csv_header(&csv, &buf);
        for (uint64_t index = 0; index < 100; index++) {
            (void)hm_commune_csv_line(&csv, index, &buf);
        }
        CHECK_OK(buf.err);
        assert_int_equal(hash(0xcbf29ce484222325U, buf.data, buf.len), expected[messy]);
        hm_buf_clear(&buf);
    }
    hm_buf_deinit(&buf);
}

/* A household depends on its seed: else many seeds would test one commune. */
HM_TEST(other_seed_other_households)
{
    struct hm_commune_household a;
    struct hm_commune_household b;
    int same = 0;

    for (uint64_t index = 0; index < 100; index++) {
        hm_commune_household(1, index, &a);
        hm_commune_household(2, index, &b);
        same += strcmp(a.head_name, b.head_name) == 0;
    }
    assert_in_range(same, 0, 5);
}

static void check_number(const struct hm_commune_member *m)
{
    const char *number = m->id_number;
    int century = (number[3] - '0') / 2;
    int year = 1900 + 100 * century + (number[4] - '0') * 10 + (number[5] - '0');

    assert_int_equal(strspn(number, "0123456789"), 12);
    assert_int_equal(strlen(number), 12);
    assert_in_range(strtoul((char[]){number[0], number[1], number[2], 0}, NULL, 10), 1,
                    96);
    if (m->sex != 0) {
        assert_int_equal((number[3] - '0') % 2, m->sex == 2);
    }
    if (m->birth_year != 0) {
        assert_int_equal(year, m->birth_year);
    }
}

/* Checks of personal numbers must find nothing wrong in the made-up ones. */
HM_TEST(numbers_obey_the_rule)
{
    struct hm_commune_household h;
    unsigned numbers = 0;
    unsigned native = 0;

    for (uint64_t index = 0; index < SAMPLE; index++) {
        hm_commune_household(3, index, &h);
        for (size_t i = 0; i < h.member_count; i++) {
            if (h.members[i].id_number[0] != 0) {
                check_number(&h.members[i]);
                numbers++;
                native += strncmp(h.members[i].id_number, "046", 3) == 0;
            }
        }
    }
    assert_in_range(native * 100 / numbers, 88, 96);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* One number twice means one person twice: a search for duplicates may be judged by
 * duplicate_of. */
HM_TEST(numbers_differ)
{
    static uint64_t numbers[NUMBERED * HM_COMMUNE_MEMBERS_MAX];
    struct hm_commune_household h;
    size_t count = 0;

    for (uint64_t index = 0; index < NUMBERED; index++) {
        hm_commune_household(4, index, &h);
        for (size_t i = 0; h.duplicate_of < 0 && i < h.member_count; i++) {
            if (h.members[i].id_number[0] != 0) {
                numbers[count++] = strtoull(h.members[i].id_number, NULL, 10);
            }
        }
    }
    qsort(numbers, count, sizeof *numbers, by_value);
    for (size_t i = 1; i < count; i++) {
        assert_int_not_equal(numbers[i - 1], numbers[i]);
    }
}

/* Sizes and blanks as a village has them: benchmarks and compression ratios depend on
 * them. */
HM_TEST(sizes_and_blanks_are_sane)
{
    struct hm_commune_household h;
    unsigned sizes[HM_COMMUNE_MEMBERS_MAX + 1] = {0};
    unsigned members = 0;
    unsigned no_number = 0;
    unsigned no_date = 0;
    unsigned no_phone = 0;

    for (uint64_t index = 0; index < SAMPLE; index++) {
        hm_commune_household(5, index, &h);
        assert_in_range(h.member_count, 1, 9);
        sizes[h.member_count]++;
        members += (unsigned)h.member_count;
        no_phone += h.phone[0] == 0;
        for (size_t i = 0; i < h.member_count; i++) {
            no_number += h.members[i].id_number[0] == 0;
            no_date += h.members[i].birth_date[0] == 0;
        }
    }
    assert_in_range(members * 100 / SAMPLE, 370, 430);
    assert_in_range(no_phone * 1000 / SAMPLE, 150, 230);
    assert_in_range(no_number * 1000 / members, 30, 80);
    assert_in_range(no_date * 1000 / members, 180, 280);
    for (size_t size = 1; size < 9; size++) {
        assert_true(sizes[size] > 0);
    }
}

static int year_of(const struct hm_commune_household *h, const char *relation)
{
    for (size_t i = 0; i < h->member_count; i++) {
        if (strcmp(h->members[i].relation, relation) == 0) {
            return h->members[i].birth_year;
        }
    }
    return 0;
}

static void check_family(const struct hm_commune_household *h)
{
    int head = h->members[0].birth_year;
    int child = year_of(h, "03");
    int parent = year_of(h, "06");

    assert_string_equal(h->head_name, h->members[0].name);
    for (size_t i = 0; i < h->member_count; i++) {
        const struct hm_commune_member *m = &h->members[i];

        assert_true(i == 0 || strcmp(m->relation, "01") != 0);
        assert_true(m->birth_year == 0 ||
                    (m->birth_year > 1915 && m->birth_year <= HM_COMMUNE_YEAR));
        if (m->birth_date[0] != 0) {
            assert_int_equal(strtol(m->birth_date, NULL, 10), m->birth_year);
            assert_true(strcmp(m->birth_date, "2026-09-01") < 0);
        }
    }
    assert_true(head == 0 || head <= HM_COMMUNE_YEAR - 20);
    assert_true(head == 0 || child == 0 || child - head >= 13);
    assert_true(head == 0 || parent == 0 || head - parent >= 18);
}

/* One head, children younger than parents, no birth in the future: consistency rules
 * must find nothing in a commune without conflicts. */
HM_TEST(families_fit)
{
    struct hm_commune_household h;

    for (uint64_t index = 0; index < SAMPLE; index++) {
        hm_commune_household(6, index, &h);
        check_family(&h);
    }
}

/* The codec refuses text that is not NFC; a test household must not trip over it. */
HM_TEST(text_is_nfc)
{
    struct hm_commune_household h;
    const char *texts[TEXTS_MAX];

    for (uint64_t index = 0; index < SAMPLE; index++) {
        hm_commune_household(8, index, &h);
        size_t count = texts_of(&h, texts);

        for (size_t i = 0; i < count; i++) {
            utf8proc_uint8_t *nfc = utf8proc_NFC((const utf8proc_uint8_t *)texts[i]);

            assert_non_null(nfc);
            assert_string_equal((const char *)nfc, texts[i]);
            free(nfc);
        }
    }
}

/* The original of a duplicate is an original, stands before it and is nearly equal. */
HM_TEST(duplicates_name_their_original)
{
    struct hm_commune_household again;
    struct hm_commune_household original;
    unsigned duplicates = 0;
    unsigned changed = 0;

    for (uint64_t index = 0; index < SAMPLE; index++) {
        hm_commune_household(9, index, &again);
        if (again.duplicate_of < 0) {
            continue;
        }
        duplicates++;
        assert_true((uint64_t)again.duplicate_of < index);
        hm_commune_household(9, (uint64_t)again.duplicate_of, &original);
        assert_int_equal(original.duplicate_of, -1);
        assert_string_equal(again.address, original.address);
        assert_in_range(original.member_count - again.member_count, 0, 1);
        changed += memcmp(again.members, original.members, sizeof again.members) != 0;
    }
    assert_in_range(duplicates, SAMPLE / 100, SAMPLE / 50);
    assert_in_range(changed * 100 / duplicates, 60, 99);
}

static size_t count_of(struct hm_buf *buf, const char *text)
{
    size_t count = 0;

    CHECK_OK(buf->err);
    for (const char *at = hm_buf_str(buf); (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

/* A clean file has nothing that an importer must be clever about, and fits the header:
 * scope and five answers, then twelve of each member. */
HM_TEST(clean_lines_are_plain)
{
    static const char *const hamlets[] = {"19885001"};
    const struct hm_commune_csv csv = {
        .seed = 1, .hamlets = hamlets, .hamlet_count = 1, .member_columns = 9};
    struct hm_buf buf;

    hm_buf_init(&buf, 1024 * 1024);
    hm_commune_csv_header(&csv, &buf);
    assert_int_equal(count_of(&buf, ","), 5 + 12 * 9);
    assert_int_equal(
        strncmp(hm_buf_str(&buf),
                "scope,head_name,phone,address,ethnic,house_number,members[1].name,",
                66),
        0);
    for (uint64_t index = 0; index < 500; index++) {
        hm_buf_clear(&buf);
        assert_null(hm_commune_csv_line(&csv, index, &buf));
        CHECK_OK(buf.err);
        assert_int_equal(count_of(&buf, "\n"), 1);
        assert_int_equal(count_of(&buf, "\r"), 0);
        assert_int_equal(strncmp(hm_buf_str(&buf), "19885001,", 9), 0);
        assert_true(count_of(&buf, ",") - count_of(&buf, ", ") == 5 + 12 * 9);
    }
    hm_buf_deinit(&buf);
}

/* The reject path is tested with these lines: each kind must occur, and only a line
 * that is said to be broken may be. */
HM_TEST(messy_lines_say_what_is_broken)
{
    static const char *const hamlets[] = {"19885001"};
    const struct hm_commune_csv csv = {.seed = 1,
                                       .hamlets = hamlets,
                                       .hamlet_count = 1,
                                       .member_columns = 12,
                                       .messy = true};
    struct hm_buf buf;
    unsigned scope = 0;
    unsigned sex = 0;
    unsigned date = 0;

    hm_buf_init(&buf, 1024 * 1024);
    for (uint64_t index = 0; index < 1000; index++) {
        hm_buf_clear(&buf);
        const char *why = hm_commune_csv_line(&csv, index, &buf);

        CHECK_OK(buf.err);
        assert_int_equal(strncmp(hm_buf_str(&buf), "19885001;", 9) != 0,
                         why != NULL && strcmp(why, "scope") == 0);
        scope += why != NULL && strcmp(why, "scope") == 0;
        sex += why != NULL && strcmp(why, "sex") == 0;
        date += why != NULL && strcmp(why, "birth_date") == 0;
    }
    assert_in_range(scope, 10, 60);
    assert_in_range(sex, 10, 60);
    assert_in_range(date, 10, 60);
    hm_buf_deinit(&buf);
}

static bool is_choice(xmlXPathContext *form, const char *list, const char *value)
{
    char path[256];
    xmlXPathObject *found;
    bool yes;

    (void)snprintf(path, sizeof path,
                   "//*[local-name()='instance'][@id='%s']//*[local-name()='name']"
                   "[.='%s']",
                   list, value);
    found = xmlXPathEvalExpression((const xmlChar *)path, form);
    assert_non_null(found);
    yes = found->nodesetval != NULL && found->nodesetval->nodeNr == 1;
    xmlXPathFreeObject(found);
    return value[0] == 0 || yes;
}

static void check_choices(xmlXPathContext *form, const struct hm_commune_household *h)
{
    assert_true(is_choice(form, "ethnic", h->ethnic));
    for (size_t i = 0; i < h->member_count; i++) {
        const struct hm_commune_member *m = &h->members[i];

        assert_true(is_choice(form, "relation", m->relation));
        assert_true(is_choice(form, "ethnic", m->ethnic));
        assert_true(is_choice(form, "school", m->school));
        assert_true(is_choice(form, "yes_no", m->health_insurance));
        assert_true(is_choice(form, "yes_no", m->disability));
    }
}

/* The commune is made for the bundled register: a clean file must be imported without a
 * rejected line. */
HM_TEST(answers_are_choices_of_the_register)
{
    const char *programmes = getenv("HM_PROGRAMMES");
    char path[1024];
    xmlDoc *document;
    xmlXPathContext *form;
    struct hm_commune_household h;

    (void)snprintf(path, sizeof path, "%s/vn-poverty/forms/register.xml",
                   programmes == NULL ? "daemon/programmes" : programmes);
    document = xmlReadFile(path, NULL, XML_PARSE_NONET);
    assert_non_null(document);
    form = xmlXPathNewContext(document);
    assert_non_null(form);
    assert_false(is_choice(form, "ethnic", "99"));
    for (uint64_t index = 0; index < 300; index++) {
        hm_commune_household(10, index, &h);
        check_choices(form, &h);
    }
    xmlXPathFreeContext(form);
    xmlFreeDoc(document);
    xmlCleanupParser();
}
