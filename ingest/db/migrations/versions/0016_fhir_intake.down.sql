-- The role stays: other databases of this server may use it.
REVOKE EXECUTE ON FUNCTION audit_write FROM suifang_api_intake;
REVOKE ALL ON retention, gateway, team, centre, resident_condition, amendment, resident, reading_key,
    reading_held, duplicate, alert, reading, quarantine, gateway_day, due_mark, outbox
    FROM suifang_api_intake;
DROP POLICY intake ON centre;
DROP POLICY intake ON team;
DROP POLICY intake ON outbox;
DROP POLICY intake ON amendment;
DROP POLICY intake ON alert;
DROP POLICY intake ON resident_condition;
DROP POLICY intake ON resident;
DROP TABLE observation_identifier;
