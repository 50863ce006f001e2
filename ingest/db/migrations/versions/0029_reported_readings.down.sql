DROP FUNCTION owns_only_reported(text);
DROP VIEW visible_reported;
