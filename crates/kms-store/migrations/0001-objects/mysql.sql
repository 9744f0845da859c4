-- The same as up.sql, for MySQL and MariaDB on InnoDB or MyRocks: no engine is named, no key has more
-- than 767 bytes, names are bytes. Each statement stands alone, is made durable at once, and may be
-- begun again. The place of a removed object is kept, emptied, with version -1: the uniqueness of
-- `id` alone then decides whether an identifier was ever used. An index of these databases ends with
-- the primary key.
CREATE TABLE objects (
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    id VARBINARY(255) NOT NULL,
    version BIGINT NOT NULL,
    owner VARBINARY(255) NOT NULL,
    object_type BIGINT NOT NULL,
    state VARBINARY(32) NOT NULL,
    due BIGINT,
    material_generation BIGINT NOT NULL,
    indexed MEDIUMBLOB NOT NULL,
    object LONGBLOB NOT NULL,
    material LONGBLOB,
    UNIQUE KEY objects_id (id),
    KEY objects_owner (owner),
    KEY objects_state (state),
    KEY objects_type (object_type),
    KEY objects_due (due)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE object_index (
    kind BIGINT NOT NULL,
    "value" VARBINARY(255) NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (kind, "value", seq)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE read_access (
    id VARBINARY(255) NOT NULL,
    userid VARBINARY(255) NOT NULL,
    permissions VARBINARY(4096) NOT NULL,
    mac VARBINARY(255) NOT NULL,
    PRIMARY KEY (id, userid),
    KEY read_access_user (userid, id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE "usage" (
    id VARBINARY(255) NOT NULL PRIMARY KEY,
    sealed LONGBLOB NOT NULL
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE keyring (
    generation BIGINT NOT NULL PRIMARY KEY,
    kind VARBINARY(64) NOT NULL,
    slot LONGBLOB NOT NULL
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE meta (
    "key" VARBINARY(64) NOT NULL PRIMARY KEY,
    "value" VARBINARY(255) NOT NULL
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
