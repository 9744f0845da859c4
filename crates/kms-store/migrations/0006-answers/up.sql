-- Answers to changes whose callers named them, so that the same request again gets the first one's
-- answer. `id` is a hash of the caller and the name, `place` the item of the batch; a row is written with
-- the change and is of no use after a day.
CREATE TABLE answers (
    id BLOB NOT NULL,
    place INTEGER NOT NULL,
    at INTEGER NOT NULL,
    sealed_by INTEGER NOT NULL DEFAULT 1,
    sealed BLOB NOT NULL,
    PRIMARY KEY (id, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX answers_at ON answers (at);
CREATE INDEX answers_sealed_by ON answers (sealed_by);
