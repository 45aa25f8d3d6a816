#include "daemon/programme.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/form_publish.h"
#include "daemon/node_files.h"
#include "storage/people.h"
#include "storage/units_import.h"

struct publishing {
    struct hm_store *s;
    const char *folder;
    struct hm_buf words;
    struct hm_buf *errmsg;
};

int hm_programme_find(const char *folder, struct hm_buf *out_path)
{
    char below[NAME_MAX + 16];

    if (strchr(folder, '/') == NULL && folder[0] != '.' && strlen(folder) < NAME_MAX) {
        (void)snprintf(below, sizeof below, "programmes/%s", folder);
        if (hm_node_files_find_data(below, out_path) == HM_OK) {
            return HM_OK;
        }
    }
    if (access(folder, R_OK | X_OK) != 0) {
        return HM_NOTFOUND;
    }
    hm_buf_append_str(out_path, folder);
    return out_path->err;
}

/* A file of the programme lies in its folder, whatever programme.json says. */
static int read_file(struct publishing *p, const char *name, struct hm_buf *out)
{
    if (name[0] == '/' || strstr(name, "..") != NULL) {
        hm_buf_printf(p->errmsg, "%s/programme.json: %s lies elsewhere", p->folder,
                      name);
        return HM_INVALID;
    }
    return hm_node_files_read(p->folder, name, out, p->errmsg);
}

static int read_json(struct publishing *p, const char *name, json_t **out)
{
    struct hm_buf text;
    json_error_t fault;
    int err;

    hm_buf_init(&text, HM_PROGRAMME_FILE_BYTES_MAX);
    err = read_file(p, name, &text);
    if (err == HM_OK) {
        *out = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES,
                          &fault);
        if (*out == NULL) {
            hm_buf_printf(p->errmsg, "%s/%s line %d: %s", p->folder, name, fault.line,
                          fault.text);
            err = HM_INVALID;
        }
    }
    hm_buf_deinit(&text);
    return err;
}

static int fail_store(struct publishing *p, const char *file, int err)
{
    const char *why = hm_store_errmsg(p->s);

    hm_buf_printf(p->errmsg, "%s/%s: %s", p->folder, file,
                  why[0] == 0 ? hm_err_text(err) : why);
    return err;
}

/* Roles. */

static int read_rights(struct publishing *p, const char *file, const json_t *list,
                       uint64_t *out_rights)
{
    size_t at;
    json_t *name;

    json_array_foreach(list, at, name)
    {
        enum hm_right right;
        const char *text = json_string_value(name);

        if (text == NULL || hm_right_from_text(hm_bytes_str(text), &right) != HM_OK) {
            hm_buf_printf(p->errmsg, "%s/%s: there is no right '%s'", p->folder, file,
                          text == NULL ? "?" : text);
            return HM_INVALID;
        }
        *out_rights |= (uint64_t)right;
    }
    return HM_OK;
}

static int publish_role(struct publishing *p, const char *file, json_t *json)
{
    const char *code = NULL;
    const char *vi = NULL;
    const char *en = NULL;
    json_t *rights = NULL;
    struct hm_role role = {0};
    json_error_t fault;
    int rank = 0;
    uint32_t id;
    int err;

    if (json_unpack_ex(json, &fault, JSON_STRICT, "{s:s, s:i, s:{s:s, s:s}, s:o}",
                       "code", &code, "rank", &rank, "title", "vi", &vi, "en", &en,
                       "rights", &rights) != 0 ||
        !json_is_array(rights) || rank < 0 || rank > HM_ROLE_RANK_MAX) {
        hm_buf_printf(p->errmsg, "%s/%s: not a role: %s", p->folder, file,
                      fault.text[0] == 0 ? "rights or rank" : fault.text);
        return HM_INVALID;
    }
    role.code = code;
    role.rank = (uint8_t)rank;
    role.title_vi = vi;
    role.title_en = en;
    err = read_rights(p, file, rights, &role.rights);
    if (err != HM_OK) {
        return err;
    }
    err = hm_people_put_role(p->s, &role, &id);
    return err == HM_OK ? HM_OK : fail_store(p, file, err);
}

static int publish_roles(struct publishing *p, const char *file)
{
    json_t *list = NULL;
    json_t *role;
    size_t at;
    int err = read_json(p, file, &list);

    if (err == HM_OK && !json_is_array(list)) {
        hm_buf_printf(p->errmsg, "%s/%s: not a list of roles", p->folder, file);
        err = HM_INVALID;
    }
    if (err == HM_OK) {
        json_array_foreach(list, at, role)
        {
            err = publish_role(p, file, role);
            if (err != HM_OK) {
                break;
            }
        }
    }
    json_decref(list);
    return err;
}

/* Units. */

static void day_of(int64_t utc_ms, char out[16])
{
    time_t seconds = (time_t)(utc_ms / 1000);
    struct tm day;

    if (gmtime_r(&seconds, &day) == NULL || strftime(out, 16, "%Y-%m-%d", &day) == 0) {
        (void)strcpy(out, "1970-01-01");
    }
}

static int publish_units(struct publishing *p, const char *file)
{
    struct hm_units_report report = {0};
    struct hm_arena arena;
    struct hm_buf csv;
    char today[16];
    int err;

    hm_arena_init(&arena, HM_UNITS_TREE_BYTES_MAX);
    hm_buf_init(&csv, HM_UNITS_CSV_BYTES_MAX);
    day_of(hm_store_utc_ms(p->s), today);
    err = read_file(p, file, &csv);
    if (err == HM_OK) {
        err = hm_units_import(p->s, hm_buf_bytes(&csv), today, &arena, &report);
        if (err != HM_OK) {
            err = fail_store(p, file, err);
        }
    }
    if (err == HM_OK && report.rejected_count > 0) {
        hm_buf_printf(p->errmsg, "%s/%s line %zu: %s", p->folder, file,
                      report.rejected[0].line, report.rejected[0].reason);
        err = HM_INVALID;
    }
    hm_buf_deinit(&csv);
    hm_arena_deinit(&arena);
    return err;
}

/* Forms. */

static int publish_form(struct publishing *p, const char *file)
{
    struct hm_form_publish_error fault;
    struct hm_buf xml;
    uint32_t number;
    int err;

    hm_buf_init(&xml, HM_XFORM_BYTES_MAX);
    err = read_file(p, file, &xml);
    if (err == HM_OK) {
        err = hm_form_publish(p->s, hm_buf_bytes(&xml), hm_buf_bytes(&p->words),
                              &number, &fault);
        if (err != HM_OK && fault.reason[0] != 0) {
            hm_buf_printf(p->errmsg, "%s/%s line %d: %s%s%s", p->folder, file,
                          fault.line, fault.node, fault.node[0] == 0 ? "" : ": ",
                          fault.reason);
            err = HM_INVALID;
        } else if (err != HM_OK) {
            err = fail_store(p, file, err);
        }
    }
    hm_buf_deinit(&xml);
    return err;
}

static int publish_forms(struct publishing *p, const json_t *forms)
{
    size_t at;
    json_t *file;

    json_array_foreach(forms, at, file)
    {
        const char *name = json_string_value(file);
        int err;

        if (name == NULL) {
            hm_buf_printf(p->errmsg, "%s/programme.json: forms are names of files",
                          p->folder);
            return HM_INVALID;
        }
        err = publish_form(p, name);
        if (err != HM_OK) {
            return err;
        }
    }
    return HM_OK;
}

/* Words make the dictionaries fit the place; a programme may do without. */
static int read_words(struct publishing *p)
{
    struct hm_buf ignored;
    int err;

    hm_buf_init(&ignored, 4096);
    err = hm_node_files_read(p->folder, "words.txt", &p->words, &ignored);
    hm_buf_deinit(&ignored);
    return err == HM_NOTFOUND ? HM_OK : err;
}

static int publish(struct publishing *p, json_t *about)
{
    const char *roles = json_string_value(json_object_get(about, "roles"));
    const char *units = json_string_value(json_object_get(about, "units"));
    const json_t *forms = json_object_get(about, "forms");
    int err;

    if (roles == NULL || units == NULL || !json_is_array(forms)) {
        hm_buf_printf(p->errmsg, "%s/programme.json: roles, units or forms are missing",
                      p->folder);
        return HM_INVALID;
    }
    err = read_words(p);
    if (err == HM_OK) {
        err = publish_roles(p, roles);
    }
    if (err == HM_OK) {
        err = publish_units(p, units);
    }
    if (err == HM_OK) {
        err = publish_forms(p, forms);
    }
    return err;
}

int hm_programme_publish(struct hm_store *s, const char *folder, struct hm_buf *errmsg)
{
    struct publishing p = {.s = s, .folder = folder, .errmsg = errmsg};
    json_t *about = NULL;
    int err;

    hm_buf_init(&p.words, HM_PROGRAMME_FILE_BYTES_MAX);
    err = read_json(&p, "programme.json", &about);
    if (err == HM_OK) {
        err = publish(&p, about);
    }
    json_decref(about);
    hm_buf_deinit(&p.words);
    return err;
}
