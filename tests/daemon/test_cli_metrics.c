#include "tests/support/test.h"

#include <stdlib.h>

#include "daemon/cli/cli_metrics.h"

/* Scripts read counters as JSON. */
HM_TEST(samples)
{
    json_t *list = hm_cli_metrics_parse(hm_bytes_str("# HELP a b\n"
                                                     "saves_total 12\n"
                                                     "x{k=\"a\\\"}\",l=\"\"} 0.5 17\n"
                                                     "nan NaN"));
    char *text = json_dumps(list, JSON_COMPACT);

    assert_string_equal(
        text, "[{\"name\":\"saves_total\",\"labels\":{},\"value\":12},"
              "{\"name\":\"x\",\"labels\":{\"k\":\"a\\\"}\",\"l\":\"\"},\"value\":0.5},"
              "{\"name\":\"nan\",\"labels\":{},\"value\":null}]");
    free(text);
    json_decref(list);
}

HM_TEST(what_is_no_sample)
{
    static const char *const bad[] = {"a\n",     "a b\n", "a{k 1\n", "a{k=\"",
                                      "a{k=\"v", "a{k=",  "a{="};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(hm_cli_metrics_parse(hm_bytes_str(bad[i])));
    }
}
