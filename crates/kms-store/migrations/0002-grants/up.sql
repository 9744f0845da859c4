-- When a grant ends (in seconds since 1970; null: never), and what was noted when it was made. Both
-- are covered by its `mac`.
ALTER TABLE read_access ADD COLUMN expires INTEGER;
ALTER TABLE read_access ADD COLUMN note TEXT;
