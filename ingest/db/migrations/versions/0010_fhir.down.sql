REVOKE SELECT (id, centre_id) ON gateway FROM suifang_api, suifang_api_all;
REVOKE SELECT ON device FROM suifang_api, suifang_api_all;
DROP VIEW visible_context;
