-- Readings that were dropped do not come back; those that were held go where they were.
DROP VIEW stored_reading;
INSERT INTO reading SELECT * FROM reading_held;
ALTER TABLE amendment DROP COLUMN retired;
DROP TABLE resident_checkpoint, gateway_retired, reading_held, retention;
