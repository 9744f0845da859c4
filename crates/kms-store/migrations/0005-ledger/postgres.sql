-- The same as up.sql, for PostgreSQL. The place of a removed object is sealed by nothing: its number is
-- above all generations. A sum is written often, and finds room on its page to stay where it is.
ALTER TABLE objects ADD COLUMN shard BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
UPDATE objects SET shard = seq % 256, sealed_by = CASE WHEN version < 0 THEN 4294967296 ELSE 1 END;
CREATE INDEX objects_sealed_by ON objects (sealed_by, seq);
ALTER TABLE read_access ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
CREATE INDEX read_access_sealed_by ON read_access (sealed_by, id);
ALTER TABLE "usage" ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
CREATE INDEX usage_sealed_by ON "usage" (sealed_by, id);
ALTER TABLE api_tokens ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit_epochs ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit_heads ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit_changes ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;

CREATE TABLE accumulators (
    shard BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    counter BIGINT NOT NULL,
    sum BYTEA NOT NULL,
    mac BYTEA NOT NULL,
    PRIMARY KEY (shard, generation)
) WITH (fillfactor = 20);
