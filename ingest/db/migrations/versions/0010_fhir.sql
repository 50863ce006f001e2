-- A late context names no reading, so its row is nobody's; seen is what is said of a reading that may
-- be seen. Which one it belongs to is decided as the judge decides it (ingest/db/amendments.py).
CREATE VIEW visible_context WITH (security_barrier) AS
SELECT r.id AS reading_id, r.partition_at, a.id, a.changes ->> 'meal_context' AS meal_context,
       coalesce(a.captured_at, a.received_at) AS said_at, a.received_at
FROM visible_reading r JOIN amendment a ON
a.kind = 'context' AND NOT a.retired
AND a.device_id = r.device_id AND a.device_sequence = r.device_sequence
AND a.boot_id IS NOT DISTINCT FROM r.boot_id AND r.kind = 'glucose'
AND (a.resident_id IS NULL OR r.resident_id IS NULL OR a.resident_id = r.resident_id)
AND (a.captured_at IS NULL OR NOT r.clock_synchronised
     OR r.captured_at BETWEEN a.captured_at - INTERVAL '30 days'
                          AND a.captured_at + INTERVAL '30 days')
AND NOT EXISTS (
    SELECT FROM reading_key k JOIN stored_reading o ON o.id = k.reading_id
    WHERE k.device_id = a.device_id AND k.reading_id <> r.id
      AND k.rule_key = 'sequence:' || coalesce(a.boot_id, '') || ':' || a.device_sequence
      AND o.kind = 'glucose'
      AND (a.resident_id IS NULL OR o.resident_id IS NULL OR a.resident_id = o.resident_id)
      AND (a.captured_at IS NULL OR NOT o.clock_synchronised
           OR o.captured_at BETWEEN a.captured_at - INTERVAL '30 days'
                                AND a.captured_at + INTERVAL '30 days')
      AND CASE WHEN r.received_at <= a.received_at
               THEN o.received_at <= a.received_at
                    AND (o.received_at, o.id) > (r.received_at, r.id)
               ELSE (o.received_at, o.id) < (r.received_at, r.id) END);
GRANT SELECT ON visible_context TO suifang_api, suifang_api_all;

-- Which terminal stands where is no secret: nothing in it is about a resident.
GRANT SELECT ON device TO suifang_api, suifang_api_all;
GRANT SELECT (id, centre_id) ON gateway TO suifang_api, suifang_api_all;
