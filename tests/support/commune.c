#include "tests/support/commune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "tests/support/commune_words.h"

enum {
    PURPOSE_FAMILY = 1,
    PURPOSE_DUPLICATE = 2,
    PURPOSE_RESPELL = 3,
    SERIALS = 1000000,
    SERIAL_STEP = 736879, /* odd and no multiple of 5: a permutation of the serials */
    DUPLICATES_OF_1000 = 15,
    DUPLICATE_DISTANCE_MAX = 40
};

struct build {
    struct hm_commune_random random;
    struct hm_commune_household *out;
    uint64_t serial; /* of the next person */
    const char *ethnic;
};

/* What a family decides about a person before the person's own draws. */
struct person {
    const char *relation;
    const char *surname;
    int sex;
    int birth_year;
};

static int draw(struct build *b, int low, int high)
{
    return hm_commune_random_from(&b->random, low, high);
}

static bool chance(struct build *b, unsigned of_1000)
{
    return hm_commune_random_chance(&b->random, of_1000);
}

static void put(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text);
}

/* Members of a family do not share a whole name; a few tries settle it. */
static void name_person(struct build *b, const struct person *person, char *name)
{
    bool taken = true;

    for (int tries = 0; taken && tries < 8; tries++) {
        const char *middle =
            hm_commune_words_middle(&b->random, person->sex, person->birth_year);
        const char *given =
            hm_commune_words_given(&b->random, person->sex, person->birth_year);

        (void)snprintf(name, HM_COMMUNE_NAME_BYTES, "%s %s %s", person->surname, middle,
                       given);
        taken = strcmp(middle, person->surname) == 0; /* no Văn Văn Đức */
        for (size_t i = 0; i < b->out->member_count; i++) {
            taken = taken || strcmp(b->out->members[i].name, name) == 0;
        }
    }
}

/* Province of birth, century and sex, year, six digits that only tell people apart. */
static void number_person(struct build *b, const struct person *person, char *number)
{
    static const unsigned elsewhere[] = {1, 45, 48, 49, 64, 66, 74, 75, 79};
    unsigned province = 46;
    unsigned year = (unsigned)person->birth_year;
    unsigned century = (year - 1900) / 100 * 2 + (person->sex == 2);

    if (chance(b, 80)) {
        province = elsewhere[draw(b, 0, 8)];
    }
    (void)snprintf(number, 13, "%03u%u%02u%06u", province, century % 10, year % 100,
                   (unsigned)(b->serial * SERIAL_STEP % SERIALS));
}

static void date_person(struct build *b, int birth_year, char *date)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool unsure = birth_year < 1965 && chance(b, 400); /* papers then say 1 January */
    int month = draw(b, 1, birth_year == HM_COMMUNE_YEAR ? 8 : 12);
    int day = draw(b, 1, days[month - 1]);

    /* The remainders tell the compiler that it fits. */
    (void)snprintf(date, 11, "%04u-%02u-%02u", (unsigned)birth_year % 10000U,
                   unsure ? 1U : (unsigned)month % 100U,
                   unsure ? 1U : (unsigned)day % 100U);
}

static void answer_person(struct build *b, const struct person *person,
                          struct hm_commune_member *member)
{
    static const char *const notes[] = {"đi làm ăn xa", "tạm trú", "mới nhập khẩu",
                                        "học ở thành phố", "ốm đau lâu ngày"};
    int age = HM_COMMUNE_YEAR - person->birth_year;

    member->relation = chance(b, 5) ? "" : person->relation;
    member->ethnic = chance(b, 10) ? "" : b->ethnic;
    member->school = hm_commune_words_school(&b->random, age);
    member->job = hm_commune_words_job(&b->random, person->sex, age, member->school);
    if (chance(b, 40)) {
        member->school = "";
    }
    if (chance(b, 60)) {
        member->job = "";
    }
    member->health_insurance = chance(b, 930) ? "yes" : "no";
    if (chance(b, 20)) {
        member->health_insurance = "";
    }
    member->disability = chance(b, age > 70 ? 80 : 18) ? "yes" : "no";
    if (chance(b, 30)) {
        member->disability = "";
    }
    member->note = chance(b, 30) ? notes[draw(b, 0, 4)] : "";
}

static void add_person(struct build *b, struct person person)
{
    struct hm_commune_member *member = &b->out->members[b->out->member_count];
    int age = HM_COMMUNE_YEAR - person.birth_year;

    name_person(b, &person, member->name);
    number_person(b, &person, member->id_number);
    date_person(b, person.birth_year, member->birth_date);
    answer_person(b, &person, member);
    member->sex = chance(b, 3) ? 0 : person.sex;
    member->birth_year = person.birth_year;
    if (chance(b, age < 14 ? 150 : age > 75 ? 60 : 25)) {
        member->id_number[0] = 0;
    }
    if (chance(b, age > 60 ? 350 : 200)) {
        member->birth_date[0] = 0;
    }
    if (member->birth_date[0] == 0 && chance(b, 30)) {
        member->birth_year = 0;
    }
    b->serial++;
    b->out->member_count++;
}

/* The head, and in a couple the other; *out_mother is the woman's year of birth and
 * *out_father_name the surname that children take. */
static void add_head(struct build *b, int age_low, int age_high, bool couple,
                     int *out_mother, const char **out_father_name)
{
    struct person head = {.relation = "01"};
    struct person other = {.relation = "02"};
    int apart;

    head.sex = chance(b, couple ? 840 : 270) ? 1 : 2;
    head.birth_year = HM_COMMUNE_YEAR - draw(b, age_low, age_high);
    head.surname = hm_commune_words_surname(&b->random);
    other.surname = hm_commune_words_surname(&b->random);
    other.sex = 3 - head.sex;
    apart = draw(b, -1, 6);
    other.birth_year = head.birth_year + (head.sex == 1 ? apart : -apart);
    add_person(b, head);
    if (couple) {
        add_person(b, other);
    }
    *out_mother = head.sex == 2 ? head.birth_year : other.birth_year;
    *out_father_name = head.sex == 1 ? head.surname : other.surname;
}

/* Up to count children of a mother born in that year: the ones already born, not older
 * than age_max. */
static void add_children(struct build *b, const char *relation, const char *surname,
                         int mother, int count, int age_max)
{
    int year = mother + draw(b, 20, 29);

    for (int i = 0; i < count && year <= HM_COMMUNE_YEAR && year <= mother + 44; i++) {
        struct person child = {relation, surname, 0, year};

        child.sex = chance(b, 520) ? 1 : 2;
        if (HM_COMMUNE_YEAR - year <= age_max) {
            add_person(b, child);
        } else {
            count++; /* has left home; there is room for a younger one */
        }
        year += draw(b, 1, 5);
    }
}

static void family_of_two_generations(struct build *b)
{
    const char *surname;
    int mother;
    int count;

    add_head(b, 27, 60, true, &mother, &surname);
    count = draw(b, 1, 3);
    if (chance(b, 330)) {
        count += draw(b, 1, 2);
    }
    add_children(b, "03", surname, mother, count, 29);
}

static void family_with_parents(struct build *b)
{
    const char *surname;
    int mother;
    int count;
    int head;
    struct person parent = {.relation = "06"};

    add_head(b, 32, 52, true, &mother, &surname);
    head = mother; /* within six years of it */
    count = draw(b, 1, 4);
    if (chance(b, 150)) {
        count++;
    }
    add_children(b, "03", surname, mother, count, 27);
    parent.birth_year = head - draw(b, 26, 36);
    parent.sex = 2;
    parent.surname = hm_commune_words_surname(&b->random);
    add_person(b, parent);
    if (chance(b, 450)) {
        parent.sex = 1;
        parent.surname = surname;
        parent.birth_year -= draw(b, 0, 4);
        add_person(b, parent);
    }
}

static void family_with_grandchildren(struct build *b)
{
    const char *surname;
    int mother;
    bool couple = chance(b, 650);
    struct person child = {.relation = "03"};
    struct person in_law = {.relation = "04"};

    add_head(b, 56, 78, couple, &mother, &surname);
    child.sex = chance(b, 750) ? 1 : 2;
    child.surname = surname;
    child.birth_year = mother + draw(b, 21, 32);
    add_person(b, child);
    in_law.sex = 3 - child.sex;
    in_law.surname = hm_commune_words_surname(&b->random);
    in_law.birth_year = child.birth_year + draw(b, -3, 3);
    add_person(b, in_law);
    {
        bool son = child.sex == 1;
        int count = draw(b, 1, 4);

        add_children(b, "05", son ? child.surname : in_law.surname,
                     son ? in_law.birth_year : child.birth_year, count, 22);
    }
}

static void family_of_one_parent(struct build *b)
{
    const char *surname;
    int mother;
    int count;

    add_head(b, 32, 58, false, &mother, &surname);
    count = draw(b, 1, 3);
    add_children(b, "03", surname, mother, count, 30);
}

static void family_of_relatives(struct build *b)
{
    const char *surname;
    int mother;
    bool sibling = chance(b, 600);
    struct person other = {.relation = "08"};

    add_head(b, 40, 75, false, &mother, &surname);
    other.relation = sibling ? "08" : chance(b, 850) ? "09" : "10";
    other.surname = sibling ? surname : hm_commune_words_surname(&b->random);
    other.sex = chance(b, 400) ? 1 : 2;
    other.birth_year = mother + draw(b, -7, 7);
    add_person(b, other);
}

static void add_family(struct build *b)
{
    const char *surname;
    int mother;
    int kind = draw(b, 0, 99);

    if (kind < 7) {
        bool old = chance(b, 750);

        add_head(b, old ? 62 : 26, old ? 91 : 59, false, &mother, &surname);
    } else if (kind < 18) {
        bool old = chance(b, 750);

        add_head(b, old ? 56 : 22, old ? 84 : 31, true, &mother, &surname);
    } else if (kind < 66) {
        family_of_two_generations(b);
    } else if (kind < 79) {
        family_with_parents(b);
    } else if (kind < 92) {
        family_with_grandchildren(b);
    } else if (kind < 97) {
        family_of_one_parent(b);
    } else {
        family_of_relatives(b);
    }
}

static void answer_household(struct build *b)
{
    static const char *const mobile[] = {"0905", "0914", "0935", "0976", "0985",
                                         "0332", "0376", "0389", "0787", "0702"};
    static const char *const notes[] = {"vắng nhà khi điều tra", "ở nhờ nhà con",
                                        "nhà đang xây lại", "hay bị ngập lụt"};
    struct hm_commune_household *out = b->out;
    const char *place = hm_commune_words_place(&b->random);
    const char *prefix = mobile[draw(b, 0, 9)];
    int digits = draw(b, 0, 999999);
    int number = draw(b, 1, 180);

    put(out->head_name, sizeof out->head_name, out->members[0].name);
    if (!chance(b, 180)) {
        (void)snprintf(out->phone, sizeof out->phone, "%s%06d", prefix, digits);
    }
    if (!chance(b, 70)) {
        put(out->address, sizeof out->address, place);
    }
    if (chance(b, 300)) {
        (void)snprintf(out->house_number, sizeof out->house_number, "%d%s", number,
                       chance(b, 100) ? "A" : "");
    }
    out->ethnic = chance(b, 15) ? "" : b->ethnic;
    out->note = chance(b, 40) ? notes[draw(b, 0, 3)] : "";
}

static void make_original(uint64_t seed, uint64_t index,
                          struct hm_commune_household *out)
{
    static const char *const minorities[] = {"31", "26", "23", "06"};
    struct build b = {hm_commune_random_of(seed, index, PURPOSE_FAMILY), out, 0, "01"};

    memset(out, 0, sizeof *out);
    out->duplicate_of = -1;
    b.serial = (index * HM_COMMUNE_MEMBERS_MAX + seed % SERIALS) % SERIALS;
    if (chance(&b, 15)) {
        b.ethnic = minorities[draw(&b, 0, 3)];
    }
    add_family(&b);
    answer_household(&b);
}

/* The same name as another hand writes it: the tone on the other vowel, i for y. */
static void respell(char *name)
{
    static const char *const pairs[][2] = {
        {"Hòa", "Hoà"},     {"Hoà", "Hòa"}, {"Thủy", "Thuỷ"}, {"Thùy", "Thuỳ"},
        {"Mỹ", "Mĩ"},       {"Quý", "Quí"}, {"Tý", "Tí"},     {"Vy", "Vi"},
        {"Hoàng", "Hòang"}, {"Ly", "Li"}};
    char copy[HM_COMMUNE_NAME_BYTES] = "";

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t len = strlen(pairs[i][0]);
        char *at = strstr(name, pairs[i][0]);

        if (at != NULL && (at[len] == 0 || at[len] == ' ')) {
            (void)snprintf(copy, sizeof copy, "%.*s%s%s", (int)(at - name), name,
                           pairs[i][1], at + len);
            memcpy(name, copy, sizeof copy);
            return;
        }
    }
}

/* As typed without a Vietnamese keyboard: Đặng Thị Hòa -> Dang Thi Hoa. */
static void strip_marks(char *name)
{
    utf8proc_uint8_t *plain = NULL;
    char *to = name;

    if (utf8proc_map((const utf8proc_uint8_t *)name, 0, &plain,
                     UTF8PROC_NULLTERM | UTF8PROC_DECOMPOSE | UTF8PROC_STRIPMARK) < 0) {
        return;
    }
    for (const utf8proc_uint8_t *from = plain; *from != 0; from++) {
        if (*from == 0xc4) { /* Đ is U+0110, đ U+0111: letters, not marks */
            from++;
            *to++ = *from == 0x90 ? 'D' : 'd';
        } else {
            *to++ = (char)*from;
        }
    }
    *to = 0;
    free(plain);
}

static void misspell_number(struct hm_commune_member *member)
{
    char digit = member->id_number[10];

    member->id_number[10] = member->id_number[11];
    member->id_number[11] = digit;
}

static void mistake_year(struct hm_commune_member *member, int by)
{
    member->birth_year += member->birth_year == 0 ? 0 : by;
    member->birth_date[0] = 0;
    member->id_number[0] = 0;
}

/* What differs when a second person wrote the same family down. */
static void write_again(uint64_t seed, uint64_t index, struct hm_commune_household *out)
{
    struct build b = {hm_commune_random_of(seed, index, PURPOSE_RESPELL), out, 0, NULL};
    int kind = draw(&b, 0, 4);
    size_t who = (size_t)draw(&b, 0, (int)out->member_count - 1);

    for (size_t i = 0; kind < 3 && i < out->member_count; i++) {
        if (kind == 0) {
            strip_marks(out->members[i].name);
        } else {
            respell(out->members[i].name);
        }
    }
    if (kind == 2) {
        misspell_number(&out->members[who]);
    } else if (kind == 3) {
        mistake_year(&out->members[who], chance(&b, 500) ? 1 : -1);
    } else if (kind == 4 && out->member_count > 1) {
        out->member_count--;
        memset(&out->members[out->member_count], 0, sizeof *out->members);
    }
    if (chance(&b, 300)) {
        out->phone[0] = 0;
    }
    put(out->head_name, sizeof out->head_name, out->members[0].name);
    out->note = "";
}

static bool may_be_duplicate(uint64_t seed, uint64_t index, uint64_t *out_source)
{
    struct hm_commune_random random =
        hm_commune_random_of(seed, index, PURPOSE_DUPLICATE);
    unsigned reach =
        index < DUPLICATE_DISTANCE_MAX ? (unsigned)index : DUPLICATE_DISTANCE_MAX;

    if (index == 0 || !hm_commune_random_chance(&random, DUPLICATES_OF_1000)) {
        return false;
    }
    *out_source = index - 1 - hm_commune_random_below(&random, reach);
    return true;
}

void hm_commune_household(uint64_t seed, uint64_t index,
                          struct hm_commune_household *out_household)
{
    uint64_t source = 0;
    uint64_t before = 0;

    if (may_be_duplicate(seed, index, &source) &&
        !may_be_duplicate(seed, source, &before)) {
        make_original(seed, source, out_household);
        write_again(seed, index, out_household);
        out_household->duplicate_of = (int64_t)source;
    } else {
        make_original(seed, index, out_household);
    }
}
