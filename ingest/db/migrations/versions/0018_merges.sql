-- 0018 Two pseudonyms that are one person: whose history is folded into whose, and since when.

CREATE TABLE resident_merge (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident_id     text NOT NULL REFERENCES resident,
    into_id         text NOT NULL REFERENCES resident,
    reason          text NOT NULL,
    author          text NOT NULL,
    merged_at       timestamptz NOT NULL,
    team_id         text,
    unmerged_at     timestamptz,
    unmerged_by     text,
    CHECK (resident_id <> into_id),
    CONSTRAINT resident_merge_undone_says_by_whom CHECK (
        (unmerged_at IS NULL) = (unmerged_by IS NULL))
);
CREATE UNIQUE INDEX resident_merge_holds ON resident_merge (resident_id) WHERE unmerged_at IS NULL;
CREATE INDEX resident_merge_by_resident ON resident_merge (resident_id);
CREATE INDEX resident_merge_by_into ON resident_merge (into_id);

CREATE FUNCTION note_merged_team() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT team_id INTO NEW.team_id FROM resident WHERE id = NEW.resident_id FOR UPDATE;
    RETURN NEW;
END $$;
CREATE TRIGGER resident_merge_is_noted BEFORE INSERT ON resident_merge
    FOR EACH ROW EXECUTE FUNCTION note_merged_team();

CREATE FUNCTION move_merged_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wanted text;
BEGIN
    IF NEW.unmerged_at IS NULL THEN
        SELECT team_id INTO wanted FROM resident WHERE id = NEW.into_id FOR UPDATE;
    ELSE
        SELECT content ->> 'team_id' INTO wanted FROM registry_change
        WHERE kind = 'resident' AND id = NEW.resident_id ORDER BY version DESC LIMIT 1;
        IF NOT FOUND THEN
            wanted := NEW.team_id;
        END IF;
    END IF;
    UPDATE resident SET team_id = wanted
    WHERE id = NEW.resident_id AND team_id IS DISTINCT FROM wanted;
    RETURN NULL;
END $$;
CREATE TRIGGER resident_merge_moves AFTER INSERT OR UPDATE OF unmerged_at ON resident_merge
    FOR EACH ROW EXECUTE FUNCTION move_merged_resident();

CREATE FUNCTION stay_with_survivor() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wanted text;
BEGIN
    SELECT r.team_id INTO wanted FROM resident_merge m JOIN resident r ON r.id = m.into_id
    WHERE m.resident_id = NEW.id AND m.unmerged_at IS NULL;
    IF FOUND THEN
        NEW.team_id := wanted;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER resident_stays_with_survivor BEFORE UPDATE OF team_id ON resident
    FOR EACH ROW WHEN (NEW.team_id IS DISTINCT FROM OLD.team_id)
    EXECUTE FUNCTION stay_with_survivor();

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

CREATE OR REPLACE VIEW owned_reading AS
SELECT s.*, s.resident_id AS owner_id FROM stored_reading s
WHERE NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
  AND NOT EXISTS (SELECT FROM resident_merge m
                  WHERE m.resident_id = s.resident_id AND m.unmerged_at IS NULL)
UNION ALL
SELECT s.*, o.resident_id AS owner_id
FROM reading_owner o JOIN stored_reading s ON s.id = o.reading_id
WHERE NOT EXISTS (SELECT FROM resident_merge m
                  WHERE m.resident_id = o.resident_id AND m.unmerged_at IS NULL)
UNION ALL
SELECT s.*, m.into_id AS owner_id
FROM resident_merge m JOIN stored_reading s ON s.resident_id = m.resident_id
WHERE m.unmerged_at IS NULL
  AND NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
UNION ALL
SELECT s.*, m.into_id AS owner_id
FROM resident_merge m JOIN reading_owner o ON o.resident_id = m.resident_id
JOIN stored_reading s ON s.id = o.reading_id
WHERE m.unmerged_at IS NULL;

CREATE FUNCTION is_merge_settled(gone text, survivor text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM resident_checkpoint c WHERE c.resident_id = gone)
        OR EXISTS (SELECT FROM owned_reading r, retention e
                   WHERE r.owner_id = gone AND r.partition_at < e.edge)
        OR EXISTS (SELECT FROM resident_checkpoint c WHERE c.resident_id = survivor AND (
               EXISTS (SELECT FROM owned_reading r
                       WHERE r.owner_id = gone AND r.effective_at < c.until)
               OR EXISTS (SELECT FROM record r WHERE r.resident_id = gone AND r.at < c.until))) $$;
CREATE FUNCTION is_folded_since(residents text[], at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM resident_checkpoint c
                   WHERE c.resident_id = ANY (residents) AND c.made_at >= $2) $$;

ALTER TABLE resident_merge ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_merge TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id)
           AND EXISTS (SELECT FROM resident r WHERE r.id = into_id));
CREATE POLICY everybody ON resident_merge TO suifang_api_all USING (true);
GRANT SELECT, INSERT, UPDATE (unmerged_at, unmerged_by) ON resident_merge
    TO suifang_api, suifang_api_all;
SELECT audit_table('resident_merge', 'resident_id', 'resident');
