CREATE TABLE audit_epochs (
    server VARBINARY(255) NOT NULL,
    epoch BIGINT NOT NULL,
    first BIGINT NOT NULL,
    head BIGINT NOT NULL,
    sealed VARBINARY(255) NOT NULL,
    PRIMARY KEY (server, epoch)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE audit_heads (
    server VARBINARY(255) NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    chain VARBINARY(255) NOT NULL,
    mac VARBINARY(255) NOT NULL
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE audit_changes (
    server VARBINARY(255) NOT NULL,
    epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    body MEDIUMBLOB NOT NULL,
    mac VARBINARY(255) NOT NULL,
    PRIMARY KEY (server, epoch, number)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE audit_log (
    server VARBINARY(255) NOT NULL,
    seq BIGINT NOT NULL,
    line MEDIUMBLOB NOT NULL,
    PRIMARY KEY (server, seq)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
