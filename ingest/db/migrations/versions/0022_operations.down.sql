-- The role stays: other databases of this server may use it.
DROP TRIGGER audited_insert ON gateway;
DROP TRIGGER audited_update ON gateway;
DROP TRIGGER audited_delete ON gateway;
DROP TRIGGER audited_insert ON enrolment_token;
DROP TRIGGER audited_update ON enrolment_token;
DROP TRIGGER audited_delete ON enrolment_token;
DROP TABLE flow_sample, device_status, gateway_status;
DROP INDEX gateway_day_by_day;
DROP POLICY intake_files ON amendment;
REVOKE INSERT ON amendment FROM suifang_api_intake;
REVOKE ALL ON due_context FROM suifang_api_intake;
DROP POLICY operations ON centre;
DROP POLICY operations ON package;
REVOKE SELECT ON gateway_day FROM suifang_api_process;
REVOKE EXECUTE ON FUNCTION audit_write FROM suifang_api_operations;
REVOKE ALL ON centre, package, gateway, device, gateway_day, gateway_retired, quarantine,
    enrolment_token, gateway_certificate FROM suifang_api_operations;
REVOKE SELECT (id, gateway_id, centre_id, issued_at, expires_at, used_at) ON enrolment_token
    FROM suifang_api_operations;
REVOKE SELECT (serial, gateway_id, issued_at, expires_at, revoked_at, revoked_because)
    ON gateway_certificate FROM suifang_api_operations;
REVOKE UPDATE (revoked_at, revoked_because) ON gateway FROM suifang_api_operations;
REVOKE UPDATE (revoked_at, revoked_because) ON gateway_certificate FROM suifang_api_operations;
REVOKE UPDATE (resolution, resolved_at, dropped_by, dropped_because) ON quarantine
    FROM suifang_api_operations;
