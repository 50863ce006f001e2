-- Contacts, duty hours and the record of who was told go.
DROP FUNCTION notify_lag;
DROP TABLE notification, message_attempt, message, duty_hours, staff_contact;
