-- An alert says no more that nobody could be told; of how many that is so is counted as before.
CREATE OR REPLACE FUNCTION notify_lag(at timestamptz, OUT waiting_since timestamptz, OUT nobody bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (SELECT min(t.look_at) FROM alert_attention t
            WHERE t.look_at <= notify_lag.at AND t.look_at > '-infinity'),
           (SELECT count(DISTINCT n.alert_id) FROM notification n
            JOIN alert a ON a.id = n.alert_id AND a.status = 'active'
            WHERE n.staff_id IS NULL AND n.at > notify_lag.at - INTERVAL '1 day') $$;
ALTER TABLE alert_attention DROP COLUMN untold_since;
