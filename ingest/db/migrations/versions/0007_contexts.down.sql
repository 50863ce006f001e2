-- What meters said stays; it is no longer known which gateway sent it, so totals do not add up.
DROP TABLE due_context;
ALTER TABLE amendment
    DROP CONSTRAINT amendment_of_a_gateway_is_a_context,
    DROP COLUMN gateway_id, DROP COLUMN content_hash, DROP COLUMN resident_id,
    DROP COLUMN captured_at, DROP COLUMN extra, DROP COLUMN repeats;
