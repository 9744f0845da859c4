-- The same as up.sql, for MySQL and MariaDB. The place of a removed object is sealed by nothing: its number
-- is above all generations.
ALTER TABLE objects ADD COLUMN shard BIGINT NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
UPDATE objects SET shard = seq % 256, sealed_by = CASE WHEN version < 0 THEN 4294967296 ELSE 1 END;
ALTER TABLE objects ADD KEY objects_sealed_by (sealed_by);
ALTER TABLE read_access ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
ALTER TABLE read_access ADD KEY read_access_sealed_by (sealed_by);
ALTER TABLE "usage" ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
ALTER TABLE "usage" ADD KEY usage_sealed_by (sealed_by);
ALTER TABLE api_tokens ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit_epochs ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit_heads ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit_changes ADD COLUMN sealed_by BIGINT NOT NULL DEFAULT 1;

CREATE TABLE accumulators (
    shard BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    counter BIGINT NOT NULL,
    sum VARBINARY(64) NOT NULL,
    mac VARBINARY(64) NOT NULL,
    PRIMARY KEY (shard, generation)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
