-- 0035 An API that knows residents' handles writes what was read without looking them up again: of a
-- page of 50 that was most of what a read's entry cost. APIs of before go on with `audit_write`.
-- Handles that an API knows stand for what they stood for as long as this is what it was. It changes
-- with a handle that goes, and is another one in another database or after a restart, as a restored
-- copy's: that may give a number again which has been somebody else's.
CREATE TABLE audit_handle_epoch (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    epoch  uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO audit_handle_epoch DEFAULT VALUES;
CREATE FUNCTION forget_handles() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE audit_handle_epoch SET epoch = gen_random_uuid();
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION forget_handles FROM PUBLIC;
CREATE TRIGGER audit_handle_forgotten AFTER UPDATE OR DELETE OR TRUNCATE ON audit_handle
    FOR EACH STATEMENT EXECUTE FUNCTION forget_handles();

-- Append entries whose residents' handles are known, but for some. Each note is of
-- {at, subject, action, object, things, handles, places}; places are those in `unknown`, from 1.
-- `handles` that come back are of `unknown`, in its order. Another `as_of` than the one given: what
-- is known may be wrong by now, and nothing was written.
CREATE FUNCTION audit_write_known(
    known_as_of text, notes jsonb, unknown text[], OUT as_of text, OUT handles bigint[]
) LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off AS $$  -- Planned once, when few have a handle; they come to be many.
BEGIN
    SELECT concat_ws(' ', e.epoch, pg_relation_filepath('audit_handle'), pg_postmaster_start_time())
        INTO STRICT as_of FROM audit_handle_epoch e WHERE e.single;
    IF known_as_of IS DISTINCT FROM as_of THEN
        RETURN;
    END IF;
    WHILE unknown <> '{}' LOOP
        handles := ARRAY(SELECT (SELECT h.handle FROM audit_handle h WHERE h.resident_id = n.id)
                         FROM unnest(unknown) WITH ORDINALITY AS n (id, place) ORDER BY n.place);
        EXIT WHEN array_position(handles, NULL) IS NULL;
        INSERT INTO audit_handle (resident_id)  -- No antijoin: that may read the whole table.
        SELECT n.id FROM unnest(unknown, handles) AS n (id, handle)
        WHERE n.handle IS NULL
        ORDER BY n.id
        ON CONFLICT DO NOTHING;
    END LOOP;
    INSERT INTO audit_entry (at, subject, action, object, handles, things)
    SELECT n.at, n.subject, n.action, n.object,
           CASE WHEN n.places = '{}' THEN n.handles
                ELSE ARRAY(SELECT unnest(n.handles)
                           UNION ALL
                           SELECT audit_write_known.handles[p] FROM unnest(n.places) AS p
                           ORDER BY 1) END,
           n.things
    FROM jsonb_to_recordset(notes) AS n (at timestamptz, subject text, action text, object text,
                                         handles bigint[], places integer[], things text[]);
END $$;
REVOKE EXECUTE ON FUNCTION audit_write_known FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_write_known TO suifang_api_process;
