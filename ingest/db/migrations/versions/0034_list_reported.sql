-- 0034 A page of a plain resident's readings, by time: what `visible_reported` shows, but who may see
-- it is decided once and not for each month and row, which halves what a year costs (1.0 to 0.5 ms).

-- As SQL it was planned anew by every call.
CREATE OR REPLACE FUNCTION owns_only_reported(resident text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM reading_owner o WHERE o.resident_id = resident)
       AND NOT EXISTS (SELECT FROM resident_merge m
                       WHERE m.into_id = resident AND m.unmerged_at IS NULL);
END $$;

CREATE FUNCTION list_reported(
    resident text, kinds text[], since timestamptz, until timestamptz,
    after_effective timestamptz, after_captured timestamptz, after_id uuid, rows integer
) RETURNS SETOF stored_reading LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    team text;
    is_own boolean;  -- All of this resident's are seen; else those of centres, of who has no team.
    centres text[];
BEGIN
    SELECT r.team_id INTO team FROM resident r WHERE r.id = resident;
    is_own := sees_everybody() OR coalesce(team = ANY (seen_teams()), false);
    centres := CASE WHEN team IS NULL THEN seen_centres() ELSE '{}' END;
    IF NOT coalesce(sees_measured(), false) OR NOT owns_only_reported(resident)
       OR EXISTS (SELECT FROM resident_merge m
                  WHERE m.resident_id = resident AND m.unmerged_at IS NULL) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT * FROM stored_reading s
    WHERE s.resident_id = resident AND s.effective_at >= since AND s.effective_at < until
      AND s.kind = ANY (kinds)
      AND (s.effective_at, s.captured_at, s.id) > (after_effective, after_captured, after_id)
      AND NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
      AND (is_own OR s.centre_id = ANY (centres))
    ORDER BY s.effective_at, s.captured_at, s.id
    LIMIT rows;
END $$;
REVOKE EXECUTE ON FUNCTION list_reported FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_reported TO suifang_api, suifang_api_all;
