-- 0021 Whether a word about a resident waits for a judge: then no case says if it still decides.

CREATE FUNCTION is_word_unjudged(resident text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM due_mark m WHERE m.resident_id = is_word_unjudged.resident
                   AND m.kind NOT IN ('blood_pressure', 'glucose')) $$;
