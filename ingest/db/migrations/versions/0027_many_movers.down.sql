-- The same function as before.
CREATE OR REPLACE FUNCTION follow_moved_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    moved text[];
BEGIN
    SELECT array_agg(n.id) INTO moved FROM placed n JOIN left_behind o ON o.id = n.id
    WHERE n.team_id IS DISTINCT FROM o.team_id;
    IF moved IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE resident_case c SET team_id = n.team_id FROM placed n
    WHERE n.id = ANY(moved) AND c.resident_id = n.id;
    UPDATE alert a SET team_id = n.team_id FROM placed n
    WHERE n.id = ANY(moved) AND a.resident_id = n.id;
    PERFORM pg_notify('resident_moved', '');
    RETURN NULL;
END $$;

CREATE FUNCTION take_merged_along() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE resident r SET team_id = NEW.team_id FROM resident_merge m
    WHERE m.into_id = NEW.id AND m.unmerged_at IS NULL AND r.id = m.resident_id;
    RETURN NULL;
END $$;
CREATE TRIGGER resident_takes_merged_along AFTER UPDATE OF team_id ON resident
    FOR EACH ROW WHEN (NEW.team_id IS DISTINCT FROM OLD.team_id)
    EXECUTE FUNCTION take_merged_along();
