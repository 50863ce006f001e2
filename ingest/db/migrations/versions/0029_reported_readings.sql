-- 0029 A short way to the readings of a resident whom nobody claimed one for or merged: of the four
-- parts of `owned_reading` only the first, whose plan has a quarter of the nodes.

CREATE VIEW visible_reported WITH (security_barrier) AS
SELECT s.id, s.partition_at, s.content_hash, s.kind, s.resident_id, s.centre_id,
       s.gateway_id, s.device_id, s.device_sequence, s.boot_id, s.measured_at, s.stored_record,
       s.captured_at, s.clock_synchronised, s.device_now, s.received_at, s.arrived_at,
       s.effective_at, s.time_suspect, s.setting, s.status, s.systolic, s.diastolic, s.pulse,
       s.arm, s.posture, s.glucose, s.meal_context, s.sample, s.unit, s.extra,
       s.resident_id AS reported_for
FROM stored_reading s
WHERE NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
  AND NOT EXISTS (SELECT FROM resident_merge m
                  WHERE m.resident_id = s.resident_id AND m.unmerged_at IS NULL)
  AND (SELECT sees_measured())
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = s.resident_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[]))
       OR (s.centre_id = ANY ((SELECT seen_centres())::text[])
           AND NOT EXISTS (SELECT FROM resident r
                           WHERE r.id = s.resident_id AND r.team_id IS NOT NULL)));
GRANT SELECT ON visible_reported TO suifang_api, suifang_api_all;

-- Whether all that a resident owns was reported for that resident.
CREATE FUNCTION owns_only_reported(resident text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM reading_owner o WHERE o.resident_id = $1)
       AND NOT EXISTS (SELECT FROM resident_merge m
                       WHERE m.into_id = $1 AND m.unmerged_at IS NULL) $$;
REVOKE EXECUTE ON FUNCTION owns_only_reported FROM PUBLIC;
GRANT EXECUTE ON FUNCTION owns_only_reported TO suifang_api, suifang_api_all;
