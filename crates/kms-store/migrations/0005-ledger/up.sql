-- Which data key each row is sealed or proved by: a generation of `keyring`. `objects` is made anew, because
-- a row is read from the left and its large columns stand last; `shard` says in which sum the object and
-- its grants are counted.
CREATE TABLE objects_sealed (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    owner TEXT NOT NULL,
    object_type INTEGER NOT NULL,
    state TEXT NOT NULL,
    due INTEGER,
    shard INTEGER NOT NULL DEFAULT 0,
    sealed_by INTEGER NOT NULL DEFAULT 1,
    material_generation INTEGER NOT NULL,
    indexed BLOB NOT NULL,
    object BLOB NOT NULL,
    material BLOB
) STRICT;
INSERT INTO objects_sealed (seq, id, version, owner, object_type, state, due, shard, material_generation,
    indexed, object, material)
    SELECT seq, id, version, owner, object_type, state, due, seq % 256, material_generation, indexed,
    object, material FROM objects;
DROP TABLE objects;
ALTER TABLE objects_sealed RENAME TO objects;
CREATE INDEX objects_owner ON objects (owner);
CREATE INDEX objects_state ON objects (state);
CREATE INDEX objects_type ON objects (object_type);
CREATE INDEX objects_due ON objects (due) WHERE due IS NOT NULL;
CREATE INDEX objects_sealed_by ON objects (sealed_by);

ALTER TABLE read_access ADD COLUMN sealed_by INTEGER NOT NULL DEFAULT 1;
CREATE INDEX read_access_sealed_by ON read_access (sealed_by);
ALTER TABLE usage ADD COLUMN sealed_by INTEGER NOT NULL DEFAULT 1;
CREATE INDEX usage_sealed_by ON usage (sealed_by);
ALTER TABLE api_tokens ADD COLUMN sealed_by INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit_epochs ADD COLUMN sealed_by INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit_heads ADD COLUMN sealed_by INTEGER NOT NULL DEFAULT 1;
ALTER TABLE audit_changes ADD COLUMN sealed_by INTEGER NOT NULL DEFAULT 1;

-- What the objects and grants of a shard that one data key seals come to: `sum` over all of them, `counter`
-- raised by each change, `mac` over every other column.
CREATE TABLE accumulators (
    shard INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    sum BLOB NOT NULL,
    mac BLOB NOT NULL,
    PRIMARY KEY (shard, generation)
) STRICT, WITHOUT ROWID;
