ALTER TABLE audit_seal DROP CONSTRAINT audit_seal_is_marked_by_its_key, DROP COLUMN key_id, DROP COLUMN mark;
