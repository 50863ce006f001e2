-- 0014 What people do about an alert: acknowledge, snooze, undo; and when the notifier looks again.

CREATE FUNCTION severity_rank(severity text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_position(ARRAY['info', 'warn', 'high', 'critical'], severity) $$;

CREATE TABLE alert_attention (
    alert_id        uuid PRIMARY KEY REFERENCES alert ON DELETE CASCADE,
    round           integer NOT NULL DEFAULT 1,
    opened_at       timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    reason          text,
    note            text,
    snoozed_at      timestamptz,
    snoozed_by      text,
    snoozed_until   timestamptz,
    step            integer NOT NULL DEFAULT 0,
    look_at         timestamptz,
    CONSTRAINT alert_attention_acknowledged_says_who_and_why CHECK (
        (acknowledged_at IS NULL) = (acknowledged_by IS NULL)
        AND (acknowledged_at IS NULL) = (reason IS NULL)
        AND (note IS NULL OR reason IS NOT NULL)),
    CONSTRAINT alert_attention_snoozed_says_who_and_how_long CHECK (
        (snoozed_at IS NULL) = (snoozed_by IS NULL)
        AND (snoozed_at IS NULL) = (snoozed_until IS NULL)),
    CONSTRAINT alert_attention_is_one_thing CHECK (acknowledged_at IS NULL OR snoozed_at IS NULL)
);
CREATE INDEX alert_attention_due ON alert_attention (look_at) WHERE look_at IS NOT NULL;

CREATE TABLE alert_history (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert ON DELETE CASCADE,
    what     text NOT NULL CHECK (what IN (
        'acknowledged', 'acknowledgement_withdrawn', 'snoozed', 'snooze_withdrawn', 'returned',
        'reopened')),
    at       timestamptz NOT NULL,
    author   text NOT NULL,
    reason   text,
    note     text,
    until    timestamptz
);
CREATE INDEX alert_history_by_alert ON alert_history (alert_id, number);

CREATE FUNCTION attend_new_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO alert_attention (alert_id, opened_at, look_at)
    VALUES (NEW.id, NEW.raised_at, NEW.raised_at);
    RETURN NULL;
END $$;
CREATE TRIGGER alert_is_attended AFTER INSERT ON alert
    FOR EACH ROW WHEN (NEW.page AND NEW.status = 'active') EXECUTE FUNCTION attend_new_alert();

CREATE FUNCTION reopen_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO alert_history (alert_id, what, at, author)
    SELECT NEW.id, 'reopened', NEW.updated_at, 'judge' FROM alert_attention t
    WHERE t.alert_id = NEW.id AND (t.acknowledged_at IS NOT NULL OR t.snoozed_at IS NOT NULL);
    INSERT INTO alert_attention AS t (alert_id, opened_at, look_at)
    SELECT NEW.id, NEW.updated_at, NEW.updated_at
    WHERE NEW.page OR EXISTS (SELECT FROM alert_attention k WHERE k.alert_id = NEW.id)
    ON CONFLICT (alert_id) DO UPDATE
    SET round = t.round + 1, opened_at = EXCLUDED.opened_at, look_at = EXCLUDED.look_at, step = 0,
        acknowledged_at = NULL, acknowledged_by = NULL, reason = NULL, note = NULL,
        snoozed_at = NULL, snoozed_by = NULL, snoozed_until = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER alert_is_reopened AFTER UPDATE ON alert
    FOR EACH ROW WHEN (NEW.status = 'active' AND (
        OLD.status <> 'active' OR NEW.escalation > OLD.escalation
        OR severity_rank(NEW.severity) > severity_rank(OLD.severity)))
    EXECUTE FUNCTION reopen_alert();

CREATE FUNCTION look_at_moved_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE alert_attention SET look_at = '-infinity'
    WHERE alert_id = NEW.id AND acknowledged_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER alert_is_looked_at_when_moved AFTER UPDATE ON alert
    FOR EACH ROW WHEN (NEW.page AND NEW.status = 'active'
        AND (NEW.team_id IS DISTINCT FROM OLD.team_id
             OR NEW.centre_id IS DISTINCT FROM OLD.centre_id))
    EXECUTE FUNCTION look_at_moved_alert();

ALTER TABLE alert_attention ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON alert_attention TO suifang_api
    USING (EXISTS (SELECT FROM alert a WHERE a.id = alert_id));
CREATE POLICY everybody ON alert_attention TO suifang_api_all USING (true);
ALTER TABLE alert_history ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON alert_history TO suifang_api
    USING (EXISTS (SELECT FROM alert a WHERE a.id = alert_id));
CREATE POLICY everybody ON alert_history TO suifang_api_all USING (true);
GRANT SELECT, INSERT, UPDATE ON alert_attention TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT ON alert_history TO suifang_api, suifang_api_all;
SELECT audit_table('alert_attention', 'alert_id', 'thing');
