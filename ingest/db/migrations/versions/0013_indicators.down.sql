-- Closed periods go with it: take a backup first.
DROP VIEW indicator_condition, indicator_turn;
DROP INDEX record_of_turns;
DROP TABLE indicator_closed, indicator_closing, health_check, indicator_year;
DROP FUNCTION closed_is_closed, closed_with_its_closing;
