-- What the audit log of each server rests on. Numbers of records rise over all epochs; an epoch is a run
-- of a server, and its row has the sealed first key of that part of the chain.
CREATE TABLE audit_epochs (
    server TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    head INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (server, epoch)
) STRICT, WITHOUT ROWID;

-- How far the log of each server is known to be on the disk; `mac` covers every other column.
CREATE TABLE audit_heads (
    server TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    chain BLOB NOT NULL,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Records of changes, written with the change, until they are in the log on the disk. `at` is a number
-- that the record cannot have less than in the log; `mac` covers every other column.
CREATE TABLE audit_changes (
    server TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (server, epoch, number)
) STRICT, WITHOUT ROWID;

-- The log itself, where it is kept in the database.
CREATE TABLE audit_log (
    server TEXT NOT NULL,
    seq INTEGER NOT NULL,
    line BLOB NOT NULL,
    PRIMARY KEY (server, seq)
) STRICT, WITHOUT ROWID;
