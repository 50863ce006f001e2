-- History, staff, ends of contracts, names and ID numbers go.
DROP TABLE resident_sealed, resident_key, contract_due, contract_turn;
DROP FUNCTION hold_folds, adopt_stubs;
DROP INDEX contract_by_package;
ALTER TABLE contract
    DROP CONSTRAINT contract_end_has_its_reason, DROP CONSTRAINT contract_follows_as_something,
    DROP COLUMN signed_on, DROP COLUMN follows, DROP COLUMN followed_as, DROP COLUMN ended_on,
    DROP COLUMN end_reason, DROP COLUMN referral_hospitals;
ALTER TABLE package DROP COLUMN followups_per_year;
DROP TABLE staff_team, staff, registry_change, registry_entry;
