-- 0026 Old events of the feed go; where it begins is known, and nobody skips what is gone.

-- Up to which number events are gone. The highest one always stays: numbering goes on from it.
CREATE FUNCTION feed_floor() RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(min(number) - 1, 0) FROM outbox);
END $$;

-- 'pruned': what it was to be told next is gone; its owner decides from where to go on.
ALTER TABLE webhook DROP CONSTRAINT webhook_parked_because_check;
ALTER TABLE webhook ADD CONSTRAINT webhook_parked_because_check
    CHECK (parked_because IN ('failing', 'gone', 'owner', 'pruned'));

CREATE POLICY processes ON webhook FOR SELECT TO suifang_maintenance USING (true);
GRANT SELECT (after, enabled, parked_at) ON webhook TO suifang_maintenance;
GRANT SELECT (number, created_at), DELETE ON outbox TO suifang_maintenance;
