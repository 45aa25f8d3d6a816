/* Publishing a form: an XForm becomes a description, a field table with permanent
 * numbers, a dictionary for compression, blobs, and an item that travels.
 *
 * Runs inside a transaction of the caller. Blocking, up to 3 s; thread as the store. */
#ifndef HM_DAEMON_FORM_PUBLISH_H
#define HM_DAEMON_FORM_PUBLISH_H

#include "storage/forms.h"

struct hm_form_publish_error {
    int line;         /* of the XML, 0 when unknown */
    char node[200];   /* "" when it is about the whole form */
    char reason[320]; /* one line for people, with the way out */
};

/* words: one a line, what answers of type text are like; may be empty. The same XForm
 * again changes nothing.
 *
 * Errors (error says why for the first four, and is empty else):
 *   HM_MALFORMED, HM_INVALID, HM_TOOBIG  not a form that can be published
 *   HM_EXISTS   this version is published with another content: raise the version
 *   HM_DENIED   not the centre
 *   the store's */
int hm_form_publish(struct hm_store *s, struct hm_bytes xml, struct hm_bytes words,
                    uint32_t *out_number,
                    struct hm_form_publish_error *error) HM_MUST_USE;

#endif
