DROP INDEX resident_condition_of_mothers;

INSERT INTO resident (id, stub, created_at)
SELECT m.resident_id, true, min(m.marked_at)
FROM due_batch, unnest(residents, due_batch.marked_at) AS m (resident_id, marked_at)
GROUP BY m.resident_id
ON CONFLICT DO NOTHING;
INSERT INTO due_mark (resident_id, kind, marked_at)
SELECT m.resident_id, kind, max(m.marked_at)
FROM due_batch, unnest(residents, due_batch.marked_at) AS m (resident_id, marked_at)
GROUP BY m.resident_id, kind;
DROP TABLE due_batch;
