-- 0023 Since when the notifier finds nobody who can be told of an alert that asks for somebody.

ALTER TABLE alert_attention ADD untold_since timestamptz;
CREATE INDEX alert_attention_untold ON alert_attention (untold_since)
    WHERE untold_since IS NOT NULL;

CREATE OR REPLACE FUNCTION notify_lag(at timestamptz, OUT waiting_since timestamptz, OUT nobody bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (SELECT min(t.look_at) FROM alert_attention t
            WHERE t.look_at <= notify_lag.at AND t.look_at > '-infinity'),
           (SELECT count(*) FROM alert_attention t
            JOIN alert a ON a.id = t.alert_id AND a.status = 'active' AND a.page
            WHERE t.untold_since IS NOT NULL AND t.acknowledged_at IS NULL
              AND t.snoozed_at IS NULL) $$;

-- What stands open at the top of the ladder is looked at once more: was anybody told?
UPDATE alert_attention t SET look_at = '-infinity' FROM alert a
WHERE a.id = t.alert_id AND a.status = 'active' AND a.page AND t.step > 0 AND t.look_at IS NULL
  AND t.acknowledged_at IS NULL AND t.snoozed_at IS NULL;
