-- 0005 Quarantined items are replayed or dropped, and never deleted.

ALTER TABLE quarantine
    ADD COLUMN replayed_at timestamptz,
    ADD COLUMN resolution text CHECK (resolution IN ('replayed', 'dropped')),
    ADD COLUMN resolved_at timestamptz,
    ADD COLUMN dropped_by text,
    ADD COLUMN dropped_because text,
    ADD CONSTRAINT quarantine_resolution_has_its_time CHECK (
        (resolution IS NULL) = (resolved_at IS NULL)),
    ADD CONSTRAINT quarantine_replayed_settles_nothing CHECK (
        resolution IS DISTINCT FROM 'replayed' OR NOT settles),
    ADD CONSTRAINT quarantine_dropped_says_who_and_why CHECK (
        resolution IS DISTINCT FROM 'dropped'
        OR (dropped_by IS NOT NULL AND dropped_because IS NOT NULL));
CREATE INDEX quarantine_open ON quarantine (number) WHERE resolution IS NULL;
