-- 0011 What was said of a reading can be taken back, and a reading is seen by whom it belongs to
-- now: readings claimed by, or moved to, somebody else than they were reported for.

ALTER TABLE amendment
    DROP CONSTRAINT amendment_kind_check,
    ADD CONSTRAINT amendment_kind_check
        CHECK (kind IN ('correction', 'retraction', 'context', 'undo')),
    ADD COLUMN undoes uuid UNIQUE REFERENCES amendment,
    ADD COLUMN undone boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT amendment_undo_says_of_what CHECK ((kind = 'undo') = (undoes IS NOT NULL));

CREATE TABLE reading_owner (
    reading_id  uuid PRIMARY KEY,
    resident_id text NOT NULL
);
CREATE INDEX reading_owner_by_resident ON reading_owner (resident_id);
INSERT INTO reading_owner (reading_id, resident_id)
SELECT DISTINCT ON (reading_id) reading_id, changes ->> 'resident_id' FROM amendment
WHERE kind = 'correction' AND changes ? 'resident_id'
ORDER BY reading_id, received_at DESC, id DESC;

CREATE TABLE due_unclaimed (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reading_id uuid NOT NULL,
    marked_at  timestamptz NOT NULL
);

CREATE FUNCTION follow_amendment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.undoes IS NOT NULL THEN
        UPDATE amendment SET undone = true WHERE id = NEW.undoes;
    END IF;
    DELETE FROM reading_owner WHERE reading_id = NEW.reading_id;
    INSERT INTO reading_owner (reading_id, resident_id)
    SELECT reading_id, changes ->> 'resident_id' FROM amendment
    WHERE reading_id = NEW.reading_id AND changes ? 'resident_id' AND NOT undone
    ORDER BY received_at DESC, id DESC LIMIT 1;
    INSERT INTO due_unclaimed (reading_id, marked_at) VALUES (NEW.reading_id, NEW.received_at);
    RETURN NULL;
END $$;
CREATE TRIGGER amendment_is_followed AFTER INSERT ON amendment
    FOR EACH ROW WHEN (NEW.kind <> 'context') EXECUTE FUNCTION follow_amendment();

DROP POLICY own ON amendment;
DROP VIEW visible_context;
DROP VIEW visible_reading;
CREATE VIEW owned_reading AS
SELECT s.*, s.resident_id AS owner_id FROM stored_reading s
WHERE NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
UNION ALL
SELECT s.*, o.resident_id AS owner_id FROM reading_owner o JOIN stored_reading s ON s.id = o.reading_id;

CREATE VIEW visible_reading WITH (security_barrier) AS
SELECT s.id, s.partition_at, s.content_hash, s.kind, s.owner_id AS resident_id, s.centre_id,
       s.gateway_id, s.device_id, s.device_sequence, s.boot_id, s.measured_at, s.stored_record,
       s.captured_at, s.clock_synchronised, s.device_now, s.received_at, s.arrived_at,
       s.effective_at, s.time_suspect, s.setting, s.status, s.systolic, s.diastolic, s.pulse,
       s.arm, s.posture, s.glucose, s.meal_context, s.sample, s.unit, s.extra,
       s.resident_id AS reported_for
FROM owned_reading s
WHERE (SELECT sees_measured())
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = s.owner_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[]))
       OR (s.centre_id = ANY ((SELECT seen_centres())::text[])
           AND NOT EXISTS (SELECT FROM resident r
                           WHERE r.id = s.owner_id AND r.team_id IS NOT NULL)));
CREATE POLICY own ON amendment TO suifang_api
    USING (EXISTS (SELECT FROM visible_reading r WHERE r.id = reading_id));
GRANT SELECT ON visible_reading TO suifang_api, suifang_api_all;
CREATE VIEW visible_context WITH (security_barrier) AS
SELECT r.id AS reading_id, r.partition_at, a.id, a.changes ->> 'meal_context' AS meal_context,
       coalesce(a.captured_at, a.received_at) AS said_at, a.received_at
FROM visible_reading r JOIN amendment a ON
a.kind = 'context' AND NOT a.retired
AND a.device_id = r.device_id AND a.device_sequence = r.device_sequence
AND a.boot_id IS NOT DISTINCT FROM r.boot_id AND r.kind = 'glucose'
AND (a.resident_id IS NULL OR r.reported_for IS NULL OR a.resident_id = r.reported_for)
AND (a.captured_at IS NULL OR NOT r.clock_synchronised
     OR r.captured_at BETWEEN a.captured_at - INTERVAL '30 days'
                          AND a.captured_at + INTERVAL '30 days')
AND NOT EXISTS (
    SELECT FROM reading_key k JOIN stored_reading o ON o.id = k.reading_id
    WHERE k.device_id = a.device_id AND k.reading_id <> r.id
      AND k.rule_key = 'sequence:' || coalesce(a.boot_id, '') || ':' || a.device_sequence
      AND o.kind = 'glucose'
      AND (a.resident_id IS NULL OR o.resident_id IS NULL OR a.resident_id = o.resident_id)
      AND (a.captured_at IS NULL OR NOT o.clock_synchronised
           OR o.captured_at BETWEEN a.captured_at - INTERVAL '30 days'
                                AND a.captured_at + INTERVAL '30 days')
      AND CASE WHEN r.received_at <= a.received_at
               THEN o.received_at <= a.received_at
                    AND (o.received_at, o.id) > (r.received_at, r.id)
               ELSE (o.received_at, o.id) < (r.received_at, r.id) END);
GRANT SELECT ON visible_context TO suifang_api, suifang_api_all;

CREATE FUNCTION is_settled(reading uuid, residents text[], at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM reading r, retention e WHERE r.id = $1 AND r.partition_at < e.edge)
        OR EXISTS (SELECT FROM resident_checkpoint c
                   WHERE c.resident_id = ANY (residents) AND $3 < c.until) $$;
