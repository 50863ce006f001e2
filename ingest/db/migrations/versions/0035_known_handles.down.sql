DROP FUNCTION audit_write_known;
DROP TRIGGER audit_handle_forgotten ON audit_handle;
DROP FUNCTION forget_handles;
DROP TABLE audit_handle_epoch;
