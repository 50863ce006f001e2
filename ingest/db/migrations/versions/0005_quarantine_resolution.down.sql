-- Rows stay: what was replayed settles nothing already, what was dropped is open again.
DROP INDEX quarantine_open;
ALTER TABLE quarantine
    DROP CONSTRAINT quarantine_resolution_has_its_time,
    DROP CONSTRAINT quarantine_replayed_settles_nothing,
    DROP CONSTRAINT quarantine_dropped_says_who_and_why,
    DROP COLUMN replayed_at, DROP COLUMN resolution, DROP COLUMN resolved_at,
    DROP COLUMN dropped_by, DROP COLUMN dropped_because;
