#include "tests/support/commune_words.h"

#include <string.h>

#define PICK(random, list)                                                             \
    (list)[hm_commune_random_below((random), sizeof(list) / sizeof *(list))]

struct weighted {
    const char *word;
    unsigned weight; /* of 1000 */
};

static const char *pick_weighted(struct hm_commune_random *random,
                                 const struct weighted *list)
{
    unsigned at = hm_commune_random_below(random, 1000);

    while (at >= list->weight) {
        at -= list->weight;
        list++;
    }
    return list->word;
}

const char *hm_commune_words_surname(struct hm_commune_random *random)
{
    static const struct weighted list[] = {
        {"Nguyễn", 330}, {"Trần", 140}, {"Lê", 110},        {"Phan", 75}, {"Hoàng", 65},
        {"Phạm", 50},    {"Hồ", 45},    {"Võ", 35},         {"Văn", 25},  {"Đặng", 25},
        {"Trương", 20},  {"Ngô", 15},   {"Bùi", 10},        {"Đoàn", 10}, {"Dương", 10},
        {"Cao", 10},     {"Lương", 5},  {"Hà", 5},          {"Đỗ", 5},    {"Châu", 5},
        {"La", 3},       {"Thái", 1},   {"Nguyễn Đình", 1},
    };

    return pick_weighted(random, list);
}

static const char *middle_of_man(struct hm_commune_random *random, int birth_year)
{
    static const char *const old[] = {"Văn", "Văn",  "Văn",  "Văn", "Đình",
                                      "Hữu", "Công", "Viết", "Bá",  "Xuân"};
    static const char *const middle[] = {"Văn",  "Văn",   "Văn", "Đình", "Hữu",
                                         "Công", "Quang", "Đức", "Ngọc", "Thanh"};
    static const char *const young[] = {
        "Văn", "Minh", "Gia", "Quốc", "Hoàng", "Nhật",  "Thanh", "Đức",
        "Anh", "Bảo",  "Hữu", "Đình", "Quang", "Thiên", "Tuấn",  "Khánh"};

    if (birth_year < 1965) {
        return PICK(random, old);
    }
    return birth_year < 1995 ? PICK(random, middle) : PICK(random, young);
}

static const char *middle_of_woman(struct hm_commune_random *random, int birth_year)
{
    static const char *const middle[] = {
        "Thị",     "Thị",       "Thị",      "Thị",      "Thị",      "Thị Thu",
        "Thị Kim", "Thị Thanh", "Thị Hồng", "Thị Ngọc", "Thị Minh", "Thị Mỹ"};
    static const char *const young[] = {
        "Thị",       "Thị",   "Thị Thu", "Thị Thanh", "Thị Phương", "Thị Bảo",
        "Thị Khánh", "Ngọc",  "Thùy",    "Bảo",       "Khánh",      "Phương",
        "Minh",      "Quỳnh", "Hà",      "Gia",       "Thanh"};

    if (birth_year < 1965) {
        return "Thị";
    }
    return birth_year < 1995 ? PICK(random, middle) : PICK(random, young);
}

const char *hm_commune_words_middle(struct hm_commune_random *random, int sex,
                                    int birth_year)
{
    return sex == 1 ? middle_of_man(random, birth_year)
                    : middle_of_woman(random, birth_year);
}

static const char *given_of_man(struct hm_commune_random *random, int birth_year)
{
    static const char *const old[] = {
        "Bé",    "Cư",  "Dục", "Đạt", "Hiền", "Hoà", "Khoa",  "Lộc", "Lợi", "Mậu",
        "Nghĩa", "Ngọ", "Phú", "Quý", "Sáu",  "Tế",  "Thạnh", "Thí", "Tý",  "Xuân"};
    static const char *const middle[] = {
        "Anh",   "Bình", "Cường", "Dũng", "Đức",   "Hải",   "Hiếu", "Hòa", "Hùng",
        "Hưng",  "Long", "Minh",  "Nam",  "Phúc",  "Quang", "Sơn",  "Tài", "Thành",
        "Thắng", "Thủy", "Tiến",  "Toàn", "Trung", "Tuấn",  "Vinh"};
    static const char *const young[] = {
        "An",   "Bảo",  "Duy",   "Đạt",  "Hào",    "Hiếu", "Huy",  "Khang", "Khánh",
        "Khoa", "Kiệt", "Long",  "Minh", "Nguyên", "Nhân", "Nhật", "Phát",  "Phong",
        "Phúc", "Quân", "Thịnh", "Tín",  "Trí",    "Tú",   "Vũ"};

    if (birth_year < 1960) {
        return PICK(random, old);
    }
    return birth_year < 1995 ? PICK(random, middle) : PICK(random, young);
}

static const char *given_of_woman(struct hm_commune_random *random, int birth_year)
{
    static const char *const old[] = {
        "Bưởi", "Chút", "Con", "Dậu", "Em",   "Gái", "Hường", "Khế", "Lài", "Lựu",
        "Mai",  "Mén",  "Mùi", "Nậy", "Nhạn", "Sen", "Thẻo",  "Thí", "Xoa", "Xuyến"};
    static const char *const middle[] = {
        "Anh",    "Bích",  "Cúc",    "Dung",  "Gái",  "Hà",    "Hạnh", "Hiền", "Hoa",
        "Hòa",    "Hồng",  "Huệ",    "Hương", "Lan",  "Liên",  "Loan", "Mai",  "Nga",
        "Nguyệt", "Nhung", "Phượng", "Thảo",  "Thủy", "Tuyết", "Yến"};
    static const char *const young[] = {
        "An",    "Anh",  "Chi", "Diệp", "Giang", "Hân",  "Hằng", "Hiền", "Huyền",
        "Linh",  "Ly",   "My",  "Na",   "Ngân",  "Ngọc", "Nhi",  "Như",  "Oanh",
        "Quyên", "Thảo", "Thư", "Trâm", "Trang", "Uyên", "Vy"};

    if (birth_year < 1960) {
        return PICK(random, old);
    }
    return birth_year < 1995 ? PICK(random, middle) : PICK(random, young);
}

const char *hm_commune_words_given(struct hm_commune_random *random, int sex,
                                   int birth_year)
{
    return sex == 1 ? given_of_man(random, birth_year)
                    : given_of_woman(random, birth_year);
}

const char *hm_commune_words_place(struct hm_commune_random *random)
{
    static const char *const list[] = {
        "Xóm Trên",       "Xóm Dưới",
        "Xóm Đình",       "Xóm Chợ",
        "Xóm Đông",       "Xóm Tây",
        "gần đình làng",  "sau trường tiểu học",
        "gần trạm bơm",   "đầu cầu",
        "bên phá",        "cuối đường liên thôn",
        "cạnh trạm y tế", "gần nhà văn hóa",
        "kiệt cạnh chùa", "đường bê tông, xóm Giữa",
    };

    return PICK(random, list);
}

const char *hm_commune_words_school(struct hm_commune_random *random, int age)
{
    static const struct weighted old[] = {{"none", 250},
                                          {"primary", 500},
                                          {"lower_secondary", 200},
                                          {"upper_secondary", 50}};
    static const struct weighted middle[] = {{"none", 40},
                                             {"primary", 280},
                                             {"lower_secondary", 380},
                                             {"upper_secondary", 200},
                                             {"vocational", 60},
                                             {"university", 40}};
    static const struct weighted young[] = {
        {"primary", 30},     {"lower_secondary", 240}, {"upper_secondary", 420},
        {"vocational", 130}, {"college", 80},          {"university", 100}};

    if (age < 3) {
        return "none";
    }
    if (age < 6) {
        return "preschool";
    }
    if (age < 11) {
        return "primary";
    }
    if (age < 15) {
        return "lower_secondary";
    }
    if (age < 18) {
        return hm_commune_random_chance(random, 850) ? "upper_secondary"
                                                     : "lower_secondary";
    }
    return pick_weighted(random, age > 62 ? old : age > 35 ? middle : young);
}

const char *hm_commune_words_job(struct hm_commune_random *random, int sex, int age,
                                 const char *school)
{
    static const char *const man[] = {
        "làm ruộng",         "làm ruộng", "làm ruộng",    "nuôi trồng thủy sản",
        "đánh bắt trên phá", "thợ nề",    "thợ mộc",      "lái xe",
        "công nhân",         "làm thuê",  "buôn bán nhỏ", "sửa xe máy"};
    static const char *const learned[] = {"giáo viên", "y sĩ", "kế toán", "viên chức"};
    static const char *const woman[] = {
        "làm ruộng",      "làm ruộng",          "làm ruộng", "buôn bán nhỏ",
        "công nhân may",  "công nhân may",      "nội trợ",   "làm thuê",
        "trồng rau, hoa", "nuôi trồng thủy sản"};

    if (age < 6) {
        return "";
    }
    if (age < 18) {
        return "học sinh";
    }
    if (age < 23 && hm_commune_random_chance(random, 350)) {
        return "sinh viên";
    }
    if (age > 72 || (age > 62 && hm_commune_random_chance(random, 400))) {
        return "hết tuổi lao động";
    }
    if (strcmp(school, "university") == 0 && age > 22 &&
        hm_commune_random_chance(random, 600)) {
        return PICK(random, learned);
    }
    return sex == 1 ? PICK(random, man) : PICK(random, woman);
}
