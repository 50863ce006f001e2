-- Of the whole server, as those of 0008.
DO $$
DECLARE
    needed text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
                        ELSE 'SET' END;
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'suifang_api_operations') THEN
            CREATE ROLE suifang_api_operations NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'suifang_api_operations', needed) THEN
        GRANT suifang_api_operations TO CURRENT_USER;
    END IF;
END $$;

-- What a gateway said of itself last, and its devices with it. Nothing in it is of a resident.
CREATE TABLE gateway_status (
    gateway_id         text PRIMARY KEY REFERENCES gateway,
    online             boolean NOT NULL,
    heard_at           timestamptz NOT NULL,  -- Ingest's clock: when it said so.
    said_at            timestamptz,           -- The gateway's clock; NULL: only its last will is known.
    version            text,
    refusing           text,                  -- Terminals are told busy, with this code.
    problems           text[] NOT NULL,
    spool_rows         bigint,                -- Readings on the box without a receipt.
    spool_rows_max     bigint,
    spool_bytes        bigint,
    spool_bytes_max    bigint,
    spool_oldest_at    timestamptz,           -- When the oldest of them was captured.
    clock_known        boolean,
    clock_synchronised boolean,
    clock_error_ms     bigint,                -- Upper bound; NULL: nobody knows.
    clock_offset_ms    bigint,                -- The machine's clock minus the time of its stamps.
    certificate_until  timestamptz,
    accepted           bigint,                -- Readings taken since the spool was made,
    lost               bigint,                -- and those that the disk did not keep.
    devices_unlisted   bigint NOT NULL
);
CREATE TABLE device_status (
    gateway_id      text NOT NULL REFERENCES gateway_status ON DELETE CASCADE,
    device_id       text NOT NULL,
    name            text NOT NULL,
    last_seen       timestamptz,              -- NULL, here and below: never told.
    battery_percent smallint,
    clock_offset_s  bigint,                   -- The device's clock minus the gateway's.
    calibration_due date,                     -- The last day on which it is valid.
    PRIMARY KEY (gateway_id, device_id)
);

-- The flow every few seconds, for charts of the last two days. Written by one API of all.
CREATE TABLE flow_sample (
    at              timestamptz PRIMARY KEY,
    day             date NOT NULL,            -- UTC.
    stored          bigint NOT NULL,          -- Of that day until now, all gateways.
    duplicate       bigint NOT NULL,
    quarantined     bigint NOT NULL,
    spool_rows      bigint NOT NULL,          -- On all boxes, as they said last.
    spool_oldest_s  double precision NOT NULL,
    feed_oldest_s   double precision NOT NULL -- The oldest event without a number.
);
CREATE INDEX gateway_day_by_day ON gateway_day (day);

-- What operators may, whom no route gives anything of a resident: a transaction of the API becomes
-- this role after it has seen that its principal may.
CREATE POLICY operations ON centre FOR SELECT TO suifang_api_operations USING (true);
CREATE POLICY operations ON package FOR SELECT TO suifang_api_operations USING (true);
GRANT SELECT ON centre, package, gateway, device, gateway_status, device_status, gateway_day,
    gateway_retired, flow_sample, quarantine TO suifang_api_operations;
GRANT SELECT (id, gateway_id, centre_id, issued_at, expires_at, used_at) ON enrolment_token
    TO suifang_api_operations;
GRANT INSERT, DELETE ON enrolment_token TO suifang_api_operations;
GRANT SELECT (serial, gateway_id, issued_at, expires_at, revoked_at, revoked_because)
    ON gateway_certificate TO suifang_api_operations;
GRANT UPDATE (revoked_at, revoked_because) ON gateway, gateway_certificate
    TO suifang_api_operations;
GRANT UPDATE (resolution, resolved_at, dropped_by, dropped_because) ON quarantine
    TO suifang_api_operations;
GRANT EXECUTE ON FUNCTION audit_write TO suifang_api_operations;
GRANT SELECT ON gateway_day, gateway_status TO suifang_api_process;
GRANT SELECT, INSERT, DELETE ON flow_sample TO suifang_api_process;
-- A replay asked for by a page does what ingest does; of late contexts, too.
CREATE POLICY intake_files ON amendment FOR INSERT TO suifang_api_intake
    WITH CHECK (kind = 'context' AND gateway_id IS NOT NULL);
GRANT INSERT ON amendment TO suifang_api_intake;
GRANT SELECT, INSERT ON due_context TO suifang_api_intake;
SELECT audit_table('gateway', 'id', 'thing'),
       audit_table('enrolment_token', 'gateway_id', 'thing');
