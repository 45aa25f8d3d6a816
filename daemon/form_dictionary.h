/* A compression dictionary for what will be filled into a form: households are made up
 * from the form's fields, written as changes, and learnt from.
 *
 * Pure: the same form gives the same dictionary; any thread; takes up to 3 s. */
#ifndef HM_DAEMON_FORM_DICTIONARY_H
#define HM_DAEMON_FORM_DICTIONARY_H

#include "protocol/buf.h"
#include "protocol/form/field_table.h"

enum {
    HM_FORM_DICTIONARY_SAMPLES = 2000,
    HM_FORM_DICTIONARY_BYTES = 32 * 1024,
    HM_FORM_DICTIONARY_SAMPLE_BYTES_MAX = 1024 * 1024 /* of all: bounds the time */
};

/* Append the dictionary to out. form: its permanent number. words: text answers are put
 * together from its lines; empty: from common Vietnamese names.
 * Errors: HM_INVALID (too little to learn from); HM_NOMEM; HM_TOOBIG (limit of out). */
int hm_form_dictionary_train(const struct hm_field_table *table, uint32_t form,
                             struct hm_bytes words, struct hm_buf *out) HM_MUST_USE;

#endif
