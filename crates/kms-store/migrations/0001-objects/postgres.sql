-- The same as up.sql, for PostgreSQL. Texts are compared byte by byte. An index names `seq` where
-- rows are wanted in its order. The place of a removed object is kept, emptied, with version -1: the
-- uniqueness of `id` alone then decides whether an identifier was ever used.
CREATE SEQUENCE objects_seq;
CREATE TABLE objects (
    seq BIGINT NOT NULL DEFAULT nextval('objects_seq') PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL CONSTRAINT objects_id UNIQUE,
    version BIGINT NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    object_type BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    due BIGINT,
    material_generation BIGINT NOT NULL,
    indexed BYTEA NOT NULL,
    object BYTEA NOT NULL,
    material BYTEA
);
ALTER SEQUENCE objects_seq OWNED BY objects.seq;
-- What is sealed cannot be compressed.
ALTER TABLE objects ALTER COLUMN object SET STORAGE EXTERNAL;
ALTER TABLE objects ALTER COLUMN material SET STORAGE EXTERNAL;
CREATE INDEX objects_owner ON objects (owner, seq);
CREATE INDEX objects_state ON objects (state, seq);
CREATE INDEX objects_type ON objects (object_type, seq);
CREATE INDEX objects_due ON objects (due) WHERE due IS NOT NULL;

CREATE TABLE object_index (
    kind BIGINT NOT NULL,
    value BYTEA NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (kind, value, seq)
);

CREATE TABLE read_access (
    id TEXT COLLATE "C" NOT NULL,
    userid TEXT COLLATE "C" NOT NULL,
    permissions TEXT COLLATE "C" NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (id, userid)
);
CREATE INDEX read_access_user ON read_access (userid, id);

CREATE TABLE "usage" (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL
);

CREATE TABLE keyring (
    generation BIGINT NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    slot BYTEA NOT NULL
);

CREATE TABLE meta (
    "key" TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    "value" TEXT COLLATE "C" NOT NULL
);
