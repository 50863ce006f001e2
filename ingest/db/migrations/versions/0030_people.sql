-- 0030 What figures count of a person is folded into one row: a city's figures were computed from
-- diagnoses, contracts, turns and merges of everybody anew. Reads every resident once (a minute for a million).
CREATE TABLE indicator_person (
    resident_id           text PRIMARY KEY,  -- Who is merged into somebody has no row.
    team_id               text,
    birth_date            date,
    registered_on         date,
    gone                  datemultirange,
    hypertension          datemultirange,
    diabetes              datemultirange,
    maternal              datemultirange,
    tuberculosis          datemultirange,
    severe_mental_disorder datemultirange,
    disability            datemultirange,
    managed_hypertension  datemultirange,
    managed_diabetes      datemultirange,
    contract_days         date[],
    contract_since        date[],
    contract_packages     text[],
    visited_years         smallint[],
    visited               bit(366)[]
) WITH (fillfactor = 90);
CREATE INDEX indicator_person_by_team ON indicator_person (team_id);

CREATE TABLE due_indicator (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    residents text[] NOT NULL
);
ALTER TABLE due_indicator ALTER residents SET STORAGE EXTERNAL;

CREATE FUNCTION mark_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT resident_id) FROM placed HAVING count(*) > 0;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT resident_id) FROM left_behind HAVING count(*) > 0;
    ELSE
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT b.resident_id)
        FROM (SELECT resident_id FROM placed UNION ALL SELECT resident_id FROM left_behind) AS b
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_added AFTER INSERT ON resident_condition
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_changed AFTER UPDATE ON resident_condition
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_removed AFTER DELETE ON resident_condition
    REFERENCING OLD TABLE AS left_behind FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_added AFTER INSERT ON contract
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_changed AFTER UPDATE ON contract
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_removed AFTER DELETE ON contract
    REFERENCING OLD TABLE AS left_behind FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_added AFTER INSERT ON contract_turn
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_people();

CREATE FUNCTION mark_registered_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(id) FROM placed WHERE NOT stub HAVING count(*) > 0;
    ELSE
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT b.id) FROM (
            SELECT id, team_id, birth_date, stub, created_at, enrolled_on FROM placed EXCEPT
            SELECT id, team_id, birth_date, stub, created_at, enrolled_on FROM left_behind) AS b
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_added AFTER INSERT ON resident
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_registered_people();
CREATE TRIGGER indicator_follows_changed AFTER UPDATE ON resident
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION mark_registered_people();

CREATE FUNCTION mark_merged_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO due_indicator (residents) VALUES (ARRAY[NEW.resident_id, NEW.into_id]);
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_merged AFTER INSERT OR UPDATE ON resident_merge
    FOR EACH ROW EXECUTE FUNCTION mark_merged_people();

CREATE FUNCTION mark_turned_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO due_indicator (residents)
    SELECT array_agg(DISTINCT resident_id) FROM placed
    WHERE kind IN ('closure', 'return', 'withdrawal') HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_added AFTER INSERT ON record
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_turned_people();

CREATE FUNCTION mark_visited_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT resident_id) FROM placed WHERE visited IS NOT NULL
        HAVING count(*) > 0;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT resident_id) FROM left_behind WHERE visited IS NOT NULL
        HAVING count(*) > 0;
    ELSE
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT b.resident_id) FROM (
            SELECT resident_id, condition, year, visited FROM placed EXCEPT
            SELECT resident_id, condition, year, visited FROM left_behind) AS b
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_added AFTER INSERT ON indicator_year
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_visited_people();
CREATE TRIGGER indicator_follows_changed AFTER UPDATE ON indicator_year
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION mark_visited_people();
CREATE TRIGGER indicator_follows_removed AFTER DELETE ON indicator_year
    REFERENCING OLD TABLE AS left_behind FOR EACH STATEMENT EXECUTE FUNCTION mark_visited_people();

-- Not with a CTE: that would keep figures from being computed in parallel.
CREATE VIEW due_person AS
SELECT unnest(d.residents) AS id FROM due_indicator d
UNION SELECT m.into_id FROM resident_merge m JOIN
      (SELECT unnest(d.residents) AS id FROM due_indicator d) AS k ON k.id = m.resident_id
      WHERE m.unmerged_at IS NULL;

CREATE FUNCTION fold_people(ids text[]) RETURNS SETOF indicator_person
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
WITH person AS (
    SELECT r.id, r.team_id, r.birth_date, r.stub FROM resident r
    WHERE r.id = ANY (ids)
      AND NOT EXISTS (SELECT FROM resident_merge m
                      WHERE m.resident_id = r.id AND m.unmerged_at IS NULL)),
pseudonym AS (
    SELECT id AS person, id FROM person
    UNION ALL
    SELECT m.into_id, m.resident_id FROM resident_merge m JOIN person p ON p.id = m.into_id
    WHERE m.unmerged_at IS NULL),
known AS (
    SELECT n.person, min(r.enrolled_on) AS enrolled_on,
           min((r.created_at AT TIME ZONE 'Asia/Shanghai')::date) FILTER (WHERE NOT r.stub)
               AS registered_on
    FROM pseudonym n JOIN resident r ON r.id = n.id GROUP BY n.person),
told AS (
    SELECT n.person, c.condition, daterange(c.since, c.until, '[]') AS days
    FROM pseudonym n JOIN resident_condition c ON c.resident_id = n.id),
diagnosed AS (
    SELECT person,
           range_agg(days) FILTER (WHERE condition = 'hypertension') AS hypertension,
           range_agg(days) FILTER (WHERE condition = 'diabetes') AS diabetes,
           range_agg(days) FILTER (WHERE condition IN ('pregnant', 'lactating')) AS maternal,
           range_agg(days) FILTER (WHERE condition = 'tuberculosis') AS tuberculosis,
           range_agg(days) FILTER (WHERE condition = 'severe_mental_disorder')
               AS severe_mental_disorder,
           range_agg(days) FILTER (WHERE condition = 'disability') AS disability
    FROM told GROUP BY person),
turn AS (
    SELECT n.person, c.kind, c.reason, c.at, (c.at AT TIME ZONE 'Asia/Shanghai')::date AS day
    FROM pseudonym n JOIN record c ON c.resident_id = n.id
    WHERE c.kind IN ('closure', 'return')
      AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = c.id)
      AND (n.id = n.person OR NOT EXISTS (SELECT FROM contract_turn t WHERE t.record_id = c.id))),
turned AS (
    SELECT person, kind, reason, day,
           min(day) FILTER (WHERE kind = 'return') OVER (
               PARTITION BY person ORDER BY at, kind
               ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS back
    FROM turn),
closed AS (
    SELECT person, range_agg(daterange(day + 1, back)) AS days,
           range_agg(daterange(day + 1, back)) FILTER (WHERE reason IN ('death', 'moved')) AS gone
    FROM turned WHERE kind = 'closure' AND (back IS NULL OR back > day + 1)
    GROUP BY person),
running AS (
    SELECT c.resident_id AS person, c.since, c.package_id,
           greatest(c.since, c.signed_on) AS begins, least(c.until + 1, c.ended_on) AS ends
    FROM person p JOIN contract c ON c.resident_id = p.id),
contracted AS (
    SELECT r.person, d.day
    FROM running r CROSS JOIN LATERAL (VALUES (r.begins), (r.ends)) AS d (day)
    WHERE d.day IS NOT NULL AND (r.ends IS NULL OR r.ends > r.begins)
    GROUP BY r.person, d.day),
agreed AS (
    SELECT d.person, d.day, min(r.since) AS since,
           string_agg(DISTINCT r.package_id, E'\x1f') AS packages
    FROM contracted d LEFT JOIN running r
        ON r.person = d.person AND r.begins <= d.day AND (r.ends IS NULL OR r.ends > d.day)
    GROUP BY d.person, d.day),
signed AS (
    SELECT person, array_agg(day ORDER BY day) AS days, array_agg(since ORDER BY day) AS since,
           array_agg(packages ORDER BY day) AS packages
    FROM agreed GROUP BY person),
visited AS (
    SELECT person, array_agg(year ORDER BY year) AS years, array_agg(days ORDER BY year) AS days
    FROM (SELECT p.id AS person, y.year, bit_or(y.visited) AS days
          FROM person p JOIN indicator_year y ON y.resident_id = p.id
          WHERE y.visited IS NOT NULL GROUP BY p.id, y.year) AS each
    GROUP BY person)
SELECT p.id, p.team_id, p.birth_date, CASE WHEN NOT p.stub THEN k.registered_on END, x.gone,
       d.hypertension, d.diabetes, d.maternal, d.tuberculosis, d.severe_mental_disorder, d.disability,
       CASE WHEN k.enrolled_on IS NOT NULL THEN
           d.hypertension * datemultirange(daterange(k.enrolled_on, NULL)) - coalesce(x.days, '{}') END,
       CASE WHEN k.enrolled_on IS NOT NULL THEN
           d.diabetes * datemultirange(daterange(k.enrolled_on, NULL)) - coalesce(x.days, '{}') END,
       s.days, s.since, s.packages, v.years, v.days
FROM person p JOIN known k ON k.person = p.id
LEFT JOIN diagnosed d ON d.person = p.id
LEFT JOIN closed x ON x.person = p.id
LEFT JOIN signed s ON s.person = p.id
LEFT JOIN visited v ON v.person = p.id
WHERE NOT p.stub OR d.person IS NOT NULL $$;
REVOKE EXECUTE ON FUNCTION fold_people FROM PUBLIC;

-- Of contracts with different packages that run at a time; separated as above.
CREATE FUNCTION followups_of_packages(packages text) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT max(p.followups_per_year) FROM package p
    WHERE p.id = ANY (string_to_array(packages, E'\x1f')) $$;

CREATE FUNCTION fold_due_people() RETURNS SETOF indicator_person
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT p.* FROM fold_people(ARRAY(SELECT id FROM due_person)) AS p
    WHERE sees_everybody() OR p.team_id = ANY (seen_teams());
END $$;

CREATE FUNCTION settle_people(residents_max integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ids text[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(1595909637) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM due_indicator WHERE id IN (
            SELECT w.id FROM (
                SELECT d.id, sum(cardinality(d.residents)) OVER (ORDER BY d.id)
                             - cardinality(d.residents) AS before
                FROM (SELECT * FROM due_indicator ORDER BY id LIMIT residents_max) AS d) AS w
            WHERE w.before < residents_max)
        RETURNING residents)
    SELECT array_agg(DISTINCT n.id) INTO ids FROM taken, unnest(taken.residents) AS n (id);
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    ids := ids || ARRAY(SELECT m.into_id FROM resident_merge m
                        WHERE m.resident_id = ANY (ids) AND m.unmerged_at IS NULL);
    WITH folded AS MATERIALIZED (SELECT * FROM fold_people(ids)),
    nobody AS (
        DELETE FROM indicator_person p
        WHERE p.resident_id = ANY (ids)
          AND NOT EXISTS (SELECT FROM folded f WHERE f.resident_id = p.resident_id))
    INSERT INTO indicator_person AS p SELECT * FROM folded
    ON CONFLICT (resident_id) DO UPDATE SET
        team_id = EXCLUDED.team_id, birth_date = EXCLUDED.birth_date,
        registered_on = EXCLUDED.registered_on, gone = EXCLUDED.gone,
        hypertension = EXCLUDED.hypertension, diabetes = EXCLUDED.diabetes,
        maternal = EXCLUDED.maternal, tuberculosis = EXCLUDED.tuberculosis,
        severe_mental_disorder = EXCLUDED.severe_mental_disorder,
        disability = EXCLUDED.disability, managed_hypertension = EXCLUDED.managed_hypertension,
        managed_diabetes = EXCLUDED.managed_diabetes, contract_days = EXCLUDED.contract_days,
        contract_since = EXCLUDED.contract_since, contract_packages = EXCLUDED.contract_packages,
        visited_years = EXCLUDED.visited_years, visited = EXCLUDED.visited
    WHERE p.* IS DISTINCT FROM EXCLUDED.*;
    RETURN cardinality(ids);
END $$;
REVOKE EXECUTE ON FUNCTION settle_people FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settle_people TO suifang_judge;

INSERT INTO indicator_person
SELECT p.* FROM fold_people(ARRAY(SELECT id FROM resident)) AS p;

CREATE VIEW indicator_standing WITH (security_barrier) AS
SELECT p.* FROM indicator_person p
WHERE ((SELECT sees_everybody()) OR p.team_id = ANY ((SELECT seen_teams())::text[]))
  AND p.resident_id NOT IN (SELECT id FROM due_person)
UNION ALL
SELECT p.* FROM fold_due_people() AS p;
GRANT SELECT ON indicator_standing TO suifang_api, suifang_api_all;
DROP VIEW indicator_condition;
DROP VIEW indicator_turn;
