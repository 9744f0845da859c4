CREATE TABLE audit_epochs (
    server TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    first BIGINT NOT NULL,
    head BIGINT NOT NULL,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (server, epoch)
);

CREATE TABLE audit_heads (
    server TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    chain BYTEA NOT NULL,
    mac BYTEA NOT NULL
);

CREATE TABLE audit_changes (
    server TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (server, epoch, number)
);

CREATE TABLE audit_log (
    server TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    line BYTEA NOT NULL,
    PRIMARY KEY (server, seq)
);
