-- Tokens of machines: `hash` stands for the token's text, which is kept nowhere; `mac` covers every
-- other column, and the number in `meta` under api_token_epoch, which rises with each change of a token.
CREATE TABLE api_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    userid TEXT NOT NULL,
    hash BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked INTEGER,
    mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
