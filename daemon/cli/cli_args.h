/* The command line's words: options, commands and arguments, matched against a table.
 *
 * Knows the table's shape but no command. Pure but for the words, which stay borrowed
 * from argv. One thread. */
#ifndef HM_DAEMON_CLI_CLI_ARGS_H
#define HM_DAEMON_CLI_CLI_ARGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "protocol/err.h"

enum { HM_CLI_ARGS_MAX = 8, HM_CLI_GIVEN_MAX = 256 };

struct hm_cli;

enum hm_cli_type {
    HM_CLI_FLAG,   /* no value */
    HM_CLI_TEXT,   /* one value */
    HM_CLI_NUMBER, /* one value, decimal digits */
    HM_CLI_LIST    /* values up to the next option; may be given again */
};

enum hm_cli_where {
    HM_CLI_LOCAL, /* the command's own code looks at it */
    HM_CLI_QUERY, /* goes into the query */
    HM_CLI_BODY   /* goes into the request's JSON */
};

struct hm_cli_option {
    const char *name; /* without dashes; NULL ends a table */
    char letter;      /* 0: none */
    enum hm_cli_type type;
    enum hm_cli_where where;
    bool required;
    const char *value; /* what the help calls the value; NULL for a flag */
    const char *key;   /* its name in the request; NULL: name */
    const char *help;
};

struct hm_cli_column {
    const char *title; /* NULL ends a table */
    const char *path;  /* member of each row, "a.b" for one below */
    bool right;        /* numbers */
};

struct hm_cli_command {
    const char *name; /* one or two words; NULL ends a table */
    const char *args; /* for the help; "" for none */
    const char *summary;
    const struct hm_cli_option *options; /* NULL: none */
    int arg_count_min;
    int arg_count_max;
    const char *method;
    const char *path; /* below /api/v1/; {} takes an argument */
    const char *key;  /* member of the request for the first argument not in path */
    int (*run)(struct hm_cli *cli); /* NULL: send what the row says */
    void (*show)(struct hm_cli *cli, const json_t *document);
    const struct hm_cli_column *columns; /* of a list; instead of show */
    const char *empty;                   /* said for people when the list is empty */
};

struct hm_cli_given {
    const struct hm_cli_option *option;
    const char *value; /* NULL for a flag */
};

/* Zero it before use. Everything points into argv and the table. */
struct hm_cli_args {
    const struct hm_cli_command *command; /* NULL: none was named */
    const char *group; /* "device" when only the first of two words was named */
    bool json;
    bool help;
    bool version;
    const char *dir; /* NULL: not given */
    const char *as;  /* NULL: not given */
    const char *arg[HM_CLI_ARGS_MAX];
    int arg_count;
    struct hm_cli_given given[HM_CLI_GIVEN_MAX];
    size_t given_count;
    char problem[256]; /* one line, when parsing fails */
};

/* The options that every command takes; ends with a NULL name. Static. */
const struct hm_cli_option *hm_cli_args_globals(void);

/* Read argv[1..]. Global options may stand anywhere, "--" ends options.
 *
 * Errors:
 *   HM_INVALID  wrong usage, said in args->problem; args->command is set when known */
int hm_cli_args_parse(struct hm_cli_args *args, int argc, char **argv,
                      const struct hm_cli_command *table) HM_MUST_USE;

/* The last value of a command's option, NULL when absent (or a flag). */
const char *hm_cli_args_get(const struct hm_cli_args *args, const char *name);
bool hm_cli_args_has(const struct hm_cli_args *args, const char *name);

#endif
