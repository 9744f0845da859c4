CREATE TABLE api_tokens (
    id VARBINARY(255) NOT NULL PRIMARY KEY,
    name VARBINARY(255) NOT NULL,
    userid VARBINARY(255) NOT NULL,
    hash VARBINARY(255) NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT,
    mac VARBINARY(255) NOT NULL,
    UNIQUE KEY api_tokens_name (name)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
