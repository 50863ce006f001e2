-- 0031 How often and when somebody was merged or parted, also for who sees only one of the two: so a
-- version never goes back.
CREATE VIEW visible_merging WITH (security_barrier) AS
SELECT r.id AS resident_id, count(*) + count(m.unmerged_at) AS number,
       greatest(max(m.merged_at), max(m.unmerged_at)) AS at,
       count(*) FILTER (WHERE m.resident_id = r.id)
           + count(m.unmerged_at) FILTER (WHERE m.resident_id = r.id) AS number_as_merged,
       greatest(max(m.merged_at) FILTER (WHERE m.resident_id = r.id),
                max(m.unmerged_at) FILTER (WHERE m.resident_id = r.id)) AS at_as_merged
FROM resident_merge m CROSS JOIN LATERAL (VALUES (m.resident_id), (m.into_id)) AS n (id)
JOIN resident r ON r.id = n.id
WHERE (SELECT sees_everybody()) OR r.team_id = ANY ((SELECT seen_teams())::text[])
GROUP BY r.id;
GRANT SELECT ON visible_merging TO suifang_api, suifang_api_all;
