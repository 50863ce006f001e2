-- Merges ask no more whether a word is judged.
DROP FUNCTION is_word_unjudged;
