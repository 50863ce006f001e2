-- The marks of one transaction of ingest in one row, instead of a row and two index entries each:
-- whoever judges spreads them out (ingest.db.due_work).
CREATE TABLE due_batch (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind      text NOT NULL,
    residents text[] NOT NULL,
    marked_at timestamptz[] NOT NULL
);
-- Compressing pseudonyms would cost more than writing them.
ALTER TABLE due_batch ALTER residents SET STORAGE EXTERNAL, ALTER marked_at SET STORAGE EXTERNAL;

-- Every pressure that a pregnant resident must not have is asked about before it is stored.
CREATE INDEX resident_condition_of_mothers ON resident_condition (resident_id)
    WHERE condition IN ('pregnant', 'lactating');
