-- 0033 A seal of the audit log names the key that made it, so that keys can follow each other.
ALTER TABLE audit_seal
    ADD COLUMN key_id text,
    ADD COLUMN mark bytea,
    ADD CONSTRAINT audit_seal_is_marked_by_its_key CHECK ((key_id IS NULL) = (mark IS NULL));
