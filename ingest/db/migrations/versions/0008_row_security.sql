-- 0008 Row-level security: who asks sees their own, whatever the query forgot.

-- Of the whole server, so they may be there already: another database of ours, or a second
-- migration at this very moment.
DO $$
DECLARE
    wanted text;
    needed text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
                        ELSE 'SET' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['suifang_api', 'suifang_api_all', 'suifang_api_process'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        IF NOT pg_has_role(current_user, wanted, needed) THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        END IF;
    END LOOP;
END $$;

-- Where a case and an alert are to be seen now: the team of their resident.
ALTER TABLE resident_case ADD COLUMN team_id text;
ALTER TABLE alert ADD COLUMN team_id text;
UPDATE resident_case c SET team_id = r.team_id FROM resident r WHERE r.id = c.resident_id;
UPDATE alert a SET team_id = r.team_id FROM resident r WHERE r.id = a.resident_id;
CREATE INDEX resident_by_team ON resident (team_id);
CREATE INDEX resident_case_by_team ON resident_case (team_id, number);
CREATE INDEX alert_by_team ON alert (team_id, number);
CREATE INDEX alert_of_centre ON alert (centre_id, number) WHERE team_id IS NULL;

CREATE FUNCTION place_with_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT team_id INTO NEW.team_id FROM resident WHERE id = NEW.resident_id FOR SHARE;
    RETURN NEW;
END $$;
CREATE TRIGGER resident_case_is_placed BEFORE INSERT ON resident_case
    FOR EACH ROW EXECUTE FUNCTION place_with_resident();
CREATE TRIGGER alert_is_placed BEFORE INSERT OR UPDATE ON alert
    FOR EACH ROW EXECUTE FUNCTION place_with_resident();

CREATE FUNCTION follow_new_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE resident_case c SET team_id = n.team_id FROM placed n
    WHERE c.resident_id = n.id AND n.team_id IS NOT NULL AND c.team_id IS DISTINCT FROM n.team_id;
    UPDATE alert a SET team_id = n.team_id FROM placed n
    WHERE a.resident_id = n.id AND n.team_id IS NOT NULL AND a.team_id IS DISTINCT FROM n.team_id;
    RETURN NULL;
END $$;
CREATE TRIGGER resident_is_followed AFTER INSERT ON resident
    REFERENCING NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION follow_new_resident();

CREATE FUNCTION follow_moved_resident() RETURNS trigger
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
CREATE TRIGGER resident_is_followed_when_moved AFTER UPDATE ON resident
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION follow_moved_resident();

CREATE FUNCTION tell_moved_team() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('resident_moved', '');
    RETURN NULL;
END $$;
CREATE TRIGGER team_is_followed AFTER UPDATE OF centre_id ON team
    FOR EACH STATEMENT EXECUTE FUNCTION tell_moved_team();

-- Whom the present transaction is for; nothing said: nobody.
CREATE FUNCTION seen_teams() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('suifang.teams', true), '')::text[] $$;
CREATE FUNCTION seen_centres() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('suifang.centres', true), '')::text[] $$;
CREATE FUNCTION sees_measured() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('suifang.measured', true) IS NOT DISTINCT FROM 'on' $$;
CREATE FUNCTION sees_everybody() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('role', true) = 'suifang_api_all' $$;

-- A resident whom no team has: then the centre that measured is responsible.
CREATE FUNCTION has_team(resident text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM resident r WHERE r.id = resident AND r.team_id IS NOT NULL) $$;

-- The end of the feed, for everybody: a number says nothing of anyone.
CREATE FUNCTION feed_head() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(max(number), 0) FROM outbox $$;

ALTER TABLE resident ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident TO suifang_api
    USING (team_id = ANY ((SELECT seen_teams())::text[]));
CREATE POLICY everybody ON resident TO suifang_api_all USING (true);
CREATE POLICY process ON resident FOR SELECT TO suifang_api_process USING (true);

ALTER TABLE resident_condition ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_condition TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON resident_condition TO suifang_api_all
    USING ((SELECT sees_measured()));

ALTER TABLE contract ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON contract TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON contract TO suifang_api_all USING (true);

ALTER TABLE record ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON record TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON record TO suifang_api_all USING ((SELECT sees_measured()));

ALTER TABLE resident_case ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_case TO suifang_api
    USING (team_id = ANY ((SELECT seen_teams())::text[]));
CREATE POLICY everybody ON resident_case TO suifang_api_all USING (true);

ALTER TABLE case_transition ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON case_transition TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON case_transition TO suifang_api_all USING ((SELECT sees_measured()));

ALTER TABLE alert ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON alert TO suifang_api
    USING (team_id = ANY ((SELECT seen_teams())::text[])
           OR (team_id IS NULL AND centre_id = ANY ((SELECT seen_centres())::text[])));
CREATE POLICY everybody ON alert TO suifang_api_all USING (true);

ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON outbox FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = payload ->> 'resident_id')
           OR (payload ->> 'resident_id' IS NULL
               AND payload ->> 'team_id' = ANY ((SELECT seen_teams())::text[]))
           OR (payload ->> 'centre_id' = ANY ((SELECT seen_centres())::text[])
               AND CASE WHEN payload ->> 'resident_id' IS NULL THEN payload ->> 'team_id' IS NULL
                        ELSE NOT has_team(payload ->> 'resident_id') END));
CREATE POLICY told ON outbox FOR INSERT TO suifang_api WITH CHECK (true);
CREATE POLICY everybody ON outbox TO suifang_api_all USING (true);
CREATE POLICY process ON outbox FOR SELECT TO suifang_api_process USING (true);

-- The hypertable itself is granted to nobody: TimescaleDB gives its chunks the same grants, and
-- anybody may look into the schema they are in, past every policy. This view is the only way.
CREATE VIEW visible_reading WITH (security_barrier) AS
SELECT s.* FROM stored_reading s
WHERE (SELECT sees_measured())
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = s.resident_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[]))
       OR (s.centre_id = ANY ((SELECT seen_centres())::text[])
           AND NOT EXISTS (SELECT FROM resident r
                           WHERE r.id = s.resident_id AND r.team_id IS NOT NULL)));

-- What is said of a reading is as visible as the reading; a late context names no reading yet.
ALTER TABLE amendment ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON amendment TO suifang_api
    USING (EXISTS (SELECT FROM visible_reading r WHERE r.id = reading_id));
CREATE POLICY everybody ON amendment TO suifang_api_all USING ((SELECT sees_measured()));

GRANT SELECT ON centre, team, package, resident, resident_condition, contract, record, amendment,
    resident_case, case_transition, alert, outbox, retention, visible_reading
    TO suifang_api, suifang_api_all;
GRANT INSERT, UPDATE ON centre, team, package, resident, resident_condition, contract
    TO suifang_api, suifang_api_all;
GRANT INSERT ON record, amendment, due_mark, outbox TO suifang_api, suifang_api_all;
GRANT SELECT ON outbox, team TO suifang_api_process;
GRANT SELECT (id, team_id) ON resident TO suifang_api_process;
-- Enrolment, where nobody is known yet.
GRANT SELECT, UPDATE ON enrolment_token TO suifang_api_process;
GRANT SELECT, INSERT, UPDATE ON gateway, gateway_certificate TO suifang_api_process;
GRANT SELECT ON alembic_version TO suifang_api_process;

-- The register: places, people who work there and packages are no secret; who may write of a
-- centre writes of that centre only, or it would make strangers' teams its own.
ALTER TABLE centre ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON centre FOR SELECT TO suifang_api, suifang_api_process USING (true);
CREATE POLICY own ON centre FOR UPDATE TO suifang_api
    USING (id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON centre TO suifang_api_all USING (true);
ALTER TABLE team ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON team FOR SELECT TO suifang_api, suifang_api_process USING (true);
CREATE POLICY own ON team TO suifang_api
    USING (centre_id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON team TO suifang_api_all USING (true);
ALTER TABLE staff ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON staff FOR SELECT TO suifang_api USING (true);
CREATE POLICY own ON staff TO suifang_api
    USING (centre_id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON staff TO suifang_api_all USING (true);
ALTER TABLE staff_team ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON staff_team FOR SELECT TO suifang_api USING (true);
CREATE POLICY own ON staff_team TO suifang_api
    USING (EXISTS (SELECT FROM staff s WHERE s.id = staff_id
                   AND s.centre_id = ANY ((SELECT seen_centres())::text[])));
CREATE POLICY everybody ON staff_team TO suifang_api_all USING (true);
ALTER TABLE package ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON package FOR SELECT TO suifang_api USING (true);
CREATE POLICY everybody ON package TO suifang_api_all USING (true);

-- An id that is somebody else's; one that nobody has yet is nobody's.
CREATE FUNCTION is_strangers(kind text, id text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT CASE kind
        WHEN 'resident' THEN EXISTS (
            SELECT FROM resident r
            WHERE r.id = $2 AND r.team_id IS NOT NULL
              AND (r.team_id = ANY (seen_teams())) IS NOT TRUE)
        WHEN 'contract' THEN EXISTS (
            SELECT FROM contract c JOIN resident r ON r.id = c.resident_id
            WHERE c.id = $2 AND (r.team_id = ANY (seen_teams())) IS NOT TRUE)
        ELSE false END $$;
ALTER TABLE registry_entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON registry_entry TO suifang_api USING (NOT is_strangers(kind, id));
CREATE POLICY everybody ON registry_entry TO suifang_api_all USING (true);
ALTER TABLE registry_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON registry_change FOR SELECT TO suifang_api
    USING (resident_id IS NULL OR ((SELECT sees_measured())
        AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id)));
CREATE POLICY everybody ON registry_change FOR SELECT TO suifang_api_all
    USING (resident_id IS NULL OR (SELECT sees_measured()));
CREATE POLICY told ON registry_change FOR INSERT TO suifang_api, suifang_api_all
    WITH CHECK (true);
ALTER TABLE contract_turn ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON contract_turn TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON contract_turn TO suifang_api_all USING (true);
ALTER TABLE contract_due ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON contract_due TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON contract_due TO suifang_api_all USING (true);

-- Names and ID numbers, under keys that the database does not have.
ALTER TABLE resident_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_key TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON resident_key TO suifang_api_all USING ((SELECT sees_measured()));
ALTER TABLE resident_sealed ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_sealed TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON resident_sealed TO suifang_api_all USING ((SELECT sees_measured()));
GRANT SELECT, INSERT, UPDATE (version) ON registry_entry TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT, UPDATE ON staff, resident_key TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT ON registry_change, contract_turn TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT, DELETE ON staff_team, resident_sealed TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT, UPDATE, DELETE ON contract_due TO suifang_api, suifang_api_all;
GRANT DELETE ON resident_condition TO suifang_api, suifang_api_all;
GRANT UPDATE (centre_id, updated_at) ON alert TO suifang_api, suifang_api_all;

-- Credentials and the audit log --------------------------------------------------------------------

-- Keys of machines. The secret is not here: 256 random bits are not guessed from their hash.
CREATE TABLE api_key (
    id           text PRIMARY KEY,          -- The readable middle of the key.
    client       text NOT NULL,             -- Who uses it; stays when the key is rotated.
    secret_hash  bytea NOT NULL,            -- SHA-256.
    role         text NOT NULL,
    scopes       text[],                    -- NULL: all that the role may.
    team_ids     text[] NOT NULL,
    centre_ids   text[] NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    replaces     text REFERENCES api_key,   -- The key it was rotated from.
    last_used_at timestamptz                -- To the minute.
);

-- Which resident an entry is about. Without its row here, nobody can say any more; the entries and
-- their seals stay as they are.
CREATE TABLE audit_handle (
    handle      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident_id text NOT NULL UNIQUE
);

-- A group of entries and all before it, in one hash. See api/audit/chain.py.
CREATE TABLE audit_seal (
    number    bigint PRIMARY KEY,           -- From 1, without gaps.
    entries   integer NOT NULL,
    content   bytea NOT NULL,               -- Hash of the entries.
    previous  bytea NOT NULL,               -- Hash of the seal before; of the first: zeros.
    hash      bytea NOT NULL,
    until     timestamptz NOT NULL,         -- Its latest entry.
    sealed_at timestamptz NOT NULL
);

-- Who saw or changed whom. Append-only: only `seal` is ever set, once.
CREATE TABLE audit_entry (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    subject text NOT NULL,
    action  text NOT NULL,                  -- 'read', 'insert', 'update', 'delete', ...
    object  text NOT NULL,                  -- The operation that read; the table that was changed.
    handles bigint[] NOT NULL,              -- Of residents.
    things  text[] NOT NULL,                -- Ids of what is no resident.
    seal    bigint REFERENCES audit_seal    -- NULL: not sealed yet.
);
CREATE INDEX audit_entry_unsealed ON audit_entry (id) WHERE seal IS NULL;
CREATE INDEX audit_entry_by_seal ON audit_entry (seal, id);

CREATE FUNCTION audit_write(
    at timestamptz, subject text, action text, object text, residents text[], things text[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO audit_handle (resident_id)
    SELECT DISTINCT n.id FROM unnest(residents) AS n (id)
    WHERE n.id IS NOT NULL
      AND NOT EXISTS (SELECT FROM audit_handle h WHERE h.resident_id = n.id)
    ORDER BY n.id
    ON CONFLICT DO NOTHING;
    INSERT INTO audit_entry (at, subject, action, object, handles, things)
    SELECT audit_write.at, audit_write.subject, audit_write.action, audit_write.object,
           ARRAY(SELECT h.handle FROM audit_handle h
                 WHERE h.resident_id = ANY(residents) ORDER BY 1),
           coalesce(audit_write.things, '{}');
END $$;
REVOKE EXECUTE ON FUNCTION audit_write FROM PUBLIC;

-- Changes are noted by the database itself, in their own transaction: no program can forget it.
-- What ingest, the judge and operators change without a subject is not of a person.
CREATE FUNCTION audit_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    subject text := nullif(current_setting('suifang.subject', true), '');
    changed_ids text[];
    of_residents boolean := TG_ARGV[1] = 'resident';
BEGIN
    IF subject IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT array_agg(DISTINCT %I::text) FROM changed', TG_ARGV[0])
        INTO changed_ids;
    IF changed_ids IS NULL THEN
        RETURN NULL;
    END IF;
    -- A name's collation is "C" and would become that of every text in there: no index would serve.
    PERFORM audit_write(current_setting('suifang.at')::timestamptz, subject, lower(TG_OP),
        TG_TABLE_NAME::text COLLATE "default", CASE WHEN of_residents THEN changed_ids END,
        CASE WHEN NOT of_residents THEN changed_ids END);
    RETURN NULL;
END $$;

-- Have changes of a table noted. `about` says what its column names: a 'resident' or a 'thing'.
CREATE FUNCTION audit_table(watched regclass, named text, about text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    operation text;
BEGIN
    FOREACH operation IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER %s ON %s REFERENCING %s TABLE AS changed '
            'FOR EACH STATEMENT EXECUTE FUNCTION audit_change(%L, %L)',
            'audited_' || lower(operation), operation, watched,
            CASE operation WHEN 'DELETE' THEN 'OLD' ELSE 'NEW' END, named, about);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION audit_table FROM PUBLIC;
SELECT audit_table('resident', 'id', 'resident'),
       audit_table('resident_condition', 'resident_id', 'resident'),
       audit_table('contract', 'resident_id', 'resident'),
       audit_table('record', 'resident_id', 'resident'),
       audit_table('amendment', 'reading_id', 'thing'),
       audit_table('centre', 'id', 'thing'),
       audit_table('team', 'id', 'thing'),
       audit_table('package', 'id', 'thing'),
       audit_table('staff', 'id', 'thing'),
       audit_table('resident_key', 'resident_id', 'resident'),
       audit_table('api_key', 'id', 'thing');

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seal IS NULL AND NEW.seal IS NOT NULL
       AND (NEW.id, NEW.at, NEW.subject, NEW.action, NEW.object, NEW.handles, NEW.things)
           = (OLD.id, OLD.at, OLD.subject, OLD.action, OLD.object, OLD.handles, OLD.things) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND current_setting('suifang.audit_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_entry_stays BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();

CREATE FUNCTION sees_audit() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('suifang.audit', true) IS NOT DISTINCT FROM 'on' $$;
ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY auditor ON audit_entry FOR SELECT TO suifang_api, suifang_api_all
    USING ((SELECT sees_audit()));
CREATE POLICY process ON audit_entry TO suifang_api_process USING (true);
ALTER TABLE audit_handle ENABLE ROW LEVEL SECURITY;
CREATE POLICY auditor ON audit_handle FOR SELECT TO suifang_api, suifang_api_all
    USING ((SELECT sees_audit()));
GRANT SELECT ON audit_entry, audit_handle TO suifang_api, suifang_api_all;
GRANT SELECT, UPDATE (seal) ON audit_entry TO suifang_api_process;
GRANT SELECT, INSERT ON audit_seal TO suifang_api_process;
GRANT SELECT, UPDATE (last_used_at) ON api_key TO suifang_api_process;
GRANT EXECUTE ON FUNCTION audit_write TO suifang_api_process;
