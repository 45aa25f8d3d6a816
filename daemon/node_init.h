/* Making a node: its folder with keys, configuration and an empty store.
 *
 * The part of `hamlet init`; needs no running node. Blocks on the disk and, for a
 * postgres:// store, on the database. One thread; two processes on one folder: the
 * second one gets HM_EXISTS. */
#ifndef HM_DAEMON_NODE_INIT_H
#define HM_DAEMON_NODE_INIT_H

#include "protocol/buf.h"

/* Texts are borrowed for the call and UTF-8. NULL means the default. */
struct hm_node_init {
    const char *dir;       /* required; made with its parents, mode 0700 */
    const char *name;      /* what people call the node; default: the host's name */
    const char *web;       /* ADDR:PORT on loopback, or "off"; default 127.0.0.1:8470 */
    const char *listen;    /* ADDR:PORT, or "off"; default off: the node is no hub */
    const char *public;    /* HOST:PORT in enrolment codes; default: listen's */
    const char *phones;    /* ADDR:PORT, or "off"; default off */
    const char *programme; /* a folder, or the name of a bundled programme; default
                            * none: it will come from the upstream */
    const char *store;     /* "sqlite" (default) or a postgres:// URL */
};

/* Make the node: afterwards `hamletd --dir DIR` starts. Nothing is left behind on
 * error, but for a folder that was there before. errmsg (initialised by the caller)
 * gets one line for people, without a full stop, on every error.
 *
 * Errors:
 *   HM_INVALID   an option makes no sense: an address that is not loopback for web, a
 *                port that is no number, a programme with faults
 *   HM_EXISTS    there is a node in dir, or dir is not empty
 *   HM_NOTFOUND  there is no such programme
 *   HM_DENIED    the folder may not be written
 *   HM_NETWORK   the database does not answer
 *   HM_NOSPACE, HM_IO, HM_NOMEM */
int hm_node_init(const struct hm_node_init *options, struct hm_buf *errmsg) HM_MUST_USE;

#endif
