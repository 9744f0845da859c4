CREATE TABLE answers (
    id VARBINARY(32) NOT NULL,
    place BIGINT NOT NULL,
    at BIGINT NOT NULL,
    sealed_by BIGINT NOT NULL DEFAULT 1,
    sealed MEDIUMBLOB NOT NULL,
    PRIMARY KEY (id, place),
    KEY answers_at (at),
    KEY answers_sealed_by (sealed_by)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
