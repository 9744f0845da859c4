-- The sealed record (object) is the truth; the other columns are copies to search by.
-- `indexed` repeats the object's rows of object_index, so that a change knows what to take away.
-- Large columns stand last: a row is read from the left.
CREATE TABLE objects (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    owner TEXT NOT NULL,
    object_type INTEGER NOT NULL,
    state TEXT NOT NULL,
    due INTEGER,
    material_generation INTEGER NOT NULL,
    indexed BLOB NOT NULL,
    object BLOB NOT NULL,
    material BLOB
) STRICT;
CREATE INDEX objects_owner ON objects (owner);
CREATE INDEX objects_state ON objects (state);
CREATE INDEX objects_type ON objects (object_type);
CREATE INDEX objects_due ON objects (due) WHERE due IS NOT NULL;

-- What Locate searches by, in the order of the values.
CREATE TABLE object_index (
    kind INTEGER NOT NULL,
    value BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (kind, value, seq)
) STRICT, WITHOUT ROWID;

-- What others than the owner may do; `permissions` is a JSON list, `mac` proves who made the grant.
CREATE TABLE read_access (
    id TEXT NOT NULL,
    userid TEXT NOT NULL,
    permissions TEXT NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (id, userid)
) STRICT, WITHOUT ROWID;
CREATE INDEX read_access_user ON read_access (userid);

-- Counters and leases, apart from the record, so that counting a use rewrites nothing else.
CREATE TABLE usage (
    id TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Identifiers of removed objects: never used again.
CREATE TABLE tombstones (
    id TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Data keys under their protection.
CREATE TABLE keyring (
    generation INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    slot BLOB NOT NULL
) STRICT;

CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
