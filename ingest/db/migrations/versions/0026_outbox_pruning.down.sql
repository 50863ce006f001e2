REVOKE SELECT (number, created_at), DELETE ON outbox FROM suifang_maintenance;
REVOKE SELECT (after, enabled, parked_at) ON webhook FROM suifang_maintenance;
DROP POLICY processes ON webhook;
UPDATE webhook SET parked_because = 'failing' WHERE parked_because = 'pruned';
ALTER TABLE webhook DROP CONSTRAINT webhook_parked_because_check;
ALTER TABLE webhook ADD CONSTRAINT webhook_parked_because_check
    CHECK (parked_because IN ('failing', 'gone', 'owner'));
DROP FUNCTION feed_floor();
