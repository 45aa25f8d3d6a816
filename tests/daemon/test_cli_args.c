#include "tests/support/test.h"

#include <string.h>

#include "daemon/cli/cli.h"

static struct hm_cli_args args;

/* line: words separated by one blank, the program's name left out. */
static int parse(const char *line)
{
    static char words[512];
    static char *argv[32];
    int argc = 1;

    (void)snprintf(words, sizeof words, "%s", line);
    args = (struct hm_cli_args){0};
    argv[0] = (char *)"hamlet";
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    return hm_cli_args_parse(&args, argc, argv, hm_cli_table());
}

/* People put --json where they think of it. */
HM_TEST(globals_anywhere)
{
    CHECK_OK(parse("--dir /a --json device list"));
    assert_string_equal(args.command->name, "device list");
    assert_string_equal(args.dir, "/a");
    assert_true(args.json);
    CHECK_OK(parse("device --dir=/b list --as lan --json"));
    assert_string_equal(args.command->name, "device list");
    assert_string_equal(args.dir, "/b");
    assert_string_equal(args.as, "lan");
}

/* "sync" is a command and the first word of two others. */
HM_TEST(one_word_or_two)
{
    CHECK_OK(parse("sync"));
    assert_string_equal(args.command->name, "sync");
    CHECK_OK(parse("sync --wait 60"));
    assert_string_equal(hm_cli_args_get(&args, "wait"), "60");
    CHECK_OK(parse("sync pause"));
    assert_string_equal(args.command->name, "sync pause");
    assert_int_equal(parse("sync --wait 60 pause"), HM_INVALID);
    assert_int_equal(parse("sync twice"), HM_INVALID);
    assert_int_equal(parse("device"), HM_INVALID);
    assert_int_equal(parse("device dance"), HM_INVALID);
    assert_int_equal(parse(""), HM_INVALID);
}

/* A list takes the words up to the next option, and may be given again. */
HM_TEST(lists)
{
    CHECK_OK(parse("device invite --scope 1 2 --name T --scope 3"));
    assert_int_equal(args.given_count, 4);
    assert_string_equal(args.given[1].value, "2");
    assert_string_equal(args.given[3].value, "3");
    assert_string_equal(hm_cli_args_get(&args, "name"), "T");
}

/* What is wrong must be named, since it is the only help in a script's log. */
HM_TEST(wrong_usage_is_named)
{
    assert_int_equal(parse("device invite --name T"), HM_INVALID);
    assert_string_equal(args.problem, "\"device invite\" needs --scope CODE");
    assert_int_equal(parse("status --colour"), HM_INVALID);
    assert_string_equal(args.problem, "unknown option --colour");
    assert_int_equal(parse("status now"), HM_INVALID);
    assert_string_equal(args.problem, "\"status\": what is \"now\"?");
    assert_int_equal(parse("sync --wait soon"), HM_INVALID);
    assert_string_equal(args.problem, "--wait: \"soon\" is not a number");
    assert_int_equal(parse("import"), HM_INVALID);
    assert_string_equal(args.problem, "\"import\" needs: FILE.csv");
    assert_int_equal(parse("sync --wait"), HM_INVALID);
    assert_int_equal(parse("--json=yes status"), HM_INVALID);
    assert_int_equal(parse("fly"), HM_INVALID);
    assert_string_equal(args.problem, "there is no command \"fly\"");
}

/* A value may begin with a dash; behind "--" every word is an argument. */
HM_TEST(dashes)
{
    CHECK_OK(parse("conflict resolve 1.2 --cell f:x --value -5"));
    assert_string_equal(hm_cli_args_get(&args, "value"), "-5");
    CHECK_OK(parse("export -oout.csv --form review"));
    assert_string_equal(hm_cli_args_get(&args, "output"), "out.csv");
    CHECK_OK(parse("import -- -odd.csv"));
    assert_string_equal(args.arg[0], "-odd.csv");
    CHECK_OK(parse("household put -"));
    assert_string_equal(args.arg[0], "-");
}

/* Help needs nothing else to be right. */
HM_TEST(help_first)
{
    CHECK_OK(parse("device invite --help"));
    assert_true(args.help);
    CHECK_OK(parse("device --help"));
    assert_string_equal(args.group, "device");
    CHECK_OK(parse("--version"));
    assert_true(args.version);
}

/* Too many of a list must not write behind the table. */
HM_TEST(too_many_options)
{
    static char *argv[HM_CLI_GIVEN_MAX + 16];
    int argc = 0;

    argv[argc++] = (char *)"hamlet";
    argv[argc++] = (char *)"device";
    argv[argc++] = (char *)"invite";
    argv[argc++] = (char *)"--scope";
    for (int i = 0; i < HM_CLI_GIVEN_MAX + 1; i++) {
        argv[argc++] = (char *)"1";
    }
    args = (struct hm_cli_args){0};
    assert_int_equal(hm_cli_args_parse(&args, argc, argv, hm_cli_table()), HM_INVALID);
    assert_string_equal(args.problem, "too many options");
}

/* The table is data: a slip in a row shows only when that command is used. */
HM_TEST(every_row_is_sound)
{
    for (const struct hm_cli_command *c = hm_cli_table(); c->name != NULL; c++) {
        assert_non_null(c->args);
        assert_non_null(c->summary);
        assert_non_null(c->method);
        assert_non_null(c->path);
        assert_true(c->arg_count_min <= c->arg_count_max);
        assert_true(c->columns == NULL || c->empty != NULL);
        assert_int_equal(c->arg_count_max > 0, c->args[0] != 0);
        for (const struct hm_cli_option *o = c->options; o != NULL && o->name != NULL;
             o++) {
            assert_non_null(o->help);
            assert_int_equal(o->type == HM_CLI_FLAG, o->value == NULL);
        }
    }
}
