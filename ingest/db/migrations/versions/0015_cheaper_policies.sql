-- What policies and the audit log ask for every row or read, with plans that are kept: a function in
-- LANGUAGE sql that is SECURITY DEFINER is planned anew each time (0.4 ms for is_strangers).
CREATE OR REPLACE FUNCTION has_team(resident text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM resident r WHERE r.id = $1 AND r.team_id IS NOT NULL);
END $$;

CREATE OR REPLACE FUNCTION feed_head() RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(max(number), 0) FROM outbox);
END $$;

CREATE OR REPLACE FUNCTION is_strangers(kind text, id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN CASE $1
        WHEN 'resident' THEN EXISTS (
            SELECT FROM resident r
            WHERE r.id = $2 AND r.team_id IS NOT NULL
              AND (r.team_id = ANY (seen_teams())) IS NOT TRUE)
        WHEN 'contract' THEN EXISTS (
            SELECT FROM contract c JOIN resident r ON r.id = c.resident_id
            WHERE c.id = $2 AND (r.team_id = ANY (seen_teams())) IS NOT TRUE)
        ELSE false END;
END $$;

CREATE OR REPLACE FUNCTION audit_write(
    at timestamptz, subject text, action text, object text, residents text[], things text[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    known bigint[] := ARRAY(SELECT h.handle FROM audit_handle h
                            WHERE h.resident_id = ANY(residents) ORDER BY 1);
BEGIN
    IF cardinality(known) < cardinality(residents) THEN  -- Or somebody is named twice.
        INSERT INTO audit_handle (resident_id)
        SELECT DISTINCT n.id FROM unnest(residents) AS n (id)
        WHERE n.id IS NOT NULL
          AND NOT EXISTS (SELECT FROM audit_handle h WHERE h.resident_id = n.id)
        ORDER BY n.id
        ON CONFLICT DO NOTHING;
        known := ARRAY(SELECT h.handle FROM audit_handle h
                       WHERE h.resident_id = ANY(residents) ORDER BY 1);
    END IF;
    INSERT INTO audit_entry (at, subject, action, object, handles, things)
    VALUES (audit_write.at, audit_write.subject, audit_write.action, audit_write.object,
            known, coalesce(audit_write.things, '{}'));
END $$;
