DROP VIEW visible_merging;
