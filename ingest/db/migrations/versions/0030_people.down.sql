CREATE VIEW indicator_condition WITH (security_barrier) AS
SELECT c.resident_id, c.condition, c.since, c.until FROM resident_condition c
WHERE (SELECT sees_everybody())
   OR EXISTS (SELECT FROM resident r WHERE r.id = c.resident_id
              AND r.team_id = ANY ((SELECT seen_teams())::text[]));
CREATE VIEW indicator_turn WITH (security_barrier) AS
SELECT c.resident_id, c.kind, c.reason, c.at, c.number FROM record c
WHERE c.kind IN ('closure', 'return')
  AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = c.id)
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = c.resident_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[])));
GRANT SELECT ON indicator_condition, indicator_turn TO suifang_api, suifang_api_all;
DROP TRIGGER indicator_follows_added ON resident_condition;
DROP TRIGGER indicator_follows_changed ON resident_condition;
DROP TRIGGER indicator_follows_removed ON resident_condition;
DROP TRIGGER indicator_follows_added ON contract;
DROP TRIGGER indicator_follows_changed ON contract;
DROP TRIGGER indicator_follows_removed ON contract;
DROP TRIGGER indicator_follows_added ON contract_turn;
DROP TRIGGER indicator_follows_added ON resident;
DROP TRIGGER indicator_follows_changed ON resident;
DROP TRIGGER indicator_follows_merged ON resident_merge;
DROP TRIGGER indicator_follows_added ON record;
DROP TRIGGER indicator_follows_added ON indicator_year;
DROP TRIGGER indicator_follows_changed ON indicator_year;
DROP TRIGGER indicator_follows_removed ON indicator_year;
DROP VIEW indicator_standing;
DROP FUNCTION settle_people(integer);
DROP FUNCTION fold_due_people();
DROP FUNCTION fold_people(text[]);
DROP FUNCTION followups_of_packages(text);
DROP VIEW due_person;
DROP FUNCTION mark_people();
DROP FUNCTION mark_registered_people();
DROP FUNCTION mark_merged_people();
DROP FUNCTION mark_turned_people();
DROP FUNCTION mark_visited_people();
DROP TABLE due_indicator;
DROP TABLE indicator_person;
