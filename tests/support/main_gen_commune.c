/* gen_commune: a household list of a made-up commune, for `hamlet import`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/commune_csv.h"

enum {
    HAMLETS_MAX = 200000,
    LINE_BYTES_MAX = 1024 * 1024,
    UNIT_BYTES_MAX = 1024,
    COLUMNS_MAX = 32,
    EXIT_USAGE = 2
};

struct arguments {
    struct hm_commune_csv csv;
    unsigned long households;
    const char *hamlets;
    const char *units;
    const char *former;
    const char *broken;
};

struct hamlets {
    char **codes;
    size_t count;
};

static int usage(FILE *to)
{
    (void)fputs(
        "usage: gen_commune [--seed N] [--households N] --hamlets CODE,CODE...\n"
        "       gen_commune [--seed N] [--households N] --units FILE [--former NAME]\n"
        "  writes CSV for `hamlet import` to standard output; same arguments, same "
        "bytes\n"
        "  --seed N             default 1\n"
        "  --households N       default 3000\n"
        "  --hamlets CODES      codes with commas between them\n"
        "  --units FILE         today's hamlets of a units.csv\n"
        "  --former NAME        of these, the ones of one former commune\n"
        "  --members-columns N  members side by side, 1 to 12, default 12\n"
        "  --messy              as out of a spreadsheet, with lines to be rejected\n"
        "  --broken FILE        HOUSEHOLD,LINE,FIELD of each line to be rejected; the "
        "first\n"
        "                       household is 1, the line of field names is 1\n",
        to);
    return to == stdout ? EXIT_SUCCESS : EXIT_USAGE;
}

static int hamlets_add(struct hamlets *hamlets, const char *code, size_t len)
{
    if (hamlets->codes == NULL) {
        hamlets->codes = calloc(HAMLETS_MAX, sizeof *hamlets->codes);
    }
    if (hamlets->codes == NULL) {
        return HM_NOMEM;
    }
    if (hamlets->count == HAMLETS_MAX) {
        return HM_TOOBIG;
    }
    hamlets->codes[hamlets->count] = strndup(code, len);
    if (hamlets->codes[hamlets->count] == NULL) {
        return HM_NOMEM;
    }
    hamlets->count++;
    return HM_OK;
}

static void hamlets_deinit(struct hamlets *hamlets)
{
    for (size_t i = 0; i < hamlets->count; i++) {
        free(hamlets->codes[i]);
    }
    free(hamlets->codes);
}

static int hamlets_of_list(const char *list, struct hamlets *hamlets)
{
    int err = HM_OK;

    while (err == HM_OK && *list != 0) {
        size_t len = strcspn(list, ",");

        if (len > 0) {
            err = hamlets_add(hamlets, list, len);
        }
        list += len + (list[len] == ',' ? 1 : 0);
    }
    return err;
}

/* Cuts a line into its cells in place. Quotes are not needed in a units.csv. */
static size_t cut(char *line, char **cells)
{
    size_t count = 0;

    line[strcspn(line, "\r\n")] = 0;
    for (char *at = line; count < COLUMNS_MAX; at++) {
        size_t len = strcspn(at, ",");
        bool last = at[len] == 0;

        cells[count++] = at;
        at[len] = 0;
        at += len;
        if (last) {
            break;
        }
    }
    return count;
}

static const char *cell_of(char **names, size_t name_count, char **cells, size_t count,
                           const char *name)
{
    for (size_t i = 0; i < name_count && i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return cells[i];
        }
    }
    return "";
}

static int hamlets_of_file(FILE *file, const char *former, struct hamlets *hamlets)
{
    char header[UNIT_BYTES_MAX];
    char line[UNIT_BYTES_MAX];
    char *names[COLUMNS_MAX];
    char *cells[COLUMNS_MAX];
    size_t name_count;
    int err = HM_OK;

    if (fgets(header, sizeof header, file) == NULL) {
        return HM_TRUNCATED;
    }
    name_count = cut(header, names);
    while (err == HM_OK && fgets(line, sizeof line, file) != NULL) {
        if (strchr(line, '"') != NULL || strchr(line, '\n') == NULL) {
            return HM_MALFORMED;
        }
        size_t count = cut(line, cells);
        const char *code = cell_of(names, name_count, cells, count, "code");

        if (strcmp(cell_of(names, name_count, cells, count, "kind"), "hamlet") == 0 &&
            cell_of(names, name_count, cells, count, "to")[0] == 0 &&
            (former == NULL ||
             strcmp(cell_of(names, name_count, cells, count, "former"), former) == 0)) {
            err = hamlets_add(hamlets, code, strlen(code));
        }
    }
    return ferror(file) != 0 ? HM_IO : err;
}

static int hamlets_init(const struct arguments *arguments, struct hamlets *hamlets)
{
    FILE *file;
    int err;

    if (arguments->hamlets != NULL) {
        return hamlets_of_list(arguments->hamlets, hamlets);
    }
    file = fopen(arguments->units, "r");
    if (file == NULL) {
        return HM_NOTFOUND;
    }
    err = hamlets_of_file(file, arguments->former, hamlets);
    (void)fclose(file); /* only read */
    return err;
}

static bool number_of(const char *text, unsigned long long max, unsigned long long *out)
{
    char *end;
    unsigned long long value;

    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    value = strtoull(text, &end, 10);
    if (*end != 0 || errno != 0 || value > max) {
        return false;
    }
    *out = value;
    return true;
}

/* One option with a value. */
static bool option(struct arguments *arguments, const char *name, const char *value)
{
    unsigned long long number = 0;

    if (value == NULL) {
        return false;
    }
    if (strcmp(name, "--seed") == 0 && number_of(value, UINT64_MAX, &number)) {
        arguments->csv.seed = number;
    } else if (strcmp(name, "--households") == 0 &&
               number_of(value, 100000000, &number)) {
        arguments->households = (unsigned long)number;
    } else if (strcmp(name, "--members-columns") == 0 &&
               number_of(value, HM_COMMUNE_MEMBERS_MAX, &number) && number > 0) {
        arguments->csv.member_columns = (size_t)number;
    } else if (strcmp(name, "--hamlets") == 0) {
        arguments->hamlets = value;
    } else if (strcmp(name, "--units") == 0) {
        arguments->units = value;
    } else if (strcmp(name, "--former") == 0) {
        arguments->former = value;
    } else if (strcmp(name, "--broken") == 0) {
        arguments->broken = value;
    } else {
        return false;
    }
    return true;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--messy") == 0) {
            arguments->csv.messy = true;
        } else if (option(arguments, argv[i], argv[i + 1])) {
            i++;
        } else {
            (void)fprintf(stderr, "gen_commune: %s is not understood\n", argv[i]);
            return false;
        }
    }
    return (arguments->hamlets == NULL) != (arguments->units == NULL);
}

static int flush(struct hm_buf *buf, FILE *to)
{
    int err = buf->err;

    if (err == HM_OK && fwrite(buf->data, 1, buf->len, to) != buf->len) {
        err = HM_IO;
    }
    hm_buf_clear(buf);
    return err;
}

static unsigned long line_breaks(const struct hm_buf *buf)
{
    unsigned long count = 0;

    for (size_t i = 0; i < buf->len; i++) {
        count += buf->data[i] == '\n';
    }
    return count;
}

/* A cell may hold a line break, so households and lines are counted apart. */
static int write_all(const struct arguments *arguments, FILE *broken)
{
    struct hm_buf buf;
    unsigned long line = 1;
    int err;

    hm_buf_init(&buf, LINE_BYTES_MAX);
    hm_commune_csv_header(&arguments->csv, &buf);
    err = flush(&buf, stdout);
    for (unsigned long i = 0; err == HM_OK && i < arguments->households; i++) {
        const char *why = hm_commune_csv_line(&arguments->csv, i, &buf);

        line++;
        if (why != NULL && broken != NULL &&
            fprintf(broken, "%lu,%lu,%s\n", i + 1, line, why) < 0) {
            err = HM_IO;
        }
        line += line_breaks(&buf) - 1;
        err = err == HM_OK ? flush(&buf, stdout) : err;
    }
    if (fflush(stdout) != 0) {
        err = HM_IO;
    }
    hm_buf_deinit(&buf);
    return err;
}

static int run(struct arguments *arguments, struct hamlets *hamlets)
{
    FILE *broken = NULL;
    int err = hamlets_init(arguments, hamlets);

    if (err == HM_OK && hamlets->count == 0) {
        err = HM_NOTFOUND;
    }
    if (err != HM_OK) {
        (void)fprintf(stderr, "gen_commune: no hamlets: %s\n", hm_err_text(err));
        return EXIT_FAILURE;
    }
    arguments->csv.hamlets = (const char *const *)hamlets->codes;
    arguments->csv.hamlet_count = hamlets->count;
    if (arguments->broken != NULL) {
        broken = fopen(arguments->broken, "w");
        err = broken == NULL ? HM_IO : HM_OK;
    }
    if (err == HM_OK) {
        err = write_all(arguments, broken);
    }
    if (broken != NULL && fclose(broken) != 0) {
        err = HM_IO;
    }
    if (err != HM_OK) {
        (void)fprintf(stderr, "gen_commune: %s\n", hm_err_text(err));
    }
    return err == HM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .csv = {.seed = 1, .member_columns = HM_COMMUNE_MEMBERS_MAX},
        .households = 3000};
    struct hamlets hamlets = {0};
    int status;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return usage(stdout);
    }
    if (!parse(argc, argv, &arguments)) {
        return usage(stderr);
    }
    status = run(&arguments, &hamlets);
    hamlets_deinit(&hamlets);
    return status;
}
