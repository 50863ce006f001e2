-- The role stays: other databases of this server may use it.
REVOKE ALL ON centre, team, package, resident_condition, contract, contract_turn, amendment, record,
    resident_merge, reading, reading_held, reading_key, reading_owner, stored_reading, owned_reading,
    resident_checkpoint, retention FROM suifang_backtest;
REVOKE SELECT (id, team_id, birth_date, enrolled_on) ON resident FROM suifang_backtest;
DROP POLICY backtests ON resident;
DROP POLICY backtests ON centre;
DROP POLICY backtests ON team;
DROP POLICY backtests ON package;
DROP POLICY backtests ON resident_condition;
DROP POLICY backtests ON contract;
DROP POLICY backtests ON contract_turn;
DROP POLICY backtests ON amendment;
DROP POLICY backtests ON record;
DROP POLICY backtests ON resident_merge;
