-- What people record of a follow-up: the form of a visit, referrals, attempts to reach somebody,
-- another day, and that a record was made by mistake.

ALTER TABLE record
    DROP CONSTRAINT record_kind_check,
    ADD CONSTRAINT record_kind_check CHECK (kind IN (
        'visit', 'referral', 'referral_followup', 'contact_attempt', 'reschedule', 'override',
        'closure', 'return', 'withdrawal')),
    ADD COLUMN form jsonb,
    ADD COLUMN withdraws uuid UNIQUE REFERENCES record,
    ADD CONSTRAINT record_withdraws_what_it_says CHECK (
        (kind <> 'withdrawal' OR withdraws IS NOT NULL) AND withdraws <> id),
    ADD CONSTRAINT record_moves_to_a_day CHECK (kind <> 'reschedule' OR due IS NOT NULL);
CREATE INDEX record_visits_by_time ON record (at, id) WHERE kind = 'visit';

-- A closure that was a mistake is none.
CREATE OR REPLACE VIEW indicator_turn WITH (security_barrier) AS
SELECT c.resident_id, c.kind, c.reason, c.at, c.number FROM record c
WHERE c.kind IN ('closure', 'return')
  AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = c.id)
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = c.resident_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[])));

-- A value that somebody measured at a visit and typed in becomes a reading of the resident: once,
-- under an id made from the visit's, counted as what a gateway sends. The API has no other way to
-- `reading`. False: it is there already, or it is older than what is kept.
CREATE FUNCTION add_visit_reading(
    id uuid, partition_at timestamptz, content_hash bigint, kind text, resident text, at timestamptz,
    received_at timestamptz, setting text, systolic numeric, diastolic numeric, pulse numeric,
    glucose numeric, meal_context text, unit text, extra jsonb
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    centre text;
BEGIN
    SELECT t.centre_id INTO centre FROM resident r JOIN team t ON t.id = r.team_id
    WHERE r.id = resident AND sees_measured()
      AND (sees_everybody() OR r.team_id = ANY (seen_teams()));
    IF centre IS NULL THEN
        RAISE EXCEPTION 'not a resident of yours' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(1595909632);  -- As ingest.db.readings does.
    IF partition_at < (SELECT edge FROM retention) THEN
        RETURN false;
    END IF;
    INSERT INTO reading (id, partition_at, content_hash, kind, resident_id, centre_id, gateway_id,
        device_id, measured_at, stored_record, captured_at, clock_synchronised, received_at,
        arrived_at, effective_at, time_suspect, setting, status, systolic, diastolic, pulse,
        glucose, meal_context, unit, extra)
    VALUES (add_visit_reading.id, add_visit_reading.partition_at, add_visit_reading.content_hash,
        add_visit_reading.kind, resident, centre, 'visit', 'visit', at, false, at, false,
        add_visit_reading.received_at, add_visit_reading.received_at, at, false,
        add_visit_reading.setting, '{}', add_visit_reading.systolic, add_visit_reading.diastolic,
        add_visit_reading.pulse, add_visit_reading.glucose, add_visit_reading.meal_context,
        add_visit_reading.unit, add_visit_reading.extra)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO gateway_day (gateway_id, day, stored)
    VALUES ('visit', (add_visit_reading.received_at AT TIME ZONE 'UTC')::date, 1)
    ON CONFLICT (gateway_id, day) DO UPDATE SET stored = gateway_day.stored + 1;
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION add_visit_reading FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_visit_reading TO suifang_api, suifang_api_all;
