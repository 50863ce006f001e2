-- Cases are ordered by number only.
ALTER TABLE resident_case DROP COLUMN risk_order, DROP COLUMN due_order, DROP COLUMN severity;
