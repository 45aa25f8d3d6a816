#include "daemon/cli/cli_args.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Walks over argv. */
struct walk {
    struct hm_cli_args *args;
    const struct hm_cli_command *table;
    char **argv;
    int argc;
    int at;
    bool plain; /* behind "--": every word is an argument */
};

static const struct hm_cli_option globals[] = {
    {"dir", 0, HM_CLI_TEXT, HM_CLI_LOCAL, false, "DIR", NULL,
     "the node's folder (default $HAMLET_DIR or /var/lib/hamletd)"},
    {"json", 0, HM_CLI_FLAG, HM_CLI_LOCAL, false, NULL, NULL,
     "one JSON document on standard output"},
    {"as", 0, HM_CLI_TEXT, HM_CLI_LOCAL, false, "USER", NULL,
     "act with the rights of this user"},
    {"help", 'h', HM_CLI_FLAG, HM_CLI_LOCAL, false, NULL, NULL, "this text"},
    {"version", 0, HM_CLI_FLAG, HM_CLI_LOCAL, false, NULL, NULL, "the version"},
    {0},
};

const struct hm_cli_option *hm_cli_args_globals(void)
{
    return globals;
}

__attribute__((format(printf, 2, 3))) static int wrong(struct hm_cli_args *args,
                                                       const char *format, ...)
{
    va_list values;

    va_start(values, format);
    (void)vsnprintf(args->problem, sizeof args->problem, format, values);
    va_end(values);
    return HM_INVALID;
}

/* len: of name, which may go on with "=value". */
static const struct hm_cli_option *find_long(const struct hm_cli_option *options,
                                             const char *name, size_t len)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (strlen(options->name) == len && memcmp(options->name, name, len) == 0) {
            return options;
        }
    }
    return NULL;
}

static const struct hm_cli_option *find_letter(const struct hm_cli_option *options,
                                               char letter)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (options->letter != 0 && options->letter == letter) {
            return options;
        }
    }
    return NULL;
}

static int keep(struct hm_cli_args *args, const struct hm_cli_option *option,
                const char *value)
{
    if (option == &globals[0]) {
        args->dir = value;
    } else if (option == &globals[1]) {
        args->json = true;
    } else if (option == &globals[2]) {
        args->as = value;
    } else if (option == &globals[3]) {
        args->help = true;
    } else if (option == &globals[4]) {
        args->version = true;
    } else if (args->given_count == HM_CLI_GIVEN_MAX) {
        return wrong(args, "too many options");
    } else {
        args->given[args->given_count].option = option;
        args->given[args->given_count].value = value;
        args->given_count++;
    }
    return HM_OK;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != 0;
}

static bool is_number(const char *text)
{
    size_t len = strspn(text, "0123456789");

    return len > 0 && len <= 9 && text[len] == 0;
}

/* value: what stands in the same word, NULL when there is nothing. */
static int take_option(struct walk *w, const struct hm_cli_option *option,
                       const char *value)
{
    struct hm_cli_args *args = w->args;
    int err;

    if (option->type == HM_CLI_FLAG) {
        return value == NULL ? keep(args, option, NULL)
                             : wrong(args, "--%s takes no value", option->name);
    }
    if (value == NULL) {
        if (w->at == w->argc) {
            return wrong(args, "--%s needs a value: %s", option->name, option->value);
        }
        value = w->argv[w->at++];
    }
    if (option->type == HM_CLI_NUMBER && !is_number(value)) {
        return wrong(args, "--%s: \"%s\" is not a number", option->name, value);
    }
    err = keep(args, option, value);
    if (option->type == HM_CLI_LIST) {
        while (err == HM_OK && w->at < w->argc && !is_option(w->argv[w->at])) {
            err = keep(args, option, w->argv[w->at++]);
        }
    }
    return err;
}

static int on_option(struct walk *w, const char *word)
{
    const struct hm_cli_command *command = w->args->command;
    const struct hm_cli_option *own = command == NULL ? NULL : command->options;
    const struct hm_cli_option *option;
    const char *value = NULL;

    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");

        option = find_long(globals, word + 2, len);
        if (option == NULL) {
            option = find_long(own, word + 2, len);
        }
        if (word[2 + len] == '=') {
            value = word + 2 + len + 1;
        }
    } else {
        option = find_letter(globals, word[1]);
        if (option == NULL) {
            option = find_letter(own, word[1]);
        }
        if (word[2] != 0) {
            value = word + 2;
        }
    }
    if (option == NULL) {
        return wrong(w->args, "unknown option %s", word);
    }
    return take_option(w, option, value);
}

/* The row whose name is first, or first and second. */
static const struct hm_cli_command *find_command(const struct hm_cli_command *table,
                                                 const char *first, const char *second)
{
    size_t len = strlen(first);

    for (; table->name != NULL; table++) {
        if (strncmp(table->name, first, len) == 0) {
            const char *rest = table->name + len;

            if (second == NULL ? *rest == 0
                               : *rest == ' ' && strcmp(rest + 1, second) == 0) {
                return table;
            }
        }
    }
    return NULL;
}

static bool is_group(const struct hm_cli_command *table, const char *word)
{
    size_t len = strlen(word);

    for (; table->name != NULL; table++) {
        if (strncmp(table->name, word, len) == 0 && table->name[len] == ' ') {
            return true;
        }
    }
    return false;
}

static int on_word(struct walk *w, const char *word)
{
    struct hm_cli_args *args = w->args;
    const struct hm_cli_command *longer;

    if (args->command == NULL && args->group == NULL) {
        args->command = find_command(w->table, word, NULL);
        if (is_group(w->table, word)) {
            args->group = word;
        } else if (args->command == NULL) {
            return wrong(args, "there is no command \"%s\"", word);
        }
        return HM_OK;
    }
    if (args->group != NULL) {
        longer = find_command(w->table, args->group, word);
        if (longer != NULL) {
            args->command = longer;
            args->group = NULL;
            return HM_OK;
        }
        if (args->command == NULL) {
            return wrong(args, "there is no command \"%s %s\"", args->group, word);
        }
        args->group = NULL; /* a command of one word, and this is its argument */
    }
    if (args->arg_count == HM_CLI_ARGS_MAX) {
        return wrong(args, "too many arguments");
    }
    args->arg[args->arg_count++] = word;
    return HM_OK;
}

static bool belongs(const struct hm_cli_command *command,
                    const struct hm_cli_option *option)
{
    for (const struct hm_cli_option *o = command->options; o != NULL && o->name != NULL;
         o++) {
        if (o == option) {
            return true;
        }
    }
    return false;
}

/* What can be said only when all words are read. */
static int check(struct hm_cli_args *args)
{
    const struct hm_cli_command *command = args->command;

    if (args->help || args->version) {
        return HM_OK;
    }
    if (command == NULL) {
        return args->group == NULL
                   ? wrong(args, "no command")
                   : wrong(args, "\"%s\" wants a second word", args->group);
    }
    for (size_t i = 0; i < args->given_count; i++) {
        if (!belongs(command, args->given[i].option)) {
            return wrong(args, "\"%s\" does not take --%s", command->name,
                         args->given[i].option->name);
        }
    }
    if (args->arg_count < command->arg_count_min) {
        return wrong(args, "\"%s\" needs: %s", command->name, command->args);
    }
    if (args->arg_count > command->arg_count_max) {
        return wrong(args, "\"%s\": what is \"%s\"?", command->name,
                     args->arg[command->arg_count_max]);
    }
    for (const struct hm_cli_option *o = command->options; o != NULL && o->name != NULL;
         o++) {
        if (o->required && !hm_cli_args_has(args, o->name)) {
            return wrong(args, "\"%s\" needs --%s %s", command->name, o->name,
                         o->value);
        }
    }
    return HM_OK;
}

int hm_cli_args_parse(struct hm_cli_args *args, int argc, char **argv,
                      const struct hm_cli_command *table)
{
    struct walk w = {.args = args, .table = table, .argv = argv, .argc = argc, .at = 1};

    while (w.at < argc) {
        const char *word = argv[w.at++];
        int err;

        if (!w.plain && strcmp(word, "--") == 0) {
            w.plain = true;
            continue;
        }
        err = !w.plain && is_option(word) ? on_option(&w, word) : on_word(&w, word);
        if (err != HM_OK) {
            return err;
        }
    }
    return check(args);
}

static const struct hm_cli_given *find_given(const struct hm_cli_args *args,
                                             const char *name)
{
    for (size_t i = args->given_count; i > 0; i--) {
        if (strcmp(args->given[i - 1].option->name, name) == 0) {
            return &args->given[i - 1];
        }
    }
    return NULL;
}

const char *hm_cli_args_get(const struct hm_cli_args *args, const char *name)
{
    const struct hm_cli_given *given = find_given(args, name);

    return given == NULL ? NULL : given->value;
}

bool hm_cli_args_has(const struct hm_cli_args *args, const char *name)
{
    return find_given(args, name) != NULL;
}
