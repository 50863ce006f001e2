DROP FUNCTION list_reported;
CREATE OR REPLACE FUNCTION owns_only_reported(resident text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT NOT EXISTS (SELECT FROM reading_owner o WHERE o.resident_id = $1)
       AND NOT EXISTS (SELECT FROM resident_merge m
                       WHERE m.into_id = $1 AND m.unmerged_at IS NULL) $$;
