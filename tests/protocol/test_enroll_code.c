#include "protocol/enroll_code.h"

#include "tests/support/test.h"

static void fill(uint8_t *bytes, size_t len, uint8_t first)
{
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(first + 7 * i);
    }
}

static struct hm_enroll_code sample(const char *host_port)
{
    struct hm_enroll_code code = {0};

    (void)strcpy(code.host_port, host_port);
    fill(code.secret, sizeof code.secret, 3);
    fill(code.key_hash, sizeof code.key_hash, 91);
    return code;
}

static void write_code(const struct hm_enroll_code *code, struct hm_buf *buf)
{
    hm_buf_init(buf, HM_ENROLL_CODE_BYTES_MAX);
    hm_enroll_code_write(code->host_port, code->secret, code->key_hash, buf);
    CHECK_OK(buf->err);
}

static void check_same(const struct hm_enroll_code *a, const struct hm_enroll_code *b)
{
    assert_string_equal(a->host_port, b->host_port);
    assert_memory_equal(a->secret, b->secret, sizeof a->secret);
    assert_memory_equal(a->key_hash, b->key_hash, sizeof a->key_hash);
}

/* What the hub prints is what the laptop reads, for every kind of address. */
HM_TEST(what_is_written_is_read)
{
    static const char *const hosts[] = {"127.0.0.1:8471", "[::1]:8471", "hub-1.vn:1",
                                        "10.0.0.2:65535"};

    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct hm_enroll_code code = sample(hosts[i]);
        struct hm_enroll_code read = {0};
        struct hm_buf buf;

        write_code(&code, &buf);
        CHECK_OK(hm_enroll_code_read(hm_buf_bytes(&buf), &read));
        check_same(&code, &read);
        hm_buf_deinit(&buf);
    }
}

/* People read it aloud and type it: case, groups and blanks don't count. */
HM_TEST(typed_by_hand_is_read)
{
    struct hm_enroll_code code = sample("127.0.0.1:8471");
    struct hm_enroll_code read = {0};
    struct hm_buf buf;
    struct hm_buf typed;

    write_code(&code, &buf);
    hm_buf_init(&typed, 2 * HM_ENROLL_CODE_BYTES_MAX);
    hm_buf_append_str(&typed, "  ");
    for (size_t i = 0; i < buf.len; i++) {
        uint8_t c = buf.data[i];

        if (c == '-') {
            c = ' ';
        }
        hm_buf_append_u8(&typed, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
    }
    hm_buf_append_str(&typed, "\n");
    CHECK_OK(hm_enroll_code_read(hm_buf_bytes(&typed), &read));
    check_same(&code, &read);
    hm_buf_deinit(&typed);
    hm_buf_deinit(&buf);
}

/* Every cut and every strange text is refused, and leaves the target alone. */
HM_TEST(what_is_no_code_is_refused)
{
    static const char *const texts[] = {"",
                                        "hello",
                                        "hamlet://",
                                        "hamlet:///A#B",
                                        "hamlet://127.0.0.1:1/x#y",
                                        "https://127.0.0.1:8471/secret#hash",
                                        "hamlet://127.0.0.1/#",
                                        "hamlet://127.0.0.1:0/A#B",
                                        "hamlet://a b:1/A#B",
                                        "hamlet://127.0.0.1:8471#A/B"};
    struct hm_enroll_code code = sample("127.0.0.1:8471");
    struct hm_enroll_code read = {0};
    struct hm_buf buf;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(hm_enroll_code_read(hm_bytes_str(texts[i]), &read),
                         HM_MALFORMED);
    }
    write_code(&code, &buf);
    for (size_t len = 0; len < buf.len - 1; len++) {
        assert_int_equal(hm_enroll_code_read(hm_bytes_of(buf.data, len), &read),
                         HM_MALFORMED);
    }
    assert_string_equal(read.host_port, "");
    hm_buf_deinit(&buf);
}
