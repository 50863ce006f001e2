GRANT EXECUTE ON FUNCTION note_merged_team, move_merged_resident, stay_with_survivor, follow_amendment,
    attend_new_alert, reopen_alert, look_at_moved_alert, place_with_resident, follow_new_resident,
    follow_moved_resident, tell_moved_team, audit_change, audit_is_append_only, closed_is_closed,
    closed_with_its_closing, mark_people, mark_registered_people, mark_merged_people,
    mark_turned_people, mark_visited_people TO PUBLIC;
GRANT EXECUTE ON FUNCTION adopt_stubs, hold_folds, is_settled, is_merge_settled, is_folded_since,
    is_word_unjudged, is_strangers, fold_due_people, followups_of_packages, has_team, feed_head,
    feed_floor, notify_lag TO PUBLIC;
REVOKE EXECUTE ON FUNCTION adopt_stubs, hold_folds, is_settled, is_merge_settled, is_folded_since,
    is_word_unjudged, fold_due_people, followups_of_packages FROM suifang_api, suifang_api_all;
REVOKE EXECUTE ON FUNCTION is_strangers FROM suifang_api;
REVOKE EXECUTE ON FUNCTION has_team FROM suifang_api, suifang_deliver_own;
REVOKE EXECUTE ON FUNCTION feed_head, feed_floor
    FROM suifang_api, suifang_api_all, suifang_api_process, suifang_deliver, suifang_deliver_own,
    suifang_deliver_all, suifang_maintenance;
REVOKE EXECUTE ON FUNCTION notify_lag FROM suifang_api_process, suifang_notify;

GRANT DELETE ON reading TO suifang_ingest, suifang_api_intake;
GRANT DELETE ON outbox TO suifang_maintenance;
GRANT INSERT, UPDATE ON retention, gateway_retired TO suifang_maintenance;
GRANT INSERT ON reading_held TO suifang_maintenance;
GRANT DELETE ON reading, reading_key, reading_held TO suifang_maintenance;

DROP FUNCTION announce_retention, hold_readings, release_readings, drop_retired_readings,
    forget_reading_keys, prune_events, readings_kept_from;
DROP TABLE retention_floor;
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
