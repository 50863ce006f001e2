-- 0007 Late contexts come over the wire, each with an id that has one disposition.

ALTER TABLE amendment
    ADD COLUMN gateway_id text,
    ADD COLUMN content_hash bigint,
    ADD COLUMN resident_id text,
    ADD COLUMN captured_at timestamptz,
    ADD COLUMN extra jsonb,
    ADD COLUMN repeats boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT amendment_of_a_gateway_is_a_context CHECK (
        (gateway_id IS NULL) = (content_hash IS NULL)
        AND (gateway_id IS NULL OR kind = 'context'));

CREATE TABLE due_context (
    amendment_id uuid PRIMARY KEY,
    marked_at    timestamptz NOT NULL
);
