-- Everybody is somebody of their own again.
UPDATE resident_merge SET unmerged_at = merged_at, unmerged_by = 'downgrade' WHERE unmerged_at IS NULL;
CREATE OR REPLACE VIEW owned_reading AS
SELECT s.*, s.resident_id AS owner_id FROM stored_reading s
WHERE NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
UNION ALL
SELECT s.*, o.resident_id AS owner_id FROM reading_owner o JOIN stored_reading s ON s.id = o.reading_id;
DROP FUNCTION is_merge_settled, is_folded_since;
DROP TRIGGER resident_stays_with_survivor ON resident;
DROP TRIGGER resident_takes_merged_along ON resident;
DROP TABLE resident_merge;
DROP FUNCTION note_merged_team, move_merged_resident, stay_with_survivor, take_merged_along;
