-- 0025 A role for each process: it can do its work, and nothing else.

-- Of the whole server, so they may be there already (as in 0008).
DO $$
DECLARE
    wanted text;
    needed text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
                        ELSE 'SET' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['suifang_ingest', 'suifang_judge', 'suifang_dispatch',
                               'suifang_notify', 'suifang_deliver', 'suifang_deliver_own',
                               'suifang_deliver_all', 'suifang_maintenance'] LOOP
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

-- Processes see everybody whom their grants let them see: policies are about people who ask.
CREATE POLICY processes ON resident
    TO suifang_ingest, suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON resident_condition FOR SELECT
    TO suifang_ingest, suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON centre FOR SELECT
    TO suifang_ingest, suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON team FOR SELECT
    TO suifang_ingest, suifang_judge, suifang_maintenance, suifang_notify, suifang_deliver
    USING (true);
CREATE POLICY processes ON alert
    TO suifang_ingest, suifang_judge, suifang_maintenance, suifang_notify USING (true);
CREATE POLICY processes ON amendment
    TO suifang_ingest, suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON outbox
    TO suifang_ingest, suifang_judge, suifang_dispatch, suifang_notify, suifang_maintenance
    USING (true);
CREATE POLICY processes ON contract FOR SELECT TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON package FOR SELECT TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON record TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON contract_turn TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON contract_due TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON registry_entry TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON registry_change FOR SELECT
    TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON resident_merge FOR SELECT
    TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON resident_case TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON case_transition TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON indicator_year TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON alert_attention TO suifang_notify USING (true);
CREATE POLICY processes ON alert_history TO suifang_notify USING (true);
CREATE POLICY processes ON staff FOR SELECT TO suifang_notify USING (true);
CREATE POLICY processes ON staff_team FOR SELECT TO suifang_notify USING (true);
CREATE POLICY processes ON staff_contact TO suifang_notify USING (true);
CREATE POLICY processes ON duty_hours FOR SELECT TO suifang_notify USING (true);
CREATE POLICY processes ON message TO suifang_notify USING (true);
CREATE POLICY processes ON message_attempt TO suifang_notify USING (true);
CREATE POLICY processes ON notification TO suifang_notify USING (true);

-- Ingest stores what terminals measured and raises what cannot wait.
GRANT SELECT ON retention, gateway, centre, team, resident_condition TO suifang_ingest;
GRANT SELECT (id, team_id, birth_date, enrolled_on), INSERT (id, stub, created_at) ON resident
    TO suifang_ingest;
GRANT SELECT, INSERT, DELETE ON reading TO suifang_ingest;
GRANT SELECT, INSERT ON reading_key, reading_held, duplicate, amendment, alert TO suifang_ingest;
GRANT SELECT, INSERT, UPDATE ON quarantine, gateway_day TO suifang_ingest;
GRANT INSERT ON due_mark, due_batch, due_context, outbox TO suifang_ingest;
GRANT SELECT, INSERT, UPDATE ON gateway_status TO suifang_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON device_status TO suifang_ingest;

-- The judge reads what the rules know of, and writes cases, alerts and when to look again. Retention
-- judges everybody once more before it lets go.
GRANT SELECT ON centre, team, resident_condition, package, contract, amendment, resident_merge,
    reading, reading_held, reading_key, reading_owner, stored_reading, owned_reading,
    resident_checkpoint TO suifang_judge, suifang_maintenance;
GRANT SELECT (id, team_id, birth_date, enrolled_on), INSERT (id, stub, created_at) ON resident
    TO suifang_judge, suifang_maintenance;
GRANT SELECT (kind, id, version, author) ON registry_change TO suifang_judge, suifang_maintenance;
GRANT SELECT, INSERT, UPDATE (version) ON registry_entry TO suifang_judge, suifang_maintenance;
GRANT SELECT, INSERT ON record, contract_turn TO suifang_judge, suifang_maintenance;
GRANT SELECT, INSERT, UPDATE ON resident_case, alert, resident_fold
    TO suifang_judge, suifang_maintenance;
GRANT INSERT ON case_transition, outbox TO suifang_judge, suifang_maintenance;
GRANT SELECT, INSERT, UPDATE, DELETE ON due_mark, due_timer, contract_due, indicator_year
    TO suifang_judge, suifang_maintenance;
GRANT SELECT, UPDATE, DELETE ON due_batch, due_context, due_unclaimed
    TO suifang_judge, suifang_maintenance;

-- The dispatcher numbers; what is told it cannot read.
GRANT SELECT (id, number), UPDATE (number) ON outbox TO suifang_dispatch;

-- The notifier tells staff of alerts. No resident but by the pseudonym in an alert, no reading.
GRANT SELECT ON alert, team, staff, staff_team, duty_hours TO suifang_notify;
GRANT SELECT, UPDATE (digest_until) ON staff_contact TO suifang_notify;
GRANT SELECT, INSERT, UPDATE ON alert_attention, message, message_attempt TO suifang_notify;
GRANT SELECT, INSERT ON alert_history, notification TO suifang_notify;
GRANT INSERT ON outbox TO suifang_notify;

-- The deliverer reads the feed as each subscription's owner sees it, and nothing else of anyone.
ALTER POLICY own ON resident TO suifang_api, suifang_deliver_own;
ALTER POLICY own ON outbox TO suifang_api, suifang_deliver_own;
ALTER POLICY everybody ON resident TO suifang_api_all, suifang_deliver_all;
ALTER POLICY everybody ON outbox TO suifang_api_all, suifang_deliver_all;
ALTER POLICY process ON webhook TO suifang_deliver;
ALTER POLICY process ON webhook_secret TO suifang_deliver;
GRANT SELECT (id, team_id) ON resident TO suifang_deliver_own, suifang_deliver_all;
GRANT SELECT ON outbox TO suifang_deliver_own, suifang_deliver_all;
GRANT SELECT ON team, webhook, webhook_secret TO suifang_deliver;
GRANT SELECT (client, role, scopes, team_ids, centre_ids, expires_at, revoked_at) ON api_key
    TO suifang_deliver;
GRANT UPDATE (after, failures, failing_since, next_at, parked_at, parked_because,
    last_delivered_at, last_problem) ON webhook TO suifang_deliver;
GRANT EXECUTE ON FUNCTION audit_write TO suifang_deliver;
REVOKE ALL ON webhook, webhook_secret FROM suifang_api_process;

-- Retention lets readings go, and tidying rewrites months. Both need to own what they do it to: these
-- functions do no more of it than is said to be let go, and than is past.
GRANT DELETE ON reading, reading_key, reading_held TO suifang_maintenance;
GRANT INSERT ON reading_held TO suifang_maintenance;
GRANT UPDATE (retired) ON amendment TO suifang_maintenance;
GRANT SELECT, INSERT, UPDATE ON retention, gateway_retired TO suifang_maintenance;
GRANT INSERT, UPDATE ON resident_checkpoint TO suifang_maintenance;
GRANT SELECT (reason) ON quarantine TO suifang_maintenance;

CREATE FUNCTION drop_retired_readings(older_than timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (older_than <= (SELECT edge FROM retention)) IS NOT TRUE THEN
        RAISE EXCEPTION 'readings that are kept are not dropped'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM drop_chunks('reading', older_than => drop_retired_readings.older_than);
END $$;
REVOKE EXECUTE ON FUNCTION drop_retired_readings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION drop_retired_readings TO suifang_maintenance;

CREATE FUNCTION tidy_readings(chunk_schema name, chunk_name name, index_name name) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM timescaledb_information.chunks c
                   WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'reading'
                     AND c.chunk_schema = tidy_readings.chunk_schema
                     AND c.chunk_name = tidy_readings.chunk_name) THEN
        RAISE EXCEPTION 'these are no readings' USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('CLUSTER %I.%I USING %I', chunk_schema, chunk_name, index_name);
    EXECUTE format('ANALYZE %I.%I', chunk_schema, chunk_name);
END $$;
REVOKE EXECUTE ON FUNCTION tidy_readings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidy_readings TO suifang_maintenance;
