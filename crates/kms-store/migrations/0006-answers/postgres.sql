CREATE TABLE answers (
    id BYTEA NOT NULL,
    place BIGINT NOT NULL,
    at BIGINT NOT NULL,
    sealed_by BIGINT NOT NULL DEFAULT 1,
    sealed BYTEA NOT NULL,
    PRIMARY KEY (id, place)
);

CREATE INDEX answers_at ON answers (at);
CREATE INDEX answers_sealed_by ON answers (sealed_by);
