/* Error codes shared by all layers.
 *
 * A function that can fail returns int: HM_OK (0) or one of the negative codes
 * below. SQLite, libuv, curl, HTTP and msgpack numbers are mapped to these once,
 * beside the call that produced them, and never travel further.
 *
 * Pure: no state, any thread. */
#ifndef HM_PROTOCOL_ERR_H
#define HM_PROTOCOL_ERR_H

/* What the daemon does about an error. */
enum hm_err_class {
    HM_CLASS_NONE,   /* nothing: success or an expected cancellation */
    HM_CLASS_RETRY,  /* keep the work, try again after a backoff */
    HM_CLASS_REJECT, /* this item can never succeed: quarantine it and go on */
    HM_CLASS_FATAL   /* stop; state on disk must be looked at */
};

/* X(name, value, class, text). Values appear in logs: append, never renumber. */
/* clang-format off */
#define HM_ERR_TABLE(X)                                                   \
    X(OK,             0, NONE,   "ok")                                    \
    X(CANCELED,      -1, NONE,   "canceled because the owner is closing") \
    X(NOMEM,         -2, RETRY,  "out of memory")                         \
    X(NETWORK,       -3, RETRY,  "the other node is not reachable")       \
    X(NOSPACE,       -4, RETRY,  "the disk is full: free some space and try again") \
    X(TRUNCATED,     -5, REJECT, "data ends before the item does")        \
    X(MALFORMED,     -6, REJECT, "data breaks the wire format")           \
    X(TOOBIG,        -7, REJECT, "data exceeds a documented limit")       \
    X(CORRUPT,       -8, FATAL,  "stored data fails its integrity check") \
    X(IO,            -9, FATAL,  "storage device reported an error")      \
    X(BUSY,         -10, RETRY,  "storage is locked by another process")  \
    X(NOTFOUND,     -11, REJECT, "there is no such thing")                \
    X(EXISTS,       -12, REJECT, "it is there already")                   \
    X(DENIED,       -13, REJECT, "the right for this is missing")         \
    X(NONCANONICAL, -14, REJECT, "data is not in its one canonical form") \
    X(SIGNATURE,    -15, REJECT, "the signature does not match")          \
    X(CHAIN,        -16, REJECT, "the hash chain does not match")         \
    X(GAP,          -17, RETRY,  "earlier changes are missing")           \
    X(VERSION,      -18, RETRY,  "the versions do not fit together")      \
    X(INVALID,      -19, REJECT, "the request does not make sense")       \
    X(DICTIONARY,   -20, RETRY,  "the compression dictionary is missing") \
    X(AGAIN,        -21, RETRY,  "not now, ask again")                    \
    X(REVOKED,      -30, REJECT, "it was written after its device had been revoked")
/* clang-format on */

enum hm_err {
#define HM_ERR_ENUM(name, value, class, text) HM_##name = (value),
    HM_ERR_TABLE(HM_ERR_ENUM)
#undef HM_ERR_ENUM
};

/* The name without its prefix ("NOMEM"); "?" for a number not in the table. Static. */
const char *hm_err_name(int err);
/* One English sentence without a full stop. Static. */
const char *hm_err_text(int err);
/* HM_CLASS_FATAL for a number not in the table. */
enum hm_err_class hm_err_class(int err);

/* Ends the process with a line on standard error. For bugs of our own only: nothing
 * that comes from a peer, a file, a user or the clock may reach one. Stays on in
 * release builds. */
#define HM_ASSERT(condition)                                                           \
    ((condition) ? (void)0 : hm_assert_failed(#condition, __FILE__, __LINE__))
void hm_assert_failed(const char *condition, const char *file, int line)
    __attribute__((noreturn));

#define HM_MUST_USE __attribute__((warn_unused_result))

#endif
