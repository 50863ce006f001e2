-- 0004 Retention: what outlives the chunks of `reading` that are dropped.

CREATE TABLE retention (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    edge   timestamptz NOT NULL,
    set_at timestamptz NOT NULL
);

CREATE TABLE reading_held (LIKE reading INCLUDING CONSTRAINTS);
ALTER TABLE reading_held ADD PRIMARY KEY (id);
CREATE INDEX reading_held_by_resident ON reading_held (resident_id, effective_at);

CREATE VIEW stored_reading AS
SELECT * FROM reading UNION ALL SELECT * FROM reading_held;

CREATE TABLE gateway_retired (
    gateway_id text PRIMARY KEY,
    readings   bigint NOT NULL
);

CREATE TABLE resident_checkpoint (
    resident_id text PRIMARY KEY,
    edge        timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    state       bytea NOT NULL,
    facts       jsonb NOT NULL,
    made_at     timestamptz NOT NULL
);

ALTER TABLE amendment ADD COLUMN retired boolean NOT NULL DEFAULT false;
