-- 0032 What lets readings and events go can delete nothing itself; a function is called by whom it is for.

-- How many days readings are kept at least, whatever a command says: the owner's word. No row: a
-- quarter, because open screenings look back that far.
CREATE TABLE retention_floor (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    days   integer NOT NULL CHECK (days >= 91)
);

-- From when on readings are kept: so many days before the last one on which something came. Those days
-- are written by ingest; who lets readings go cannot move them. NULL: nothing came yet.
CREATE FUNCTION readings_kept_from() RETURNS timestamptz
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (max(day) - coalesce((SELECT days FROM retention_floor), 91))::timestamp
           AT TIME ZONE 'UTC'
    FROM gateway_day $$;

CREATE FUNCTION announce_retention(wanted timestamptz, at timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (wanted <= readings_kept_from()) IS NOT TRUE THEN
        RAISE EXCEPTION 'readings that are kept are not let go'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(1595909632);  -- As ingest.db.storing does: nobody is storing.
    INSERT INTO retention (edge, set_at) VALUES (wanted, at)
    ON CONFLICT (single) DO UPDATE SET edge = EXCLUDED.edge, set_at = EXCLUDED.set_at
    WHERE retention.edge < EXCLUDED.edge;
    RETURN (SELECT edge FROM retention);
END $$;

-- Moved, not deleted: also what comes now with an id of that time, for ingest. Planned anew each time:
-- only then chunks behind the edge are not looked at.
CREATE FUNCTION hold_readings(ids uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE 'WITH moved AS (
                 DELETE FROM reading WHERE id = ANY ($1) AND partition_at < $2 RETURNING *)
             INSERT INTO reading_held SELECT * FROM moved'
    USING ids, (SELECT edge FROM retention);
END $$;

CREATE FUNCTION release_readings(ids uuid[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM reading_held
        WHERE id = ANY (ids) AND received_at < readings_kept_from() RETURNING gateway_id),
    counted AS (
        INSERT INTO gateway_retired (gateway_id, readings)
        SELECT gateway_id, count(*) FROM gone GROUP BY gateway_id ORDER BY gateway_id
        ON CONFLICT (gateway_id) DO UPDATE
        SET readings = gateway_retired.readings + EXCLUDED.readings)
    SELECT count(*) FROM gone $$;

DROP FUNCTION drop_retired_readings;
-- Counted by the caller beforehand, while writers go on: in front of the edge it only gets less.
CREATE FUNCTION drop_retired_readings(
    older_than timestamptz, gateways text[], counts bigint[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (older_than <= (SELECT edge FROM retention) AND older_than <= readings_kept_from())
       IS NOT TRUE THEN
        RAISE EXCEPTION 'readings that are kept are not dropped'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(1595909632);
    INSERT INTO gateway_retired AS g (gateway_id, readings)
    SELECT n.id, n.many FROM unnest(gateways, counts) AS n (id, many) ORDER BY 1
    ON CONFLICT (gateway_id) DO UPDATE SET readings = g.readings + EXCLUDED.readings;
    PERFORM drop_chunks('reading', older_than => drop_retired_readings.older_than);
END $$;

-- A key outlives its reading unless the same measurement, should it come again under another id, has the
-- same effective time, and so falls before the checkpoint: without a clock it would count as taken on
-- the day it comes, and the next correction of a clock may be another one.
CREATE FUNCTION forget_reading_keys(device text, rule text, resident text, rows_max integer)
    RETURNS TABLE (last_device text, last_rule text, last_resident text, forgotten bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_from timestamptz := (SELECT edge FROM retention);
BEGIN
    RETURN QUERY EXECUTE
        'WITH page AS (
             SELECT device_id, rule_key, resident_id, reading_id FROM reading_key
             WHERE (device_id, rule_key, resident_id) > ($1, $2, $3)
             ORDER BY device_id, rule_key, resident_id LIMIT $4),
         gone AS (
             DELETE FROM reading_key k USING page p JOIN reading r ON r.id = p.reading_id
             WHERE (k.device_id, k.rule_key, k.resident_id)
                   = (p.device_id, p.rule_key, p.resident_id)
               AND r.partition_at < $5 AND p.reading_id < $6
               AND r.effective_at = r.measured_at AND NOT r.time_suspect
             RETURNING 1)
         SELECT device_id, rule_key, resident_id, (SELECT count(*) FROM gone) FROM page
         ORDER BY device_id DESC, rule_key DESC, resident_id DESC LIMIT 1'
    USING device, rule, resident, rows_max, kept_from,  -- And the lowest id of that time.
        (lpad(to_hex(greatest(extract(epoch FROM kept_from) * 1000, 0)::bigint), 12, '0')
         || repeat('0', 20))::uuid;
END $$;

-- Old events of the feed from the front on; half a year is kept whatever the caller says.
CREATE FUNCTION prune_events(before timestamptz, rows_max integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH head AS (
        SELECT number, created_at FROM outbox WHERE number IS NOT NULL
        ORDER BY number DESC LIMIT 1),
    bound AS (
        SELECT least(h.number - 1,
                     (SELECT min(after) FROM webhook WHERE enabled AND parked_at IS NULL)) AS last,
               least(prune_events.before, INTERVAL '-183 days' + coalesce(
                   (SELECT max(day) FROM gateway_day)::timestamp AT TIME ZONE 'UTC',
                   h.created_at)) AS before
        FROM head h),
    page AS (
        SELECT number, created_at FROM outbox
        WHERE number <= (SELECT last FROM bound) ORDER BY number LIMIT rows_max),
    kept AS (
        SELECT min(number) AS first FROM page
        WHERE created_at >= (SELECT bound.before FROM bound)),
    gone AS (
        DELETE FROM outbox WHERE number IN (
            SELECT number FROM page, kept WHERE kept.first IS NULL OR number < kept.first)
        RETURNING 1)
    SELECT count(*) FROM gone $$;
REVOKE EXECUTE ON FUNCTION readings_kept_from, announce_retention, hold_readings,
    release_readings, drop_retired_readings, forget_reading_keys, prune_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION readings_kept_from, announce_retention, hold_readings,
    release_readings, drop_retired_readings, forget_reading_keys, prune_events TO suifang_maintenance;
GRANT EXECUTE ON FUNCTION hold_readings TO suifang_ingest, suifang_api_intake;
GRANT SELECT ON retention_floor TO suifang_maintenance;

REVOKE DELETE ON reading, reading_key, reading_held FROM suifang_maintenance;
REVOKE INSERT ON reading_held FROM suifang_maintenance;
REVOKE INSERT, UPDATE ON retention, gateway_retired FROM suifang_maintenance;
REVOKE DELETE ON outbox FROM suifang_maintenance;
REVOKE DELETE ON reading FROM suifang_ingest, suifang_api_intake;

-- A function is everybody's until it is taken from them. Also those that triggers call: on a table of
-- their own anybody could have them called with rows of their own.
REVOKE EXECUTE ON FUNCTION note_merged_team, move_merged_resident, stay_with_survivor, follow_amendment,
    attend_new_alert, reopen_alert, look_at_moved_alert, place_with_resident, follow_new_resident,
    follow_moved_resident, tell_moved_team, audit_change, audit_is_append_only, closed_is_closed,
    closed_with_its_closing, mark_people, mark_registered_people, mark_merged_people,
    mark_turned_people, mark_visited_people FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION adopt_stubs, hold_folds, is_settled, is_merge_settled, is_folded_since,
    is_word_unjudged, is_strangers, fold_due_people, followups_of_packages, has_team, feed_head,
    feed_floor, notify_lag FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adopt_stubs, hold_folds, is_settled, is_merge_settled, is_folded_since,
    is_word_unjudged, fold_due_people, followups_of_packages TO suifang_api, suifang_api_all;
GRANT EXECUTE ON FUNCTION is_strangers TO suifang_api;
GRANT EXECUTE ON FUNCTION has_team TO suifang_api, suifang_deliver_own;
GRANT EXECUTE ON FUNCTION feed_head, feed_floor
    TO suifang_api, suifang_api_all, suifang_api_process, suifang_deliver, suifang_deliver_own,
    suifang_deliver_all;
GRANT EXECUTE ON FUNCTION feed_floor TO suifang_maintenance;
GRANT EXECUTE ON FUNCTION notify_lag TO suifang_api_process, suifang_notify;
