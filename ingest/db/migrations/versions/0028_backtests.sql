-- 0028 Back-tests that a page asks for read histories and can change nothing.

-- Of the whole server, so it may be there already (as in 0008).
DO $$
DECLARE
    needed text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
                        ELSE 'SET' END;
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'suifang_backtest') THEN
            CREATE ROLE suifang_backtest NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'suifang_backtest', needed) THEN
        GRANT suifang_backtest TO CURRENT_USER;
    END IF;
END $$;

CREATE POLICY backtests ON resident FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON centre FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON team FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON package FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON resident_condition FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON contract FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON contract_turn FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON amendment FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON record FOR SELECT TO suifang_backtest USING (true);
CREATE POLICY backtests ON resident_merge FOR SELECT TO suifang_backtest USING (true);
GRANT SELECT ON centre, team, package, resident_condition, contract, contract_turn, amendment, record,
    resident_merge, reading, reading_held, reading_key, reading_owner, stored_reading, owned_reading,
    resident_checkpoint, retention TO suifang_backtest;
GRANT SELECT (id, team_id, birth_date, enrolled_on) ON resident TO suifang_backtest;
