-- Acknowledgements, snoozes and their history go.
DROP TRIGGER alert_is_looked_at_when_moved ON alert;
DROP TRIGGER alert_is_reopened ON alert;
DROP TRIGGER alert_is_attended ON alert;
DROP FUNCTION look_at_moved_alert, reopen_alert, attend_new_alert;
DROP TABLE alert_history, alert_attention;
DROP FUNCTION severity_rank;
