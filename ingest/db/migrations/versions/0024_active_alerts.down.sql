DROP INDEX alert_active;
