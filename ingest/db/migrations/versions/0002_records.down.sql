-- What rests on a record or a resident cannot be told by the schema before.
DELETE FROM alert WHERE anchor_kind <> 'reading' OR centre_id IS NULL;
DROP INDEX alert_unclaimed;
ALTER TABLE alert DROP COLUMN anchor_kind, DROP COLUMN explanation;
ALTER TABLE alert ALTER COLUMN centre_id SET NOT NULL;
ALTER TABLE alert RENAME COLUMN anchor_id TO anchor_reading_id;

UPDATE case_transition SET anchor_id = NULL WHERE anchor_kind <> 'reading';
ALTER TABLE case_transition DROP COLUMN anchor_kind, DROP COLUMN cause, DROP COLUMN threshold,
    DROP COLUMN input_ids, DROP COLUMN explanation;
ALTER TABLE case_transition RENAME COLUMN anchor_id TO anchor_reading_id;

UPDATE resident_case SET anchor_id = NULL WHERE anchor_kind <> 'reading';
ALTER TABLE resident_case DROP COLUMN anchor_kind, DROP COLUMN cause;
ALTER TABLE resident_case RENAME COLUMN anchor_id TO anchor_reading_id;

ALTER TABLE resident_fold DROP COLUMN high_normal_on;
DROP TABLE amendment, record, contract, package;
ALTER TABLE resident DROP COLUMN enrolled_on;
ALTER TABLE centre DROP COLUMN profile;
