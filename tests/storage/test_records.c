#include "storage/records.h"

#include "tests/support/test.h"

static void write_three(struct hm_buf *buf)
{
    hm_buf_init(buf, 4096);
    hm_records_append(buf, HM_RECORD_ITEM, hm_bytes_str("first"));
    hm_records_append(buf, HM_RECORD_BLOB, hm_bytes_str(""));
    hm_records_append(buf, HM_RECORD_SEGMENT, hm_bytes_str("the third one"));
    CHECK_OK(buf->err);
}

static unsigned count_sound(struct hm_bytes bytes, uint64_t *out_skipped)
{
    struct hm_record record;
    unsigned count = 0;

    *out_skipped = 0;
    while (hm_records_next(&bytes, &record, out_skipped)) {
        count++;
    }
    assert_int_equal(bytes.len, 0);
    return count;
}

/* What was written is read, in order. */
HM_TEST(reads_what_was_written)
{
    struct hm_record record;
    struct hm_bytes left;
    uint64_t skipped = 0;
    struct hm_buf buf;

    write_three(&buf);
    left = hm_buf_bytes(&buf);
    assert_true(hm_records_next(&left, &record, &skipped));
    assert_int_equal(record.kind, HM_RECORD_ITEM);
    assert_true(hm_bytes_equal(record.body, hm_bytes_str("first")));
    assert_int_equal(record.whole.len, HM_RECORD_HEADER_BYTES + 5);
    assert_true(hm_records_next(&left, &record, &skipped));
    assert_int_equal(record.body.len, 0);
    assert_true(hm_records_next(&left, &record, &skipped));
    assert_int_equal(record.kind, HM_RECORD_SEGMENT);
    assert_false(hm_records_next(&left, &record, &skipped));
    assert_int_equal(skipped, 0);
    hm_buf_deinit(&buf);
}

/* A power cut leaves any beginning: whole records of it count, the torn one does not.
 */
HM_TEST(any_beginning_gives_its_whole_records)
{
    static const size_t ends[] = {HM_RECORD_HEADER_BYTES + 5,
                                  2 * HM_RECORD_HEADER_BYTES + 5,
                                  3 * HM_RECORD_HEADER_BYTES + 5 + 13};
    struct hm_buf buf;

    write_three(&buf);
    for (size_t len = 0; len <= buf.len; len++) {
        unsigned whole = 0;
        uint64_t skipped;

        while (whole < 3 && len >= ends[whole]) {
            whole++;
        }
        assert_int_equal(count_sound(hm_bytes_of(buf.data, len), &skipped), whole);
        assert_int_equal(skipped, len - (whole == 0 ? 0 : ends[whole - 1]));
    }
    hm_buf_deinit(&buf);
}

/* A flipped bit costs its record alone, wherever it is. */
HM_TEST(a_flip_costs_one_record)
{
    struct hm_buf buf;

    write_three(&buf);
    for (size_t bit = 0; bit < 8 * buf.len; bit++) {
        uint64_t skipped;

        buf.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(count_sound(hm_buf_bytes(&buf), &skipped), 2);
        assert_true(skipped >= HM_RECORD_HEADER_BYTES);
        buf.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    hm_buf_deinit(&buf);
}
