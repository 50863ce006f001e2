-- 0027 Many residents who move at once are followed in the time of as many single ones: a list of those
-- who moved was searched for each of them (11,000 took 14 s). A look for merged ones for each (0.1 ms) is
-- one for all.
CREATE OR REPLACE FUNCTION follow_moved_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    moved text[];
    teams text[];
BEGIN
    -- Both sides in one pass: a join would keep the plan of the first statement, which had one row.
    SELECT array_agg(m.id), array_agg(m.team_id) INTO moved, teams
    FROM (SELECT b.id, max(b.team_id) FILTER (WHERE b.after) AS team_id,
                 max(b.team_id) FILTER (WHERE NOT b.after) AS left_team_id
          FROM (SELECT id, team_id, true AS after FROM placed
                UNION ALL SELECT id, team_id, false FROM left_behind) AS b
          GROUP BY b.id) AS m
    WHERE m.team_id IS DISTINCT FROM m.left_team_id;
    IF moved IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE resident_case c SET team_id = n.team_id FROM unnest(moved, teams) AS n (id, team_id)
    WHERE c.resident_id = n.id;
    UPDATE alert a SET team_id = n.team_id FROM unnest(moved, teams) AS n (id, team_id)
    WHERE a.resident_id = n.id;
    UPDATE resident r SET team_id = n.team_id  -- Whoever is merged into them comes along.
    FROM unnest(moved, teams) AS n (id, team_id)
    JOIN resident_merge m ON m.into_id = n.id AND m.unmerged_at IS NULL
    WHERE r.id = m.resident_id AND r.team_id IS DISTINCT FROM n.team_id;
    PERFORM pg_notify('resident_moved', '');
    RETURN NULL;
END $$;
DROP TRIGGER resident_takes_merged_along ON resident;
DROP FUNCTION take_merged_along();
