/* The first tables. Never edited once released: later migrations add to them.
 *
 * What belongs to households is distributed by scope. The log is not: it lies by
 * incarnation, as it is signed, sent and receipted; history leads from a household to
 * its entries. */
#include "storage/tables.h"

/* Facts about this node: texts, numbers, bytes. */
static const struct hm_table meta = {
    .name = "meta",
    .columns = {HM_COLUMN("name", TEXT), HM_COLUMN_NULL("number", INT),
                HM_COLUMN_NULL("bytes", BLOB)},
    .primary_key = "name",
};

/* Logs: entries 0 .. entries - 1 are held, chain is the last one's hash. */
static const struct hm_table incarnation = {
    .name = "incarnation",
    .columns = {HM_COLUMN("incarnation", U64), HM_COLUMN("device", U64),
                HM_COLUMN("own", INT), HM_COLUMN("base_wall_ms", INT),
                HM_COLUMN("clock_class", INT), HM_COLUMN("clock_offset_ms", INT),
                HM_COLUMN("parent", U64), HM_COLUMN("parent_n", INT),
                HM_COLUMN("entries", INT), HM_COLUMN("chain", BLOB),
                HM_COLUMN("sealed", INT)},
    .primary_key = "incarnation",
    .indexes = {"device", "own"},
};

/* bytes only while the entry lies in no segment; verdict 0 or why it was refused. */
static const struct hm_table entry = {
    .name = "entry",
    .columns = {HM_COLUMN("incarnation", U64), HM_COLUMN("n", INT),
                HM_COLUMN("chain", BLOB), HM_COLUMN("verdict", INT),
                HM_COLUMN_NULL("segment", INT), HM_COLUMN_NULL("bytes", BLOB)},
    .primary_key = "incarnation, n",
};

static const struct hm_table segment = {
    .name = "segment",
    .columns = {HM_COLUMN("incarnation", U64), HM_COLUMN("first_n", INT),
                HM_COLUMN("last_n", INT), HM_COLUMN("bytes", BLOB)},
    .primary_key = "incarnation, first_n",
};

static const struct hm_table history = {
    .name = "history",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("a", U64), HM_COLUMN("n", INT),
                HM_COLUMN("author", U64), HM_COLUMN("author_n", INT)},
    .primary_key = "scope, a, n, author, author_n",
};

/* scope: the household's home. */
static const struct hm_table household = {
    .name = "household",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("a", U64), HM_COLUMN("n", INT),
                HM_COLUMN("state", BLOB), HM_COLUMN("hash", BLOB),
                HM_COLUMN("changed_utc_ms", INT)},
    .primary_key = "scope, a, n",
};

/* Where a household is found by its id alone; scopes: in which it stands, departed:
 * those that it left by moving; 4 bytes each. */
static const struct hm_table home = {
    .name = "home",
    .columns = {HM_COLUMN("a", U64), HM_COLUMN("n", INT), HM_COLUMN("scope", INT),
                HM_COLUMN("scopes", BLOB), HM_COLUMN("departed", BLOB)},
    .primary_key = "a, n",
};

/* In which feeds a household stands, and where. departed: it lives elsewhere now, which
 * this feed still has to tell; it counts in no digest here. */
static const struct hm_table standing = {
    .name = "standing",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("a", U64), HM_COLUMN("n", INT),
                HM_COLUMN("home", INT), HM_COLUMN("position", INT),
                HM_COLUMN("hash", BLOB), HM_COLUMN("departed", INT)},
    .primary_key = "scope, a, n",
    .unique_keys = {"scope, position"},
    .indexes = {"scope, hash"},
};

/* A scope's feed as this node serves it. Scope 0: administrative items. */
static const struct hm_table feed = {
    .name = "feed",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("position", INT),
                HM_COLUMN("salt", U64), HM_COLUMN("digest", BLOB),
                HM_COLUMN("households", INT)},
    .primary_key = "scope",
};

/* The salt of each position that a reply may have ended at. */
static const struct hm_table mark = {
    .name = "mark",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("position", INT),
                HM_COLUMN("salt", U64)},
    .primary_key = "scope, position",
};

/* Where this node stands in a parent's feed. compare: hashes are to be compared. */
static const struct hm_table cursor = {
    .name = "cursor_at",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("parent", U64),
                HM_COLUMN("timeline", U64), HM_COLUMN("position", INT),
                HM_COLUMN("salt", U64), HM_COLUMN("compare", INT),
                HM_COLUMN("equal", INT)},
    .primary_key = "scope, parent",
};

/* How many entries of a log a parent holds, by its own word; level 0: it is to be asked
 * again. centre: how many of them are at the centre, by its word too; heard: when that
 * changed last, for those who ask this node. */
static const struct hm_table receipt = {
    .name = "receipt",
    .columns = {HM_COLUMN("parent", U64), HM_COLUMN("incarnation", U64),
                HM_COLUMN("entries", INT), HM_COLUMN("level", INT),
                HM_COLUMN("centre", INT), HM_COLUMN("heard", INT)},
    .primary_key = "parent, incarnation",
    .indexes = {"incarnation", "heard"},
};

/* Administrative items: scope 0. author 0: the centre's word; else the hub that let the
 * device in, which the centre has not confirmed yet. */
static const struct hm_table item = {
    .name = "item",
    .columns = {HM_COLUMN("kind", INT), HM_COLUMN("id", U64), HM_COLUMN("version", INT),
                HM_COLUMN("body", BLOB), HM_COLUMN("signature", BLOB),
                HM_COLUMN("hash", BLOB), HM_COLUMN("position", INT),
                HM_COLUMN("author", U64)},
    .primary_key = "kind, id",
    .unique_keys = {"position"},
    .indexes = {"author"},
};

/* What could not be accepted: a change by its dot, or bytes by their hash alone. */
static const struct hm_table quarantine = {
    .name = "quarantine",
    .columns = {HM_COLUMN("hash", BLOB), HM_COLUMN("incarnation", U64),
                HM_COLUMN("n", INT), HM_COLUMN("device", U64), HM_COLUMN("scope", INT),
                HM_COLUMN("a", U64), HM_COLUMN("household_n", INT),
                HM_COLUMN("reason", INT), HM_COLUMN("detail", TEXT),
                HM_COLUMN("since_utc_ms", INT), HM_COLUMN("released", INT),
                HM_COLUMN("bytes", BLOB)},
    .primary_key = "hash",
    .indexes = {"incarnation, n"},
};

/* Changes that were accepted although their device no longer held the hamlet. */
static const struct hm_table late_change = {
    .name = "late_change",
    .columns = {HM_COLUMN("incarnation", U64), HM_COLUMN("n", INT),
                HM_COLUMN("device", U64), HM_COLUMN("scope", INT),
                HM_COLUMN("since_utc_ms", INT)},
    .primary_key = "incarnation, n",
    .indexes = {"device"},
};

/* One-time codes that were used at this node. */
static const struct hm_table reset_code = {
    .name = "reset_code",
    .columns = {HM_COLUMN("user_id", INT), HM_COLUMN("code", BLOB),
                HM_COLUMN("used_utc_ms", INT)},
    .primary_key = "user_id, code",
};

/* Passphrases that were set here by such a code; version: of the item that they
 * replace. */
static const struct hm_table own_passphrase = {
    .name = "own_passphrase",
    .columns = {HM_COLUMN("user_id", INT), HM_COLUMN("hash", TEXT),
                HM_COLUMN("version", INT)},
    .primary_key = "user_id",
};

/* Wrong passphrases and codes in a row. */
static const struct hm_table guess = {
    .name = "guess",
    .columns = {HM_COLUMN("user_id", INT), HM_COLUMN("wrong", INT),
                HM_COLUMN("last_utc_ms", INT)},
    .primary_key = "user_id",
};

/* A cache of protocol/policy.h's view; rebuilt from the states at any time. */
static const struct hm_table conflict = {
    .name = "conflict_at",
    .distributed = true,
    .columns = {HM_COLUMN("scope", INT), HM_COLUMN("a", U64), HM_COLUMN("n", INT),
                HM_COLUMN("cells", INT)},
    .primary_key = "scope, a, n",
};

/* Which household is merged into which, as the states say; rebuilt from them at any
 * time. Not by scope: the two may live in different ones. */
static const struct hm_table redirect = {
    .name = "redirect",
    .columns = {HM_COLUMN("a", U64), HM_COLUMN("n", INT), HM_COLUMN("into_a", U64),
                HM_COLUMN("into_n", INT)},
    .primary_key = "a, n",
    .indexes = {"into_a, into_n"},
};

/* Decisions made at this node, and what stood before in the cells that they wrote: what
 * an undo needs. id: shared by the changes of one decision about many households. */
static const struct hm_table decision = {
    .name = "decision",
    .columns = {HM_COLUMN("incarnation", U64), HM_COLUMN("n", INT),
                HM_COLUMN("id", U64), HM_COLUMN("a", U64),
                HM_COLUMN("household_n", INT), HM_COLUMN("utc_ms", INT),
                HM_COLUMN("undone", INT), HM_COLUMN("stood", BLOB)},
    .primary_key = "incarnation, n",
    .indexes = {"id"},
};

/* Own values that somebody else's change replaced by others; hash of cell and dot. */
static const struct hm_table notice = {
    .name = "notice",
    .columns = {HM_COLUMN("hash", BLOB), HM_COLUMN("a", U64), HM_COLUMN("n", INT),
                HM_COLUMN("since_utc_ms", INT), HM_COLUMN("cleared", INT),
                HM_COLUMN("body", BLOB)},
    .primary_key = "hash",
    .indexes = {"cleared, since_utc_ms"},
};

/* By what two registrations of one family may be known: kind, and a key that is equal
 * for both (storage/likeness.h). Not by scope: they may live in different ones. */
static const struct hm_table likeness = {
    .name = "likeness",
    .columns = {HM_COLUMN("kind", INT), HM_COLUMN("mark", TEXT), HM_COLUMN("a", U64),
                HM_COLUMN("n", INT)},
    .primary_key = "kind, mark, a, n",
    .indexes = {"a, n"},
};

/* Device tokens as this node gave them out: hashes only. */
static const struct hm_table token = {
    .name = "token",
    .columns = {HM_COLUMN("device", U64), HM_COLUMN("hash", BLOB),
                HM_COLUMN("seen_utc_ms", INT)},
    .primary_key = "device",
    .unique_keys = {"hash"},
};

static const struct hm_table invitation = {
    .name = "invitation",
    .columns = {HM_COLUMN("hash", BLOB), HM_COLUMN("body", BLOB),
                HM_COLUMN("expires_utc_ms", INT), HM_COLUMN("device", U64)},
    .primary_key = "hash",
};

/* What needs a person. source: the parent that told it, 0: noticed here. */
static const struct hm_table alarms = {
    .name = "alarms",
    .columns = {HM_COLUMN("id", INT), HM_COLUMN("kind", INT), HM_COLUMN("device", U64),
                HM_COLUMN("event", U64), HM_COLUMN("source", U64),
                HM_COLUMN("since_utc_ms", INT), HM_COLUMN("count", INT),
                HM_COLUMN("cleared", INT)},
    .primary_key = "id",
    .unique_keys = {"source, kind, device, event"},
    .indexes = {"device"},
};

/* Runs of a device that syncs here: began and latest count changes of runs. */
static const struct hm_table opening = {
    .name = "opening",
    .columns = {HM_COLUMN("device", U64), HM_COLUMN("opening", U64),
                HM_COLUMN("number", INT), HM_COLUMN("began", INT),
                HM_COLUMN("latest", INT), HM_COLUMN("returns", INT),
                HM_COLUMN("told", INT)},
    .primary_key = "device, opening",
};

/* Logs that children say were longer here. */
static const struct hm_table claim = {
    .name = "claim",
    .columns = {HM_COLUMN("incarnation", U64), HM_COLUMN("device", U64),
                HM_COLUMN("entries", INT)},
    .primary_key = "incarnation",
};

/* Logs of which the parent lacks entries, until it has been told. */
static const struct hm_table lacking = {
    .name = "lacking",
    .columns = {HM_COLUMN("incarnation", U64), HM_COLUMN("device", U64),
                HM_COLUMN("entries", INT), HM_COLUMN("told", INT)},
    .primary_key = "incarnation",
};

/* Lines of imported files that have become households. */
static const struct hm_table import_line = {
    .name = "import_line",
    .columns = {HM_COLUMN("file", BLOB), HM_COLUMN("line", INT), HM_COLUMN("a", U64),
                HM_COLUMN("n", INT)},
    .primary_key = "file, line",
};

/* Form packages and attachments by the hash of their content; size is the whole. */
static const struct hm_table blob = {
    .name = "blob",
    .columns = {HM_COLUMN("hash", BLOB), HM_COLUMN("size", INT),
                HM_COLUMN("bytes", BLOB)},
    .primary_key = "hash",
};

/* Blobs that have come in part: consecutive pieces from byte 0 on. */
static const struct hm_table blob_piece = {
    .name = "blob_piece",
    .columns = {HM_COLUMN("hash", BLOB), HM_COLUMN("first_byte", INT),
                HM_COLUMN("size", INT), HM_COLUMN("bytes", BLOB)},
    .primary_key = "hash, first_byte",
};

/* Compression dictionaries among the blobs; kept for ever: segments name them. */
static const struct hm_table dictionary = {
    .name = "dictionary",
    .columns = {HM_COLUMN("id", U64), HM_COLUMN("hash", BLOB), HM_COLUMN("added", INT)},
    .primary_key = "id",
};

const struct hm_migration hm_tables_migrations[] = {
    {.number = 1,
     .name = "base",
     .tables = {&meta,        &incarnation,    &entry,       &segment,    &history,
                &household,   &home,           &standing,    &feed,       &mark,
                &cursor,      &receipt,        &item,        &quarantine, &conflict,
                &token,       &invitation,     &import_line, &blob,       &blob_piece,
                &dictionary,  &redirect,       &decision,    &notice,     &likeness,
                &late_change, &alarms,         &opening,     &claim,      &lacking,
                &reset_code,  &own_passphrase, &guess}},
};

const size_t hm_tables_migration_count =
    sizeof hm_tables_migrations / sizeof hm_tables_migrations[0];
