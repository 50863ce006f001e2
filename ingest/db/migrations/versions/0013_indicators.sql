-- Indicators ------------------------------------------------------------------------------------

-- What indicators count, of one resident, condition and local calendar year: a bit a day, the
-- first of January rightmost, so that of two such rows the greater one has the later day. The judge
-- writes it with the case; NULL: no day. Of the past of a checkpoint the days stay as they were.
CREATE TABLE indicator_year (
    resident_id       text NOT NULL,
    condition         text NOT NULL CHECK (condition IN ('hypertension', 'diabetes')),
    year              smallint NOT NULL,
    controlled        bit(366),              -- A follow-up found the value under control,
    uncontrolled      bit(366),              -- or not, or nothing was measured. Never both.
    visited           bit(366),              -- Somebody came, went or called.
    face_to_face      bit(366),              -- Of these: came or went.
    second_due        bit(366),              -- Days on which such a follow-up was due,
    second_on_time    bit(366),              -- those of them answered by then,
    second_late       bit(366),              -- and those answered later.
    referral_due      bit(366),
    referral_on_time  bit(366),
    referral_late     bit(366),
    routine_due       bit(366),
    routine_on_time   bit(366),
    routine_late      bit(366),
    PRIMARY KEY (resident_id, condition, year)
) WITH (fillfactor = 80);
CREATE INDEX indicator_year_by_year ON indicator_year USING brin (year);

-- Yearly health checks (健康体检), by their local day.
CREATE TABLE health_check (
    resident_id text NOT NULL REFERENCES resident,
    day         date NOT NULL,
    author      text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (resident_id, day)
);
SELECT audit_table('health_check', 'resident_id', 'resident');

-- Who closed the figures of a centre and a period. Nothing of it is ever changed.
CREATE TABLE indicator_closing (
    centre_id text NOT NULL REFERENCES centre,
    period    text NOT NULL,                -- '2026', '2026-H1', '2026-Q3', '2026-11'.
    author    text NOT NULL,
    closed_at timestamptz NOT NULL,
    PRIMARY KEY (centre_id, period)
);
CREATE TABLE indicator_closed (
    centre_id   text NOT NULL,
    period      text NOT NULL,
    team_id     text NOT NULL,              -- As residents were in teams when it was closed.
    code        text NOT NULL,
    version     integer NOT NULL,           -- Of the formula.
    numerator   bigint NOT NULL,
    denominator bigint,                     -- NULL: nobody said how many.
    PRIMARY KEY (centre_id, period, team_id, code),
    FOREIGN KEY (centre_id, period) REFERENCES indicator_closing
);

CREATE FUNCTION closed_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'figures of a closed period are never changed'
        USING ERRCODE = 'insufficient_privilege';
END $$;
-- Also of a period that another transaction closed: figures come with their closing.
CREATE FUNCTION closed_with_its_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a
               WHERE NOT EXISTS (SELECT FROM indicator_closing c
                                 WHERE (c.centre_id, c.period) = (a.centre_id, a.period)
                                   AND c.xmin = pg_current_xact_id()::xid)) THEN
        RAISE EXCEPTION 'figures of a closed period are never added to'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_closing_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON indicator_closing
    FOR EACH STATEMENT EXECUTE FUNCTION closed_is_closed();
CREATE TRIGGER indicator_closed_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON indicator_closed
    FOR EACH STATEMENT EXECUTE FUNCTION closed_is_closed();
CREATE TRIGGER indicator_closed_comes_once AFTER INSERT ON indicator_closed
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION closed_with_its_closing();
-- Also where triggers are switched off for a session, as a restore or a replica does.
ALTER TABLE indicator_closing ENABLE ALWAYS TRIGGER indicator_closing_stays;
ALTER TABLE indicator_closed ENABLE ALWAYS TRIGGER indicator_closed_stays;
SELECT audit_table('indicator_closing', 'centre_id', 'thing');

-- A day is no measured value: whoever may see the resident may see on which days they were followed.
ALTER TABLE indicator_year ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON indicator_year FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON indicator_year FOR SELECT TO suifang_api_all USING (true);
ALTER TABLE health_check ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON health_check TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON health_check TO suifang_api_all USING (true);
ALTER TABLE indicator_closing ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON indicator_closing FOR SELECT TO suifang_api
    USING (centre_id = ANY ((SELECT seen_centres())::text[])
           OR EXISTS (SELECT FROM team t WHERE t.centre_id = indicator_closing.centre_id
                      AND t.id = ANY ((SELECT seen_teams())::text[])));
CREATE POLICY own ON indicator_closing FOR INSERT TO suifang_api
    WITH CHECK (centre_id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON indicator_closing TO suifang_api_all USING (true);
ALTER TABLE indicator_closed ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON indicator_closed FOR SELECT TO suifang_api
    USING (centre_id = ANY ((SELECT seen_centres())::text[])
           OR team_id = ANY ((SELECT seen_teams())::text[]));
CREATE POLICY own ON indicator_closed FOR INSERT TO suifang_api
    WITH CHECK (centre_id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON indicator_closed TO suifang_api_all USING (true);

-- Figures need more than a supervisor may read: whether and since when somebody has a condition,
-- and when they were not followed. Not more of it than that.
CREATE VIEW indicator_condition WITH (security_barrier) AS
SELECT c.resident_id, c.condition, c.since, c.until FROM resident_condition c
WHERE (SELECT sees_everybody())
   OR EXISTS (SELECT FROM resident r WHERE r.id = c.resident_id
              AND r.team_id = ANY ((SELECT seen_teams())::text[]));
CREATE VIEW indicator_turn WITH (security_barrier) AS
SELECT c.resident_id, c.kind, c.reason, c.at, c.number FROM record c
WHERE c.kind IN ('closure', 'return')
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = c.resident_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[])));
CREATE INDEX record_of_turns ON record (resident_id, at) WHERE kind IN ('closure', 'return');
GRANT SELECT ON indicator_year, indicator_condition, indicator_turn TO suifang_api,
    suifang_api_all;
GRANT SELECT, INSERT, DELETE ON health_check TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT ON indicator_closing, indicator_closed TO suifang_api, suifang_api_all;
