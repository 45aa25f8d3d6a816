/* Households, forms and conflicts in words for people. */
#include <string.h>

#include "daemon/cli/cli.h"
#include "daemon/cli/cli_print.h"

static bool is_text(const json_t *object, const char *name)
{
    return json_is_string(json_object_get(object, name));
}

/* Names and values, one on each line, aligned. */
static void print_values(FILE *out, const json_t *values, const char *mark)
{
    size_t width = 0;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)values, name, value)
    {
        size_t used = hm_cli_print_width(hm_bytes_str(name));

        width = used > width ? used : width;
    }
    json_object_foreach((json_t *)values, name, value)
    {
        size_t fill = width - hm_cli_print_width(hm_bytes_str(name));

        (void)fprintf(out, "  %s%s%*s  ", mark, name, (int)fill, "");
        hm_cli_print_words(out, value);
        (void)fputc('\n', out);
    }
}

static void print_row(FILE *out, const json_t *row)
{
    hm_cli_print_fill(out, row, "\n{form}");
    if (is_text(row, "round")) {
        hm_cli_print_fill(out, row, "@{round}");
    }
    if (is_text(row, "repeat")) {
        hm_cli_print_fill(out, row, ":{repeat}[{item}]");
    }
    (void)fputc('\n', out);
    print_values(out, json_object_get(row, "values"), "");
    print_values(out, json_object_get(row, "derived"), "= ");
}

static void print_findings(FILE *out, const json_t *findings)
{
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);

        hm_cli_print_fill(out, finding, "finding: {form}, {field}: {text}\n");
    }
}

static void print_conflict(FILE *out, const json_t *conflict)
{
    static const struct hm_cli_column columns[] = {
        {"N", "n", true},        {"VALUE", "value", false},
        {"WHO", "who", false},   {"DEVICE", "device", false},
        {"WHEN", "when", false}, {0}};

    hm_cli_print_fill(out, conflict, "\n{cell}  ({label})\n");
    hm_cli_print_table(out, json_object_get(conflict, "values"), columns);
}

static void print_history(FILE *out, const json_t *history)
{
    for (size_t i = 0; i < json_array_size(history); i++) {
        const json_t *change = json_array_get(history, i);
        const json_t *cells = json_object_get(change, "cells");

        hm_cli_print_fill(out, change, "\n{when}  {who} on {device}  ({change})");
        if (json_is_string(json_object_get(change, "at"))) {
            hm_cli_print_fill(out, change, "  at the {at}");
        } else {
            (void)fputs("  on this node alone", out);
        }
        (void)fputc('\n', out);
        for (size_t k = 0; k < json_array_size(cells); k++) {
            const json_t *cell = json_array_get(cells, k);

            hm_cli_print_fill(out, cell, "  {cell}  {value}");
            if (json_array_size(json_object_get(cell, "replaced")) > 0) {
                hm_cli_print_fill(out, cell, "  (was {replaced})");
            }
            (void)fputc('\n', out);
        }
    }
}

void hm_cli_show_household(struct hm_cli *cli, const json_t *document)
{
    const json_t *rows = json_object_get(document, "rows");
    const json_t *conflicts = json_object_get(document, "conflicts");
    FILE *out = cli->out;

    hm_cli_print_fill(out, document, "household {household} in {scope}\n");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        print_row(out, json_array_get(rows, i));
    }
    if (json_array_size(conflicts) > 0) {
        (void)fputs("\nConflicts\n", out);
    }
    for (size_t i = 0; i < json_array_size(conflicts); i++) {
        print_conflict(out, json_array_get(conflicts, i));
    }
    if (json_array_size(json_object_get(document, "findings")) > 0) {
        (void)fputc('\n', out);
        print_findings(out, json_object_get(document, "findings"));
    }
    if (json_object_get(document, "history") != NULL) {
        (void)fputs("\nHistory\n", out);
        print_history(out, json_object_get(document, "history"));
    }
}

void hm_cli_show_saved(struct hm_cli *cli, const json_t *document)
{
    const json_t *items = json_object_get(document, "items");
    FILE *out = cli->out;

    if (is_text(document, "change")) {
        hm_cli_print_fill(out, document,
                          "saved household {household} as change {change}\n");
    } else {
        hm_cli_print_fill(out, document, "household {household} was so already\n");
    }
    if (json_array_size(items) > 0) {
        hm_cli_print_fill(out, document, "new rows: {items}\n");
    }
    print_findings(out, json_object_get(document, "findings"));
    print_values(out, json_object_get(document, "derived"), "= ");
}

void hm_cli_show_conflict_list(struct hm_cli *cli, const json_t *document)
{
    static const struct hm_cli_column columns[] = {
        {"HOUSEHOLD", "household", false}, {"SCOPE", "scope", false},
        {"CELL", "cell", false},           {"LABEL", "label", false},
        {"VALUES", "said", false},         {0}};
    json_t *rows = json_deep_copy(document);

    if (json_array_size(rows) == 0) {
        (void)fputs("No conflicts.\n", cli->out);
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        const json_t *values = json_object_get(row, "values");
        json_t *said = json_array();

        for (size_t k = 0; k < json_array_size(values); k++) {
            (void)json_array_append(
                said, json_object_get(json_array_get(values, k), "value"));
        }
        (void)json_object_set_new(row, "said", said);
    }
    if (json_array_size(rows) > 0) {
        hm_cli_print_table(cli->out, rows, columns);
    }
    json_decref(rows);
}

void hm_cli_show_conflicts(struct hm_cli *cli, const json_t *document)
{
    if (json_array_size(document) == 0) {
        (void)fputs("No conflicts.\n", cli->out);
    }
    for (size_t i = 0; i < json_array_size(document); i++) {
        print_conflict(cli->out, json_array_get(document, i));
    }
}

void hm_cli_show_resolved(struct hm_cli *cli, const json_t *document)
{
    hm_cli_print_count(cli->out, hm_cli_print_int(document, "resolved"), "conflict",
                       "conflicts");
    hm_cli_print_fill(cli->out, document, " decided, {left} left\n");
}

void hm_cli_show_form(struct hm_cli *cli, const json_t *document)
{
    static const struct hm_cli_column columns[] = {
        {"ID", "id", true},          {"NAME", "name", false},
        {"REPEAT", "repeat", false}, {"TYPE", "type", false},
        {"POLICY", "policy", false}, {"DERIVED", "derived", false},
        {"LABEL", "label", false},   {0}};
    const json_t *fields = json_object_get(document, "fields");
    const json_t *warnings = json_object_get(document, "warnings");

    hm_cli_print_fill(cli->out, document,
                      "{id} version {version}, filled {fill}: {title}\n");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const json_t *warning = json_array_get(warnings, i);

        hm_cli_print_fill(cli->out, warning, "warning: {node}: {text}\n");
    }
    if (json_array_size(fields) > 0) {
        (void)fputc('\n', cli->out);
        hm_cli_print_table(cli->out, fields, columns);
    }
}
