-- 0020 Who is to be told about alerts, when not, and every attempt to tell them.

CREATE TABLE staff_contact (
    staff_id     text PRIMARY KEY REFERENCES staff,
    email        text,
    phone        text,
    duties       text[] NOT NULL CHECK (duties <@ ARRAY['doctor', 'team_leader', 'centre']),
    changed_at   timestamptz NOT NULL,
    changed_by   text NOT NULL,
    digest_until timestamptz
);

CREATE TABLE duty_hours (
    kind        text NOT NULL CHECK (kind IN ('centre', 'team')),
    id          text NOT NULL,
    quiet_from  time NOT NULL,
    quiet_until time NOT NULL,
    shifts      time[] NOT NULL,
    changed_at  timestamptz NOT NULL,
    changed_by  text NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE message (
    id       uuid PRIMARY KEY,
    kind     text NOT NULL CHECK (kind IN ('page', 'notice', 'digest')),
    staff_id text NOT NULL REFERENCES staff,
    channel  text NOT NULL,
    content  jsonb NOT NULL,
    made_at  timestamptz NOT NULL,
    status   text NOT NULL DEFAULT 'waiting'
             CHECK (status IN ('waiting', 'sent', 'failed', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    next_at  timestamptz,
    CONSTRAINT message_waits_for_a_time CHECK ((status = 'waiting') = (next_at IS NOT NULL))
);
CREATE INDEX message_waiting ON message (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE message_attempt (
    message_id uuid NOT NULL REFERENCES message,
    number     integer NOT NULL,
    begun_at   timestamptz NOT NULL,
    ended_at   timestamptz,
    problem    text,
    PRIMARY KEY (message_id, number)
);

CREATE TABLE notification (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id   uuid NOT NULL REFERENCES alert ON DELETE CASCADE,
    round      integer NOT NULL,
    step       integer NOT NULL,
    rung       text NOT NULL CHECK (rung IN ('doctor', 'team_leader', 'centre')),
    held       boolean NOT NULL,
    at         timestamptz NOT NULL,
    staff_id   text,
    message_id uuid REFERENCES message,
    CONSTRAINT notification_tells_somebody CHECK ((staff_id IS NULL) = (message_id IS NULL))
);
CREATE INDEX notification_by_alert ON notification (alert_id, number);
CREATE INDEX notification_by_message ON notification (message_id);

ALTER TABLE staff_contact ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON staff_contact TO suifang_api
    USING (EXISTS (SELECT FROM staff s WHERE s.id = staff_id
                   AND s.centre_id = ANY ((SELECT seen_centres())::text[])));
CREATE POLICY everybody ON staff_contact TO suifang_api_all USING (true);
ALTER TABLE duty_hours ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON duty_hours FOR SELECT TO suifang_api USING (true);
CREATE POLICY own ON duty_hours TO suifang_api
    USING (CASE kind WHEN 'centre' THEN id = ANY ((SELECT seen_centres())::text[])
           ELSE EXISTS (SELECT FROM team t WHERE t.id = duty_hours.id
                        AND t.centre_id = ANY ((SELECT seen_centres())::text[])) END);
CREATE POLICY everybody ON duty_hours TO suifang_api_all USING (true);
ALTER TABLE notification ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notification FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM alert a WHERE a.id = alert_id));
CREATE POLICY everybody ON notification FOR SELECT TO suifang_api_all USING (true);
ALTER TABLE message ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON message FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM notification n WHERE n.message_id = message.id));
CREATE POLICY everybody ON message FOR SELECT TO suifang_api_all USING (true);
ALTER TABLE message_attempt ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON message_attempt FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM message m WHERE m.id = message_id));
CREATE POLICY everybody ON message_attempt FOR SELECT TO suifang_api_all USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON staff_contact, duty_hours
    TO suifang_api, suifang_api_all;
GRANT SELECT ON notification, message_attempt TO suifang_api, suifang_api_all;
GRANT SELECT (id, kind, staff_id, channel, made_at, status, attempts, next_at) ON message
    TO suifang_api, suifang_api_all;

CREATE FUNCTION notify_lag(at timestamptz, OUT waiting_since timestamptz, OUT nobody bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (SELECT min(t.look_at) FROM alert_attention t
            WHERE t.look_at <= notify_lag.at AND t.look_at > '-infinity'),
           (SELECT count(DISTINCT n.alert_id) FROM notification n
            JOIN alert a ON a.id = n.alert_id AND a.status = 'active'
            WHERE n.staff_id IS NULL AND n.at > notify_lag.at - INTERVAL '1 day') $$;
SELECT audit_table('staff_contact', 'staff_id', 'thing'),
       audit_table('duty_hours', 'id', 'thing');
