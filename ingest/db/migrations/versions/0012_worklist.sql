-- A worklist: cases by risk and due day, from an index.

ALTER TABLE resident_case
    ADD COLUMN severity text CHECK (severity IN ('info', 'warn', 'high', 'critical')),
    ADD COLUMN risk_order smallint NOT NULL GENERATED ALWAYS AS (CASE severity
        WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'warn' THEN 2 WHEN 'info' THEN 3 ELSE 4
        END) STORED,
    ADD COLUMN due_order date NOT NULL GENERATED ALWAYS AS (COALESCE(
        LEAST(second_followup_due, referral_followup_due, next_routine_due), '9999-12-31')) STORED;

-- As the judge does it: of the open alerts and of what the state means by itself, the worst.
UPDATE resident_case AS c SET severity = (
    SELECT s.severity FROM (
        SELECT a.severity FROM alert a
        WHERE a.resident_id = c.resident_id AND a.condition = c.condition AND a.status = 'active'
        UNION ALL
        SELECT CASE WHEN c.state IN ('emergency_referral') THEN 'critical'
                    WHEN c.state IN ('referral_recommended', 'referral_followup_overdue')
                    THEN 'high'
                    WHEN c.state IN ('second_followup_open', 'second_followup_overdue',
                                     'screening_referral') THEN 'warn'
                    WHEN c.state = 'screening' THEN 'info' END) AS s
    ORDER BY array_position(ARRAY['critical', 'high', 'warn', 'info'], s.severity)
    LIMIT 1)
WHERE c.state <> 'none';

CREATE INDEX resident_case_by_risk ON resident_case (risk_order, due_order, number);
CREATE INDEX resident_case_by_due ON resident_case (due_order, number) INCLUDE (state, risk_order);
CREATE INDEX resident_case_of_team_by_risk
    ON resident_case (team_id, risk_order, due_order, number);
CREATE INDEX resident_case_of_team_by_due
    ON resident_case (team_id, due_order, number) INCLUDE (state, risk_order);
