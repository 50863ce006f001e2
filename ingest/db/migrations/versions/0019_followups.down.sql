-- Only what the older program knows stays.
CREATE OR REPLACE VIEW indicator_turn WITH (security_barrier) AS
SELECT c.resident_id, c.kind, c.reason, c.at, c.number FROM record c
WHERE c.kind IN ('closure', 'return')
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = c.resident_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[])));
DROP FUNCTION add_visit_reading;
DROP INDEX record_visits_by_time;
DELETE FROM record WHERE kind IN ('referral', 'contact_attempt', 'reschedule', 'withdrawal');
ALTER TABLE record
    DROP CONSTRAINT record_kind_check,
    DROP CONSTRAINT record_moves_to_a_day,
    DROP COLUMN form,
    DROP COLUMN withdraws,
    ADD CONSTRAINT record_kind_check CHECK (kind IN (
        'visit', 'referral_followup', 'override', 'closure', 'return'));
