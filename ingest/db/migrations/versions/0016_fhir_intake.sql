-- Of the whole server, as those of 0008.
DO $$
DECLARE
    needed text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
                        ELSE 'SET' END;
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'suifang_api_intake') THEN
            CREATE ROLE suifang_api_intake NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'suifang_api_intake', needed) THEN
        GRANT suifang_api_intake TO CURRENT_USER;
    END IF;
END $$;

-- By which identifiers of its own a sender has sent a reading: each stands for one, for ever.
CREATE TABLE observation_identifier (
    gateway_id  text NOT NULL,
    system      text NOT NULL,
    value       text NOT NULL,
    sent_id     uuid NOT NULL,              -- Made from what was sent: other content has another.
    reading_id  uuid NOT NULL,              -- What is stored; of a duplicate the first one.
    received_at timestamptz NOT NULL,
    PRIMARY KEY (gateway_id, system, value)
);
CREATE INDEX observation_identifier_by_reading ON observation_identifier (reading_id);
CREATE INDEX observation_identifier_by_name ON observation_identifier (system, value);
ALTER TABLE observation_identifier ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON observation_identifier FOR SELECT TO suifang_api, suifang_api_all
    USING (EXISTS (SELECT FROM visible_reading r WHERE r.id = reading_id));
CREATE POLICY intake ON observation_identifier TO suifang_api_intake USING (true);
GRANT SELECT ON observation_identifier TO suifang_api, suifang_api_all;

-- What ingest does for one reading, for a transaction of the API that has seen whom it is about.
-- Nobody asks anything else as this role.
CREATE POLICY intake ON resident TO suifang_api_intake USING (true);
CREATE POLICY intake ON resident_condition FOR SELECT TO suifang_api_intake USING (true);
CREATE POLICY intake ON alert TO suifang_api_intake USING (true);
CREATE POLICY intake ON amendment FOR SELECT TO suifang_api_intake USING (true);
CREATE POLICY intake ON outbox FOR INSERT TO suifang_api_intake WITH CHECK (true);
CREATE POLICY intake ON team FOR SELECT TO suifang_api_intake USING (true);
CREATE POLICY intake ON centre FOR SELECT TO suifang_api_intake USING (true);
GRANT SELECT ON retention, gateway, team, centre, resident_condition, amendment
    TO suifang_api_intake;
GRANT SELECT, INSERT ON resident, reading_key, reading_held, duplicate, alert
    TO suifang_api_intake;
GRANT SELECT, INSERT, DELETE ON reading TO suifang_api_intake;
GRANT SELECT, INSERT, UPDATE ON quarantine, gateway_day TO suifang_api_intake;
GRANT SELECT, INSERT, UPDATE, DELETE ON observation_identifier TO suifang_api_intake;
GRANT INSERT ON due_mark, outbox TO suifang_api_intake;
GRANT EXECUTE ON FUNCTION audit_write TO suifang_api_intake;
