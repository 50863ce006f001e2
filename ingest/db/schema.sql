-- The whole schema of Suifang, readable top to bottom. A test proves that it equals the sum of
-- the migrations beside it. No statement here or anywhere else calls now(): the clock is a
-- parameter, so that virtual time can drive the whole pipeline.
--
-- `reading` is a TimescaleDB hypertable (Apache-2 features only); everything else is a table.

-- People and places ---------------------------------------------------------------------------

CREATE TABLE centre (
    id      text PRIMARY KEY,
    name    text NOT NULL,
    profile text                            -- Of its residents; NULL: the deployment's.
);

CREATE TABLE team (
    id        text PRIMARY KEY,
    centre_id text NOT NULL REFERENCES centre,
    name      text NOT NULL
);

CREATE TABLE gateway (
    id          text PRIMARY KEY,           -- Also its user name at the broker.
    centre_id   text NOT NULL REFERENCES centre,
    enrolled_at timestamptz NOT NULL,
    revoked_at  timestamptz,                -- Not enrolled any more: ingest takes nothing of it.
    revoked_because text,
    CONSTRAINT gateway_revoked_says_why CHECK (
        (revoked_at IS NULL) = (revoked_because IS NULL))
);

-- A token is printed once and kept nowhere: here is a hash. Used, it stays.
CREATE TABLE enrolment_token (
    id          text PRIMARY KEY,
    secret_hash bytea NOT NULL,             -- SHA-256 of 256 random bits.
    gateway_id  text NOT NULL,              -- Need not be there yet.
    centre_id   text NOT NULL REFERENCES centre,
    issued_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    CHECK (expires_at > issued_at)
);
CREATE INDEX enrolment_token_by_gateway ON enrolment_token (gateway_id);

-- Every certificate a gateway ever got: one for a token, and one for each certificate before.
CREATE TABLE gateway_certificate (
    serial          text PRIMARY KEY,       -- Hexadecimal.
    gateway_id      text NOT NULL REFERENCES gateway,
    fingerprint     bytea NOT NULL UNIQUE,  -- SHA-256 of the certificate.
    key_hash        bytea NOT NULL,         -- SHA-256 of its public key.
    certificate     text NOT NULL,          -- PEM.
    issued_at       timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    token_id        text UNIQUE REFERENCES enrolment_token,
    renews          text UNIQUE REFERENCES gateway_certificate,
    revoked_at      timestamptz,            -- From then on in the revocation list.
    revoked_because text,
    CONSTRAINT gateway_certificate_has_one_ground CHECK ((token_id IS NULL) <> (renews IS NULL)),
    CONSTRAINT gateway_certificate_revoked_says_why CHECK (
        (revoked_at IS NULL) = (revoked_because IS NULL))
);
CREATE INDEX gateway_certificate_by_gateway ON gateway_certificate (gateway_id);

CREATE TABLE device (
    id         text PRIMARY KEY,
    gateway_id text NOT NULL REFERENCES gateway,
    kind       text NOT NULL CHECK (kind IN ('blood_pressure', 'glucose')),
    model      text
);

CREATE TABLE resident (
    id         text PRIMARY KEY,            -- Pseudonym; never a name, never an ID number.
    team_id    text REFERENCES team,
    birth_date date,                        -- NULL: unknown, counts as adult.
    sex        text CHECK (sex IN ('female', 'male')),
    stub       boolean NOT NULL DEFAULT false,  -- Seen by a terminal before the contract system.
    created_at timestamptz NOT NULL,
    enrolled_on date                        -- Managed from that day; NULL: owes no routine visit.
);

-- A diagnosis or a state of the resident, with its dates. `diabetes` is type 2 for the rules.
CREATE TABLE resident_condition (
    resident_id text NOT NULL REFERENCES resident,
    condition   text NOT NULL,
    since       date NOT NULL,
    until       date,                       -- Inclusive; NULL: still so.
    PRIMARY KEY (resident_id, condition, since),
    CHECK (until >= since)
);
CREATE INDEX resident_condition_of_mothers ON resident_condition (resident_id)
    WHERE condition IN ('pregnant', 'lactating');

-- What a contract buys. Its profile wins over the centre's while the contract runs.
CREATE TABLE package (
    id      text PRIMARY KEY,
    name    text NOT NULL,
    profile text,                           -- NULL: the centre's, else the deployment's.
    followups_per_year integer CHECK (followups_per_year >= 0)  -- NULL: it promises no number.
);

CREATE TABLE contract (
    id          text PRIMARY KEY,           -- As the contract system calls it.
    resident_id text NOT NULL REFERENCES resident,
    package_id  text NOT NULL REFERENCES package,
    since       date NOT NULL,
    until       date,                       -- Inclusive; NULL: open.
    signed_on   date,
    follows     text,                       -- The contract before it; may be one we never saw.
    followed_as text CHECK (followed_as IN ('renewal', 'switch')),
    ended_on    date,                       -- From that day it runs no more, whatever `until` says.
    end_reason  text CHECK (end_reason IN (
        'death', 'moved', 'switched', 'resident_request', 'team_request', 'other')),
    referral_hospitals jsonb NOT NULL DEFAULT '[]',  -- [{id, name, level}], the preferred one first.
    CHECK (until >= since),
    CONSTRAINT contract_end_has_its_reason CHECK ((ended_on IS NULL) = (end_reason IS NULL)),
    CONSTRAINT contract_follows_as_something CHECK ((follows IS NULL) = (followed_as IS NULL))
);
CREATE INDEX contract_by_resident ON contract (resident_id);
CREATE INDEX contract_by_package ON contract (package_id);

-- What people recorded about a resident. Append-only: a mistake is answered by another record.
CREATE TABLE record (
    id          uuid PRIMARY KEY,
    number      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,  -- For paging.
    resident_id text NOT NULL REFERENCES resident,
    condition   text CHECK (condition IN ('hypertension', 'diabetes')),  -- NULL: both.
    kind        text NOT NULL CHECK (kind IN (
        'visit', 'referral', 'referral_followup', 'contact_attempt', 'reschedule', 'override',
        'closure', 'return', 'withdrawal')),
    at          timestamptz NOT NULL,       -- When it happened.
    received_at timestamptz NOT NULL,
    mode        text NOT NULL CHECK (mode IN ('clinic', 'home', 'phone')),
    findings    text[] NOT NULL,            -- Of a visit: adverse_drug_reaction, new_complication, ...
    state       text,                       -- Of an override: where the case stands from here,
    due         date,                       -- and until when it asks for something.
    reason      text CHECK (reason IN ('death', 'moved', 'contract_ended')),  -- Of a closure.
    outcome     text,                       -- Of a referral follow-up.
    author      text NOT NULL,
    note        text,
    form        jsonb,                      -- Of a visit, a referral: what the national form asks.
    withdraws   uuid UNIQUE REFERENCES record,  -- That one was a mistake; it moves nothing.
    CONSTRAINT record_withdraws_what_it_says CHECK (
        (kind <> 'withdrawal' OR withdraws IS NOT NULL) AND withdraws <> id),
    CONSTRAINT record_moves_to_a_day CHECK (kind <> 'reschedule' OR due IS NOT NULL),
    CONSTRAINT record_has_what_its_kind_needs CHECK (
        (kind = 'override') = (state IS NOT NULL) AND (kind = 'closure') = (reason IS NOT NULL)),
    CONSTRAINT record_is_not_of_the_future CHECK (at <= received_at + INTERVAL '5 minutes')
);
CREATE INDEX record_by_resident ON record (resident_id, at);
CREATE INDEX record_visits_by_time ON record (at, id) WHERE kind = 'visit';

-- Closures and returns that follow from contracts, in the order in which they were written.
CREATE TABLE contract_turn (
    record_id   uuid PRIMARY KEY REFERENCES record,
    number      integer NOT NULL,           -- 1, 2, ... of the resident.
    resident_id text NOT NULL REFERENCES resident,
    contract_id text NOT NULL REFERENCES contract,  -- The one that ended, or runs again.
    kind        text NOT NULL CHECK (kind IN ('closure', 'return')),
    at          timestamptz NOT NULL,
    UNIQUE (resident_id, number)
);
-- The next instant at which a contract of the resident begins or ends, told in advance.
CREATE TABLE contract_due (
    resident_id text PRIMARY KEY REFERENCES resident,
    due_at      timestamptz NOT NULL
);
CREATE INDEX contract_due_by_time ON contract_due (due_at);

-- The register ----------------------------------------------------------------------------------

-- Who works where. No name: that is with whoever gives out their accounts.
CREATE TABLE staff (
    id        text PRIMARY KEY,
    centre_id text NOT NULL REFERENCES centre,
    role      text NOT NULL
              CHECK (role IN ('doctor', 'nurse', 'public_health', 'pharmacist', 'assistant')),
    subject   text,                         -- `sub` of their tokens.
    since     date NOT NULL,
    until     date,                         -- Inclusive; NULL: still so.
    CHECK (until >= since)
);
CREATE TABLE staff_team (
    staff_id text NOT NULL REFERENCES staff,
    team_id  text NOT NULL REFERENCES team,
    PRIMARY KEY (staff_id, team_id)
);
CREATE INDEX staff_by_team ON staff_team (team_id);

-- What the contract system writes: the row that a writer locks, and which version stands.
CREATE TABLE registry_entry (
    kind    text NOT NULL
            CHECK (kind IN ('centre', 'team', 'staff', 'package', 'resident', 'contract')),
    id      text NOT NULL,
    version integer NOT NULL,               -- 0: nothing was written yet.
    PRIMARY KEY (kind, id)
);
-- Every version, never rewritten. The tables above hold the last one, as the rules need it.
CREATE TABLE registry_change (
    kind        text NOT NULL,
    id          text NOT NULL,
    version     integer NOT NULL,
    resident_id text,                       -- Whom it is about, if it is about somebody.
    author      text NOT NULL,
    at          timestamptz,                -- NULL: before history was kept.
    content     jsonb NOT NULL,             -- Whole; of names only which generation of them.
    PRIMARY KEY (kind, id, version)
);

-- The key of a resident's name and ID number, wrapped by a key of the deployment. Erasure
-- destroys it.
CREATE TABLE resident_key (
    resident_id text PRIMARY KEY REFERENCES resident,
    key_id      text NOT NULL,              -- Of the deployment's key.
    wrapped     bytea,                      -- NULL: erased.
    made_at     timestamptz NOT NULL,
    erased_at   timestamptz,
    erased_by   text,
    CONSTRAINT resident_key_is_there_or_erased CHECK (
        (wrapped IS NULL) = (erased_at IS NOT NULL)
        AND (erased_by IS NULL) = (erased_at IS NULL))
);
CREATE INDEX resident_key_by_key ON resident_key (key_id, resident_id) WHERE wrapped IS NOT NULL;
-- AES-256-GCM under that key, bound to resident, field and generation; the last one stands.
CREATE TABLE resident_sealed (
    resident_id text NOT NULL,
    generation  integer NOT NULL,
    name        bytea,
    id_number   bytea,
    PRIMARY KEY (resident_id, generation)
);

-- Whom a terminal met first has no team, so that nobody of a centre sees the row that they are to
-- write. It becomes theirs here, if the team is theirs; whom a team has is left alone.
CREATE FUNCTION adopt_stubs(ids text[], teams text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE resident r SET team_id = n.team_id FROM unnest(ids, teams) AS n (id, team_id)
    WHERE r.id = n.id AND r.stub AND r.team_id IS NULL
      AND coalesce(current_setting('suifang.teams', true), '') NOT IN ('', '{}')
      AND n.team_id = ANY (nullif(current_setting('suifang.teams', true), '')::text[]) $$;

-- Two pseudonyms of one person. Readings and records stay where they are; who reads them looks here.
CREATE TABLE resident_merge (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident_id     text NOT NULL REFERENCES resident,  -- Who is no person of their own meanwhile.
    into_id         text NOT NULL REFERENCES resident,
    reason          text NOT NULL,
    author          text NOT NULL,
    merged_at       timestamptz NOT NULL,
    team_id         text,                   -- Of that one before; while merged it is the survivor's.
    unmerged_at     timestamptz,            -- NULL: it holds.
    unmerged_by     text,
    CHECK (resident_id <> into_id),
    CONSTRAINT resident_merge_undone_says_by_whom CHECK (
        (unmerged_at IS NULL) = (unmerged_by IS NULL))
);
CREATE UNIQUE INDEX resident_merge_holds ON resident_merge (resident_id) WHERE unmerged_at IS NULL;
CREATE INDEX resident_merge_by_resident ON resident_merge (resident_id);
CREATE INDEX resident_merge_by_into ON resident_merge (into_id);

CREATE FUNCTION note_merged_team() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT team_id INTO NEW.team_id FROM resident WHERE id = NEW.resident_id FOR UPDATE;
    RETURN NEW;
END $$;
CREATE TRIGGER resident_merge_is_noted BEFORE INSERT ON resident_merge
    FOR EACH ROW EXECUTE FUNCTION note_merged_team();

CREATE FUNCTION move_merged_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wanted text;
BEGIN
    IF NEW.unmerged_at IS NULL THEN
        SELECT team_id INTO wanted FROM resident WHERE id = NEW.into_id FOR UPDATE;
    ELSE
        SELECT content ->> 'team_id' INTO wanted FROM registry_change
        WHERE kind = 'resident' AND id = NEW.resident_id ORDER BY version DESC LIMIT 1;
        IF NOT FOUND THEN
            wanted := NEW.team_id;
        END IF;
    END IF;
    UPDATE resident SET team_id = wanted
    WHERE id = NEW.resident_id AND team_id IS DISTINCT FROM wanted;
    RETURN NULL;
END $$;
CREATE TRIGGER resident_merge_moves AFTER INSERT OR UPDATE OF unmerged_at ON resident_merge
    FOR EACH ROW EXECUTE FUNCTION move_merged_resident();

CREATE FUNCTION stay_with_survivor() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    wanted text;
BEGIN
    SELECT r.team_id INTO wanted FROM resident_merge m JOIN resident r ON r.id = m.into_id
    WHERE m.resident_id = NEW.id AND m.unmerged_at IS NULL;
    IF FOUND THEN
        NEW.team_id := wanted;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER resident_stays_with_survivor BEFORE UPDATE OF team_id ON resident
    FOR EACH ROW WHEN (NEW.team_id IS DISTINCT FROM OLD.team_id)
    EXECUTE FUNCTION stay_with_survivor();

-- Readings --------------------------------------------------------------------------------------

-- Values as the device reported them, exact, with the scale and unit it reported.
CREATE TABLE reading (
    id                 uuid NOT NULL,
    partition_at       timestamptz NOT NULL,  -- The time inside `id`, clamped to 2020..2100.
    content_hash       bigint NOT NULL,       -- Of the raw bytes: same id, other content is a conflict.
    kind               text NOT NULL CHECK (kind IN ('blood_pressure', 'glucose')),
    resident_id        text,                  -- NULL: unclaimed.
    centre_id          text NOT NULL,
    gateway_id         text NOT NULL,
    device_id          text NOT NULL,
    device_sequence    bigint,
    boot_id            text,
    measured_at        timestamptz,           -- Device clock.
    stored_record      boolean NOT NULL,
    captured_at        timestamptz NOT NULL,  -- Gateway clock.
    clock_synchronised boolean NOT NULL,
    device_now         timestamptz,
    received_at        timestamptz NOT NULL,  -- Ingest's clock.
    arrived_at         timestamptz NOT NULL,  -- captured_at when that clock was synchronised, else received_at.
    effective_at       timestamptz NOT NULL,  -- Corrected device time; what rules use.
    time_suspect       boolean NOT NULL,      -- The device clock could not be believed.
    setting            text NOT NULL,
    status             text[] NOT NULL,
    systolic           numeric,
    diastolic          numeric,
    pulse              numeric,
    arm                text,
    posture            text,
    glucose            numeric,
    meal_context       text,
    sample             text,
    unit               text,
    extra              jsonb,                 -- Fields this version does not know, kept.
    PRIMARY KEY (id, partition_at)
);
SELECT create_hypertable('reading', 'partition_at', chunk_time_interval => INTERVAL '1 month',
                         create_default_indexes => false);
CREATE INDEX reading_by_resident ON reading (resident_id, effective_at);

-- The second duplicate rule: one device, one sequence number (or, without one, one device time
-- and value) for one resident is one measurement, whatever ids it was published under.
CREATE TABLE reading_key (
    device_id   text NOT NULL,
    rule_key    text NOT NULL,
    resident_id text NOT NULL,                -- '' when unclaimed.
    reading_id  uuid NOT NULL,                -- The first one; it is the one that is stored.
    values_hash bigint NOT NULL,
    PRIMARY KEY (device_id, rule_key, resident_id)
);

-- What was said of a reading later. Append-only: of each field the latest received wins.
CREATE TABLE amendment (
    id              uuid PRIMARY KEY,
    number          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,  -- For paging.
    kind            text NOT NULL
                    CHECK (kind IN ('correction', 'retraction', 'context', 'undo')),
    reading_id      uuid,                     -- NULL: a late context names device and sequence.
    device_id       text,
    boot_id         text,
    device_sequence bigint,
    changes         jsonb NOT NULL,           -- Fields by their names on the wire; numbers as exact text.
    author          text NOT NULL,
    reason          text,
    received_at     timestamptz NOT NULL,
    retired         boolean NOT NULL DEFAULT false,  -- A context whose reading was dropped: it waits no more.
    gateway_id      text,                     -- That sent it; NULL: a person's word.
    content_hash    bigint,                   -- Of the raw bytes, as of a reading.
    resident_id     text,                     -- Of a context that says so: it is of no reading of another.
    captured_at     timestamptz,              -- Gateway clock, where it can be believed: the last captured wins.
    extra           jsonb,                    -- Fields this version does not know, kept.
    repeats         boolean NOT NULL DEFAULT false,  -- Says what another said: its id is a duplicate.
    undoes          uuid UNIQUE REFERENCES amendment,
    undone          boolean NOT NULL DEFAULT false,  -- Another row says so: it counts no more.
    CONSTRAINT amendment_names_a_reading CHECK (
        CASE kind WHEN 'context' THEN device_id IS NOT NULL AND device_sequence IS NOT NULL
                                      AND reading_id IS NULL
                  ELSE reading_id IS NOT NULL AND device_id IS NULL END),
    CONSTRAINT amendment_of_a_gateway_is_a_context CHECK (
        (gateway_id IS NULL) = (content_hash IS NULL)
        AND (gateway_id IS NULL OR kind = 'context')),
    CONSTRAINT amendment_undo_says_of_what CHECK ((kind = 'undo') = (undoes IS NOT NULL))
);
CREATE INDEX amendment_by_reading ON amendment (reading_id);
CREATE INDEX amendment_by_sequence ON amendment (device_id, device_sequence)
    WHERE kind = 'context';
CREATE INDEX amendment_by_resident ON amendment ((changes ->> 'resident_id'))
    WHERE changes ? 'resident_id';

-- Whose a reading is now, where somebody has said so since it came. Kept by the trigger below.
CREATE TABLE reading_owner (
    reading_id  uuid PRIMARY KEY,
    resident_id text NOT NULL
);
CREATE INDEX reading_owner_by_resident ON reading_owner (resident_id);

CREATE TABLE duplicate (
    id           uuid PRIMARY KEY,
    duplicate_of uuid NOT NULL,
    content_hash bigint NOT NULL,
    gateway_id   text NOT NULL,
    received_at  timestamptz NOT NULL
);

CREATE TABLE quarantine (
    item_hash     bytea PRIMARY KEY,          -- Of gateway and raw bytes: coming again makes no second row.
    number        bigint GENERATED ALWAYS AS IDENTITY UNIQUE,  -- For people and paging.
    reading_id    uuid,                       -- NULL: could not be read.
    content_hash  bigint NOT NULL,
    settles       boolean NOT NULL,           -- False: no disposition (conflict, no id, sender not enrolled, replayed).
    topic         text NOT NULL,
    centre_id     text,
    gateway_id    text,
    batch_id      uuid,
    reason        text NOT NULL,
    field         text NOT NULL,
    detail        text NOT NULL,
    payload       bytea NOT NULL,             -- Raw bytes, cut at 262,144 (the broker lets no more through).
    payload_bytes integer NOT NULL,           -- Their full length.
    received_at   timestamptz NOT NULL,
    replayed_at   timestamptz,                -- Last tried again, with or without success.
    resolution    text CHECK (resolution IN ('replayed', 'dropped')),  -- NULL: open.
    resolved_at   timestamptz,
    dropped_by      text,                     -- Stays when it is replayed after all.
    dropped_because text,
    CONSTRAINT quarantine_resolution_has_its_time CHECK (
        (resolution IS NULL) = (resolved_at IS NULL)),
    CONSTRAINT quarantine_replayed_settles_nothing CHECK (
        resolution IS DISTINCT FROM 'replayed' OR NOT settles),
    CONSTRAINT quarantine_dropped_says_who_and_why CHECK (
        resolution IS DISTINCT FROM 'dropped'
        OR (dropped_by IS NOT NULL AND dropped_because IS NOT NULL))
);
CREATE INDEX quarantine_by_reading ON quarantine (reading_id);
CREATE INDEX quarantine_open ON quarantine (number) WHERE resolution IS NULL;

-- Totals per gateway and day, written in the transaction they count, so that dropping old
-- chunks never breaks the conservation sum. The last two stand beside the law, not in it.
CREATE TABLE gateway_day (
    gateway_id  text NOT NULL,
    day         date NOT NULL,                -- UTC day of ingest's clock.
    stored      bigint NOT NULL DEFAULT 0,
    duplicate   bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,    -- Ids whose disposition is the quarantine.
    unsettling  bigint NOT NULL DEFAULT 0,    -- Quarantined items that settle no id: conflicts, no id.
    redelivered bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (gateway_id, day)
);

-- Retention -----------------------------------------------------------------------------------

-- One row once retention was first used. Chunks of `reading` before the edge are gone, or may go
-- at any time; no reading is stored in them any more. The edge never goes back.
CREATE TABLE retention (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    edge   timestamptz NOT NULL,
    set_at timestamptz NOT NULL
);

-- How many days readings are kept at least, whatever a command says: the owner's word. No row: a
-- quarter, because open screenings look back that far.
CREATE TABLE retention_floor (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    days   integer NOT NULL CHECK (days >= 91)
);

-- Readings with an id before the edge that must stay: something open rests on them or on what
-- came before them, or the gateway's clock was wrong. Never also in `reading`.
CREATE TABLE reading_held (LIKE reading INCLUDING CONSTRAINTS);
ALTER TABLE reading_held ADD PRIMARY KEY (id);
CREATE INDEX reading_held_by_resident ON reading_held (resident_id, effective_at);

CREATE VIEW stored_reading AS
SELECT * FROM reading UNION ALL SELECT * FROM reading_held;

-- With whose each is now.
CREATE VIEW owned_reading AS
SELECT s.*, s.resident_id AS owner_id FROM stored_reading s
WHERE NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
  AND NOT EXISTS (SELECT FROM resident_merge m
                  WHERE m.resident_id = s.resident_id AND m.unmerged_at IS NULL)
UNION ALL
SELECT s.*, o.resident_id AS owner_id
FROM reading_owner o JOIN stored_reading s ON s.id = o.reading_id
WHERE NOT EXISTS (SELECT FROM resident_merge m
                  WHERE m.resident_id = o.resident_id AND m.unmerged_at IS NULL)
UNION ALL
SELECT s.*, m.into_id AS owner_id
FROM resident_merge m JOIN stored_reading s ON s.resident_id = m.resident_id
WHERE m.unmerged_at IS NULL
  AND NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
UNION ALL
SELECT s.*, m.into_id AS owner_id
FROM resident_merge m JOIN reading_owner o ON o.resident_id = m.resident_id
JOIN stored_reading s ON s.id = o.reading_id
WHERE m.unmerged_at IS NULL;

-- How many readings of each gateway were dropped: `gateway_day.stored` less these are there.
CREATE TABLE gateway_retired (
    gateway_id text PRIMARY KEY,
    readings   bigint NOT NULL
);

-- The folded past of a resident: fold(checkpoint, tail) = fold(all).
CREATE TABLE resident_checkpoint (
    resident_id text PRIMARY KEY,
    edge        timestamptz NOT NULL,       -- Rows of `reading` with an id before it are in it.
    until       timestamptz NOT NULL,       -- By effective time: what is earlier is folded.
    state       bytea NOT NULL,             -- ingest/checkpoints.py
    facts       jsonb NOT NULL,             -- Beside it: profiles by name, what was explained.
    made_at     timestamptz NOT NULL
);

-- Due work ------------------------------------------------------------------------------------

-- Append-only: whose cases must be folded again, as new data, a record or a correction says.
CREATE TABLE due_mark (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident_id text NOT NULL,
    kind        text NOT NULL,                -- A mark of a blood pressure waits for its session to close.
    marked_at   timestamptz NOT NULL
);
CREATE INDEX due_mark_by_resident ON due_mark (resident_id);

-- The marks of one transaction of ingest, each kind in one row: a third of its time would go into
-- rows and indexes of due_mark otherwise. Whoever judges spreads them out there.
CREATE TABLE due_batch (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind      text NOT NULL,
    residents text[] NOT NULL,                -- With repetition; may be unknown pseudonyms.
    marked_at timestamptz[] NOT NULL          -- Aligned.
);
-- Compressing pseudonyms would cost more than writing them.
ALTER TABLE due_batch ALTER residents SET STORAGE EXTERNAL, ALTER marked_at SET STORAGE EXTERNAL;

-- Late contexts whose readings the judge has to look for: after the COMMIT that stored them, so that
-- no lock has to keep readings out meanwhile.
CREATE TABLE due_context (
    amendment_id uuid PRIMARY KEY,
    marked_at    timestamptz NOT NULL
);

-- Readings of which something was said: those that are nobody's are looked at by themselves, for
-- no resident brings them back.
CREATE TABLE due_unclaimed (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reading_id uuid NOT NULL,
    marked_at  timestamptz NOT NULL
);

-- Whoever amends a reading moves it and has it looked at; it cannot be forgotten. Of several words
-- about whose it is the last one counts that was not taken back (as in ingest/histories.py).
CREATE FUNCTION follow_amendment() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.undoes IS NOT NULL THEN
        UPDATE amendment SET undone = true WHERE id = NEW.undoes;
    END IF;
    DELETE FROM reading_owner WHERE reading_id = NEW.reading_id;
    INSERT INTO reading_owner (reading_id, resident_id)
    SELECT reading_id, changes ->> 'resident_id' FROM amendment
    WHERE reading_id = NEW.reading_id AND changes ? 'resident_id' AND NOT undone
    ORDER BY received_at DESC, id DESC LIMIT 1;
    INSERT INTO due_unclaimed (reading_id, marked_at) VALUES (NEW.reading_id, NEW.received_at);
    RETURN NULL;
END $$;
CREATE TRIGGER amendment_is_followed AFTER INSERT ON amendment
    FOR EACH ROW WHEN (NEW.kind <> 'context') EXECUTE FUNCTION follow_amendment();

-- One timer per resident: the next instant at which time alone changes something.
CREATE TABLE due_timer (
    resident_id text PRIMARY KEY,
    due_at      timestamptz NOT NULL
);
CREATE INDEX due_timer_by_time ON due_timer (due_at);

-- The row a judge locks while it folds one resident.
CREATE TABLE resident_fold (
    resident_id    text PRIMARY KEY,
    folded_at      timestamptz NOT NULL,
    high_normal_on date                       -- Latest day with a high-normal session, undiagnosed.
);

-- Nobody judges these until the transaction ends, or has judged them before it goes on: a team that
-- changes moves cases and alerts, which the judge locks in an order of its own.
CREATE FUNCTION hold_folds(ids text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO resident_fold (resident_id, folded_at)
    SELECT r.id, '-infinity' FROM resident r WHERE r.id = ANY (ids) ORDER BY r.id
    ON CONFLICT DO NOTHING;
    SELECT FROM resident_fold WHERE resident_id = ANY (ids) ORDER BY resident_id FOR UPDATE $$;

-- Cases, alerts, feed ---------------------------------------------------------------------------

CREATE TABLE resident_case (
    resident_id              text NOT NULL,
    condition                text NOT NULL CHECK (condition IN ('hypertension', 'diabetes')),
    state                    text NOT NULL,
    consecutive_unsatisfied  integer NOT NULL,
    second_followup_due      date,
    referral_followup_due    date,
    next_routine_due         date,
    anchor_id                uuid,            -- What last moved the case.
    profile                  text NOT NULL,
    profile_version          text NOT NULL,
    updated_at               timestamptz NOT NULL,
    number                   bigint GENERATED ALWAYS AS IDENTITY UNIQUE,  -- For paging.
    anchor_kind              text CHECK (anchor_kind IN ('reading', 'record', 'resident')),
    cause                    text,            -- The action of the case machine that moved it.
    team_id                  text,            -- The resident's now; a trigger keeps it.
    severity                 text             -- Of state and open alerts the worst; NULL: quiet.
                             CHECK (severity IN ('info', 'warn', 'high', 'critical')),
    -- Worklists: the worst first, then the earliest day; what asks for nothing comes last.
    risk_order               smallint NOT NULL GENERATED ALWAYS AS (CASE severity
        WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'warn' THEN 2 WHEN 'info' THEN 3 ELSE 4
        END) STORED,
    due_order                date NOT NULL GENERATED ALWAYS AS (COALESCE(
        LEAST(second_followup_due, referral_followup_due, next_routine_due), '9999-12-31')) STORED,
    PRIMARY KEY (resident_id, condition)
);
CREATE INDEX resident_case_by_risk ON resident_case (risk_order, due_order, number);
CREATE INDEX resident_case_by_due ON resident_case (due_order, number) INCLUDE (state, risk_order);
CREATE INDEX resident_case_of_team_by_risk
    ON resident_case (team_id, risk_order, due_order, number);
CREATE INDEX resident_case_of_team_by_due
    ON resident_case (team_id, due_order, number) INCLUDE (state, risk_order);

-- Every change of a case, never rewritten.
CREATE TABLE case_transition (
    number          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident_id     text NOT NULL,
    condition       text NOT NULL,
    from_state      text NOT NULL,
    to_state        text NOT NULL,
    at              timestamptz NOT NULL,     -- The clock when it was judged.
    profile         text NOT NULL,
    profile_version text NOT NULL,
    anchor_id       uuid,
    author          text NOT NULL,            -- 'judge', or the person whose word it is.
    anchor_kind     text CHECK (anchor_kind IN ('reading', 'record', 'resident')),
    cause           text,                     -- The action of the case machine; NULL: it lost its ground.
    threshold       text,                     -- NULL: no limit was asked.
    input_ids       uuid[] NOT NULL DEFAULT '{}',  -- The readings that decided.
    explanation     jsonb                     -- {record, zh, en}
);
CREATE INDEX case_transition_by_resident ON case_transition (resident_id, number);

CREATE TABLE alert (
    id              uuid PRIMARY KEY,         -- f(resident, condition, code, first anchor): raised once by whoever comes first.
    number          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,  -- For paging.
    resident_id     text,                     -- NULL: unclaimed; then the centre acts.
    centre_id       text,                     -- NULL: of a resident without readings and team.
    condition       text NOT NULL CHECK (condition IN ('hypertension', 'diabetes')),
    code            text NOT NULL,
    severity        text NOT NULL CHECK (severity IN ('info', 'warn', 'high', 'critical')),
    status          text NOT NULL CHECK (status IN ('active', 'resolved', 'cancelled')),
    anchor_id       uuid NOT NULL,            -- What it rests on now; a resident's is made from the pseudonym.
    effective_at    timestamptz NOT NULL,     -- Of the anchor.
    raised_at       timestamptz NOT NULL,
    due             date,                     -- Last day, inclusive, Asia/Shanghai.
    page            boolean NOT NULL,
    late            boolean NOT NULL,
    overdue_days    integer NOT NULL DEFAULT 0,
    escalation      integer NOT NULL DEFAULT 0,
    observed        text NOT NULL,            -- '146/92 mmHg'
    threshold       text NOT NULL,            -- '> 140/90 mmHg'
    source          text NOT NULL,            -- Document and section of the threshold.
    profile         text NOT NULL,
    profile_version text NOT NULL,
    raised_by       text NOT NULL CHECK (raised_by IN ('ingest', 'judge')),
    updated_at      timestamptz NOT NULL,
    anchor_kind     text NOT NULL CHECK (anchor_kind IN ('reading', 'record', 'resident')),
    explanation     jsonb,                    -- {record, zh, en}
    team_id         text                      -- The resident's now; a trigger keeps it.
);
CREATE INDEX alert_by_resident ON alert (resident_id, condition, code);
CREATE INDEX alert_unclaimed ON alert (anchor_id) WHERE resident_id IS NULL;

CREATE FUNCTION severity_rank(severity text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_position(ARRAY['info', 'warn', 'high', 'critical'], severity) $$;

-- What people do about an alert, and how far the notifier is. One row an alert that pages, or that
-- somebody attended to. Judging anew never touches it, but for the triggers below.
CREATE TABLE alert_attention (
    alert_id        uuid PRIMARY KEY REFERENCES alert ON DELETE CASCADE,
    round           integer NOT NULL DEFAULT 1,-- Counts up when it opens again.
    opened_at       timestamptz NOT NULL,   -- Since when it asks for somebody, in this round.
    acknowledged_at timestamptz,
    acknowledged_by text,
    reason          text,                   -- What is done about it.
    note            text,
    snoozed_at      timestamptz,
    snoozed_by      text,
    snoozed_until   timestamptz,
    step            integer NOT NULL DEFAULT 0,-- How far the ladder was climbed in this round.
    look_at         timestamptz,            -- When the notifier looks at it next; NULL: never.
    untold_since    timestamptz,            -- Nobody could be told at some step; NULL: somebody was.
    CONSTRAINT alert_attention_acknowledged_says_who_and_why CHECK (
        (acknowledged_at IS NULL) = (acknowledged_by IS NULL)
        AND (acknowledged_at IS NULL) = (reason IS NULL)
        AND (note IS NULL OR reason IS NOT NULL)),
    CONSTRAINT alert_attention_snoozed_says_who_and_how_long CHECK (
        (snoozed_at IS NULL) = (snoozed_by IS NULL)
        AND (snoozed_at IS NULL) = (snoozed_until IS NULL)),
    CONSTRAINT alert_attention_is_one_thing CHECK (acknowledged_at IS NULL OR snoozed_at IS NULL)
);
CREATE INDEX alert_attention_due ON alert_attention (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX alert_attention_untold ON alert_attention (untold_since)
    WHERE untold_since IS NOT NULL;

-- Who did what about it. Never rewritten.
CREATE TABLE alert_history (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES alert ON DELETE CASCADE,
    what     text NOT NULL CHECK (what IN (
        'acknowledged', 'acknowledgement_withdrawn', 'snoozed', 'snooze_withdrawn', 'returned',
        'reopened')),
    at       timestamptz NOT NULL,
    author   text NOT NULL,
    reason   text,
    note     text,
    until    timestamptz
);
CREATE INDEX alert_history_by_alert ON alert_history (alert_id, number);

-- What pages is due work from the moment it is raised, whoever raises it.
CREATE FUNCTION attend_new_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO alert_attention (alert_id, opened_at, look_at)
    VALUES (NEW.id, NEW.raised_at, NEW.raised_at);
    RETURN NULL;
END $$;
CREATE TRIGGER alert_is_attended AFTER INSERT ON alert
    FOR EACH ROW WHEN (NEW.page AND NEW.status = 'active') EXECUTE FUNCTION attend_new_alert();

-- What was acknowledged or put aside was less than this.
CREATE FUNCTION reopen_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO alert_history (alert_id, what, at, author)
    SELECT NEW.id, 'reopened', NEW.updated_at, 'judge' FROM alert_attention t
    WHERE t.alert_id = NEW.id AND (t.acknowledged_at IS NOT NULL OR t.snoozed_at IS NOT NULL);
    INSERT INTO alert_attention AS t (alert_id, opened_at, look_at)
    SELECT NEW.id, NEW.updated_at, NEW.updated_at
    WHERE NEW.page OR EXISTS (SELECT FROM alert_attention k WHERE k.alert_id = NEW.id)
    ON CONFLICT (alert_id) DO UPDATE
    SET round = t.round + 1, opened_at = EXCLUDED.opened_at, look_at = EXCLUDED.look_at, step = 0,
        acknowledged_at = NULL, acknowledged_by = NULL, reason = NULL, note = NULL,
        snoozed_at = NULL, snoozed_by = NULL, snoozed_until = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER alert_is_reopened AFTER UPDATE ON alert
    FOR EACH ROW WHEN (NEW.status = 'active' AND (
        OLD.status <> 'active' OR NEW.escalation > OLD.escalation
        OR severity_rank(NEW.severity) > severity_rank(OLD.severity)))
    EXECUTE FUNCTION reopen_alert();

-- Others are to be told now.
CREATE FUNCTION look_at_moved_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE alert_attention SET look_at = '-infinity'
    WHERE alert_id = NEW.id AND acknowledged_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER alert_is_looked_at_when_moved AFTER UPDATE ON alert
    FOR EACH ROW WHEN (NEW.page AND NEW.status = 'active'
        AND (NEW.team_id IS DISTINCT FROM OLD.team_id
             OR NEW.centre_id IS DISTINCT FROM OLD.centre_id))
    EXECUTE FUNCTION look_at_moved_alert();

-- Telling people --------------------------------------------------------------------------------

-- How staff are told about alerts, and as what. Beside the register: its history never forgets.
CREATE TABLE staff_contact (
    staff_id     text PRIMARY KEY REFERENCES staff,
    email        text,
    phone        text,
    duties       text[] NOT NULL CHECK (duties <@ ARRAY['doctor', 'team_leader', 'centre']),
    changed_at   timestamptz NOT NULL,
    changed_by   text NOT NULL,
    digest_until timestamptz
);

-- When only critical alerts are told there, and when shifts begin; local times.
CREATE TABLE duty_hours (
    kind        text NOT NULL CHECK (kind IN ('centre', 'team')),
    id          text NOT NULL,
    quiet_from  time NOT NULL,
    quiet_until time NOT NULL,
    shifts      time[] NOT NULL,
    changed_at  timestamptz NOT NULL,
    changed_by  text NOT NULL,
    PRIMARY KEY (kind, id)
);

-- What one person is told by one channel. The id is handed to the receiver at every attempt.
CREATE TABLE message (
    id       uuid PRIMARY KEY,
    kind     text NOT NULL CHECK (kind IN ('page', 'notice', 'digest')),
    staff_id text NOT NULL REFERENCES staff,
    channel  text NOT NULL,
    content  jsonb NOT NULL,
    made_at  timestamptz NOT NULL,
    status   text NOT NULL DEFAULT 'waiting'
             CHECK (status IN ('waiting', 'sent', 'failed', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    next_at  timestamptz,
    CONSTRAINT message_waits_for_a_time CHECK ((status = 'waiting') = (next_at IS NOT NULL))
);
CREATE INDEX message_waiting ON message (next_at) WHERE next_at IS NOT NULL;

-- Without an end: under way, or cut off; then it is made again.
CREATE TABLE message_attempt (
    message_id uuid NOT NULL REFERENCES message,
    number     integer NOT NULL,
    begun_at   timestamptz NOT NULL,
    ended_at   timestamptz,
    problem    text,
    PRIMARY KEY (message_id, number)
);

-- Who was to be told about an alert, as what, at which step. No staff: nobody could be told.
CREATE TABLE notification (
    number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id   uuid NOT NULL REFERENCES alert ON DELETE CASCADE,
    round      integer NOT NULL,
    step       integer NOT NULL,
    rung       text NOT NULL CHECK (rung IN ('doctor', 'team_leader', 'centre')),
    held       boolean NOT NULL,
    at         timestamptz NOT NULL,
    staff_id   text,
    message_id uuid REFERENCES message,
    CONSTRAINT notification_tells_somebody CHECK ((staff_id IS NULL) = (message_id IS NULL))
);
CREATE INDEX notification_by_alert ON notification (alert_id, number);
CREATE INDEX notification_by_message ON notification (message_id);

-- How far behind the notifier is, for the API's readiness; says nothing of anyone.
CREATE FUNCTION notify_lag(at timestamptz, OUT waiting_since timestamptz, OUT nobody bigint)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (SELECT min(t.look_at) FROM alert_attention t
            WHERE t.look_at <= notify_lag.at AND t.look_at > '-infinity'),
           (SELECT count(*) FROM alert_attention t
            JOIN alert a ON a.id = t.alert_id AND a.status = 'active' AND a.page
            WHERE t.untold_since IS NOT NULL AND t.acknowledged_at IS NULL
              AND t.snoozed_at IS NULL) $$;

-- Written unnumbered in the transaction that made the event; one elected dispatcher numbers
-- the committed ones, so readers see one gap-free sequence and can resume anywhere.
CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number     bigint UNIQUE,
    kind       text NOT NULL,                 -- ingest/db/outbox.py lists them.
    payload    jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX outbox_unnumbered ON outbox (id) WHERE number IS NULL;

-- Webhooks: where somebody wants to be told, and how far that has come.
CREATE TABLE webhook (
    number            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner             text NOT NULL,          -- Subject of who wrote it; nobody else sees it.
    id                text NOT NULL,          -- As the owner calls it.
    url               text NOT NULL,
    kinds             text[],                 -- Of events; NULL: all.
    description       text NOT NULL,
    enabled           boolean NOT NULL,
    reach             jsonb NOT NULL,         -- Of the owner's credential: roles, teams, centres, scopes.
    created_at        timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL,
    after             bigint NOT NULL,        -- Told, or passed over, up to this number of the feed.
    epoch             integer NOT NULL DEFAULT 0,  -- How often somebody set `after` or the address: what was under way before counts no more.
    failures          integer NOT NULL DEFAULT 0,  -- In a row.
    failing_since     timestamptz,
    next_at           timestamptz,            -- NULL: at once.
    parked_at         timestamptz,            -- Not told any more, until a replay.
    parked_because    text CHECK (parked_because IN ('failing', 'gone', 'owner', 'pruned')),
    last_delivered_at timestamptz,
    last_problem      text,                   -- Our words, never the receiver's.
    UNIQUE (owner, id),
    CONSTRAINT webhook_parked_says_why CHECK ((parked_at IS NULL) = (parked_because IS NULL))
);
CREATE TABLE webhook_secret (
    webhook    bigint NOT NULL REFERENCES webhook ON DELETE CASCADE,
    id         text NOT NULL,                 -- As the owner calls the rotation.
    key_id     text,                          -- Of the deployment's key; NULL: there was no key file, it is not sealed.
    content    bytea NOT NULL,
    made_at    timestamptz NOT NULL,
    expires_at timestamptz,                   -- NULL: it is the one in force.
    PRIMARY KEY (webhook, id)
);

-- Who sees what ---------------------------------------------------------------------------------

-- Of the whole server, so they may be there already: another database of ours, or a second
-- migration at this very moment.
DO $$
DECLARE
    wanted text;
    needed text := CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER'
                        ELSE 'SET' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['suifang_api', 'suifang_api_all', 'suifang_api_process',
                               'suifang_api_intake', 'suifang_api_operations',
                               'suifang_ingest', 'suifang_judge', 'suifang_dispatch',
                               'suifang_notify', 'suifang_deliver', 'suifang_deliver_own',
                               'suifang_deliver_all', 'suifang_maintenance', 'suifang_backtest'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        IF NOT pg_has_role(current_user, wanted, needed) THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        END IF;
    END LOOP;
END $$;

-- A case and an alert are seen by the team of their resident, where it is now.
CREATE INDEX resident_by_team ON resident (team_id);
CREATE INDEX resident_case_by_team ON resident_case (team_id, number);
CREATE INDEX alert_by_team ON alert (team_id, number);
-- From the index alone: what row-level security asks of a row made the planner gather all alerts
-- that the team ever had.
CREATE INDEX alert_active ON alert (team_id, number) INCLUDE (centre_id) WHERE status = 'active';
CREATE INDEX alert_of_centre ON alert (centre_id, number) WHERE team_id IS NULL;

CREATE FUNCTION place_with_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT team_id INTO NEW.team_id FROM resident WHERE id = NEW.resident_id FOR SHARE;
    RETURN NEW;
END $$;
CREATE TRIGGER resident_case_is_placed BEFORE INSERT ON resident_case
    FOR EACH ROW EXECUTE FUNCTION place_with_resident();
CREATE TRIGGER alert_is_placed BEFORE INSERT OR UPDATE ON alert
    FOR EACH ROW EXECUTE FUNCTION place_with_resident();

CREATE FUNCTION follow_new_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE resident_case c SET team_id = n.team_id FROM placed n
    WHERE c.resident_id = n.id AND n.team_id IS NOT NULL AND c.team_id IS DISTINCT FROM n.team_id;
    UPDATE alert a SET team_id = n.team_id FROM placed n
    WHERE a.resident_id = n.id AND n.team_id IS NOT NULL AND a.team_id IS DISTINCT FROM n.team_id;
    RETURN NULL;
END $$;
CREATE TRIGGER resident_is_followed AFTER INSERT ON resident
    REFERENCING NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION follow_new_resident();

CREATE FUNCTION follow_moved_resident() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    moved text[];
    teams text[];
BEGIN
    -- Both sides in one pass: a join would keep the plan of the first statement, which had one row.
    SELECT array_agg(m.id), array_agg(m.team_id) INTO moved, teams
    FROM (SELECT b.id, max(b.team_id) FILTER (WHERE b.after) AS team_id,
                 max(b.team_id) FILTER (WHERE NOT b.after) AS left_team_id
          FROM (SELECT id, team_id, true AS after FROM placed
                UNION ALL SELECT id, team_id, false FROM left_behind) AS b
          GROUP BY b.id) AS m
    WHERE m.team_id IS DISTINCT FROM m.left_team_id;
    IF moved IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE resident_case c SET team_id = n.team_id FROM unnest(moved, teams) AS n (id, team_id)
    WHERE c.resident_id = n.id;
    UPDATE alert a SET team_id = n.team_id FROM unnest(moved, teams) AS n (id, team_id)
    WHERE a.resident_id = n.id;
    UPDATE resident r SET team_id = n.team_id  -- Whoever is merged into them comes along.
    FROM unnest(moved, teams) AS n (id, team_id)
    JOIN resident_merge m ON m.into_id = n.id AND m.unmerged_at IS NULL
    WHERE r.id = m.resident_id AND r.team_id IS DISTINCT FROM n.team_id;
    PERFORM pg_notify('resident_moved', '');
    RETURN NULL;
END $$;
CREATE TRIGGER resident_is_followed_when_moved AFTER UPDATE ON resident
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION follow_moved_resident();

CREATE FUNCTION tell_moved_team() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('resident_moved', '');
    RETURN NULL;
END $$;
CREATE TRIGGER team_is_followed AFTER UPDATE OF centre_id ON team
    FOR EACH STATEMENT EXECUTE FUNCTION tell_moved_team();

-- Whom the present transaction is for; nothing said: nobody.
CREATE FUNCTION seen_teams() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('suifang.teams', true), '')::text[] $$;
CREATE FUNCTION seen_centres() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('suifang.centres', true), '')::text[] $$;
CREATE FUNCTION sees_measured() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('suifang.measured', true) IS NOT DISTINCT FROM 'on' $$;
CREATE FUNCTION sees_everybody() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('role', true) = 'suifang_api_all' $$;

-- A resident whom no team has: then the centre that measured is responsible.
CREATE FUNCTION has_team(resident text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT FROM resident r WHERE r.id = $1 AND r.team_id IS NOT NULL);
END $$;

-- The end of the feed, for everybody: a number says nothing of anyone.
CREATE FUNCTION feed_head() RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(max(number), 0) FROM outbox);
END $$;

-- Up to which number events are gone. The highest one always stays: numbering goes on from it.
CREATE FUNCTION feed_floor() RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN (SELECT coalesce(min(number) - 1, 0) FROM outbox);
END $$;

ALTER TABLE resident ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident TO suifang_api, suifang_deliver_own
    USING (team_id = ANY ((SELECT seen_teams())::text[]));
CREATE POLICY everybody ON resident TO suifang_api_all, suifang_deliver_all USING (true);
CREATE POLICY process ON resident FOR SELECT TO suifang_api_process USING (true);

ALTER TABLE resident_condition ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_condition TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON resident_condition TO suifang_api_all
    USING ((SELECT sees_measured()));

ALTER TABLE contract ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON contract TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON contract TO suifang_api_all USING (true);

ALTER TABLE record ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON record TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON record TO suifang_api_all USING ((SELECT sees_measured()));

ALTER TABLE resident_case ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_case TO suifang_api
    USING (team_id = ANY ((SELECT seen_teams())::text[]));
CREATE POLICY everybody ON resident_case TO suifang_api_all USING (true);

ALTER TABLE case_transition ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON case_transition TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON case_transition TO suifang_api_all USING ((SELECT sees_measured()));

ALTER TABLE alert ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON alert TO suifang_api
    USING (team_id = ANY ((SELECT seen_teams())::text[])
           OR (team_id IS NULL AND centre_id = ANY ((SELECT seen_centres())::text[])));
CREATE POLICY everybody ON alert TO suifang_api_all USING (true);

ALTER TABLE alert_attention ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON alert_attention TO suifang_api
    USING (EXISTS (SELECT FROM alert a WHERE a.id = alert_id));
CREATE POLICY everybody ON alert_attention TO suifang_api_all USING (true);
ALTER TABLE alert_history ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON alert_history TO suifang_api
    USING (EXISTS (SELECT FROM alert a WHERE a.id = alert_id));
CREATE POLICY everybody ON alert_history TO suifang_api_all USING (true);
GRANT SELECT, INSERT, UPDATE ON alert_attention TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT ON alert_history TO suifang_api, suifang_api_all;

ALTER TABLE staff_contact ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON staff_contact TO suifang_api
    USING (EXISTS (SELECT FROM staff s WHERE s.id = staff_id
                   AND s.centre_id = ANY ((SELECT seen_centres())::text[])));
CREATE POLICY everybody ON staff_contact TO suifang_api_all USING (true);
ALTER TABLE duty_hours ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON duty_hours FOR SELECT TO suifang_api USING (true);
CREATE POLICY own ON duty_hours TO suifang_api
    USING (CASE kind WHEN 'centre' THEN id = ANY ((SELECT seen_centres())::text[])
           ELSE EXISTS (SELECT FROM team t WHERE t.id = duty_hours.id
                        AND t.centre_id = ANY ((SELECT seen_centres())::text[])) END);
CREATE POLICY everybody ON duty_hours TO suifang_api_all USING (true);
ALTER TABLE notification ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notification FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM alert a WHERE a.id = alert_id));
CREATE POLICY everybody ON notification FOR SELECT TO suifang_api_all USING (true);
ALTER TABLE message ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON message FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM notification n WHERE n.message_id = message.id));
CREATE POLICY everybody ON message FOR SELECT TO suifang_api_all USING (true);
ALTER TABLE message_attempt ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON message_attempt FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM message m WHERE m.id = message_id));
CREATE POLICY everybody ON message_attempt FOR SELECT TO suifang_api_all USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON staff_contact, duty_hours
    TO suifang_api, suifang_api_all;
GRANT SELECT ON notification, message_attempt TO suifang_api, suifang_api_all;
GRANT SELECT (id, kind, staff_id, channel, made_at, status, attempts, next_at) ON message
    TO suifang_api, suifang_api_all;

ALTER TABLE outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON outbox FOR SELECT TO suifang_api, suifang_deliver_own
    USING (((SELECT sees_measured()) OR kind LIKE 'alert.%' OR kind LIKE 'case.%')
      AND (EXISTS (SELECT FROM resident r WHERE r.id = payload ->> 'resident_id')
           OR (payload ->> 'resident_id' IS NULL
               AND payload ->> 'team_id' = ANY ((SELECT seen_teams())::text[]))
           OR (payload ->> 'centre_id' = ANY ((SELECT seen_centres())::text[])
               AND CASE WHEN payload ->> 'resident_id' IS NULL THEN payload ->> 'team_id' IS NULL
                        ELSE NOT has_team(payload ->> 'resident_id') END)));
CREATE POLICY everybody ON outbox FOR SELECT TO suifang_api_all, suifang_deliver_all
    USING ((SELECT sees_measured()) OR kind LIKE 'alert.%' OR kind LIKE 'case.%');
CREATE POLICY told ON outbox FOR INSERT TO suifang_api, suifang_api_all WITH CHECK (true);
CREATE POLICY process ON outbox FOR SELECT TO suifang_api_process USING (true);

ALTER TABLE webhook ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook TO suifang_api, suifang_api_all
    USING (owner = current_setting('suifang.subject', true));
CREATE POLICY process ON webhook TO suifang_deliver USING (true);
ALTER TABLE webhook_secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook_secret TO suifang_api, suifang_api_all
    USING (EXISTS (SELECT FROM webhook w WHERE w.number = webhook));
CREATE POLICY process ON webhook_secret FOR SELECT TO suifang_deliver USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook, webhook_secret TO suifang_api, suifang_api_all;

-- The hypertable itself is granted to nobody: TimescaleDB gives its chunks the same grants, and
-- anybody may look into the schema they are in, past every policy. This view is the only way. In it
-- a reading is its present owner's, who may be another than the one it was reported for.
CREATE VIEW visible_reading WITH (security_barrier) AS
SELECT s.id, s.partition_at, s.content_hash, s.kind, s.owner_id AS resident_id, s.centre_id,
       s.gateway_id, s.device_id, s.device_sequence, s.boot_id, s.measured_at, s.stored_record,
       s.captured_at, s.clock_synchronised, s.device_now, s.received_at, s.arrived_at,
       s.effective_at, s.time_suspect, s.setting, s.status, s.systolic, s.diastolic, s.pulse,
       s.arm, s.posture, s.glucose, s.meal_context, s.sample, s.unit, s.extra,
       s.resident_id AS reported_for
FROM owned_reading s
WHERE (SELECT sees_measured())
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = s.owner_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[]))
       OR (s.centre_id = ANY ((SELECT seen_centres())::text[])
           AND NOT EXISTS (SELECT FROM resident r
                           WHERE r.id = s.owner_id AND r.team_id IS NOT NULL)));

-- The same of a resident whom nobody claimed a reading for or merged: of the four parts of
-- `owned_reading` only the first, whose plan has a quarter of the nodes.
CREATE VIEW visible_reported WITH (security_barrier) AS
SELECT s.id, s.partition_at, s.content_hash, s.kind, s.resident_id, s.centre_id,
       s.gateway_id, s.device_id, s.device_sequence, s.boot_id, s.measured_at, s.stored_record,
       s.captured_at, s.clock_synchronised, s.device_now, s.received_at, s.arrived_at,
       s.effective_at, s.time_suspect, s.setting, s.status, s.systolic, s.diastolic, s.pulse,
       s.arm, s.posture, s.glucose, s.meal_context, s.sample, s.unit, s.extra,
       s.resident_id AS reported_for
FROM stored_reading s
WHERE NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
  AND NOT EXISTS (SELECT FROM resident_merge m
                  WHERE m.resident_id = s.resident_id AND m.unmerged_at IS NULL)
  AND (SELECT sees_measured())
  AND ((SELECT sees_everybody())
       OR EXISTS (SELECT FROM resident r WHERE r.id = s.resident_id
                  AND r.team_id = ANY ((SELECT seen_teams())::text[]))
       OR (s.centre_id = ANY ((SELECT seen_centres())::text[])
           AND NOT EXISTS (SELECT FROM resident r
                           WHERE r.id = s.resident_id AND r.team_id IS NOT NULL)));
-- Whether all that a resident owns was reported for that resident.
CREATE FUNCTION owns_only_reported(resident text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN NOT EXISTS (SELECT FROM reading_owner o WHERE o.resident_id = resident)
       AND NOT EXISTS (SELECT FROM resident_merge m
                       WHERE m.into_id = resident AND m.unmerged_at IS NULL);
END $$;

-- A page of those by time: who may see them is decided once and not for each month and row.
CREATE FUNCTION list_reported(
    resident text, kinds text[], since timestamptz, until timestamptz,
    after_effective timestamptz, after_captured timestamptz, after_id uuid, rows integer
) RETURNS SETOF stored_reading LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    team text;
    is_own boolean;  -- All of this resident's are seen; else those of centres, of who has no team.
    centres text[];
BEGIN
    SELECT r.team_id INTO team FROM resident r WHERE r.id = resident;
    is_own := sees_everybody() OR coalesce(team = ANY (seen_teams()), false);
    centres := CASE WHEN team IS NULL THEN seen_centres() ELSE '{}' END;
    IF NOT coalesce(sees_measured(), false) OR NOT owns_only_reported(resident)
       OR EXISTS (SELECT FROM resident_merge m
                  WHERE m.resident_id = resident AND m.unmerged_at IS NULL) THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT * FROM stored_reading s
    WHERE s.resident_id = resident AND s.effective_at >= since AND s.effective_at < until
      AND s.kind = ANY (kinds)
      AND (s.effective_at, s.captured_at, s.id) > (after_effective, after_captured, after_id)
      AND NOT EXISTS (SELECT FROM reading_owner o WHERE o.reading_id = s.id)
      AND (is_own OR s.centre_id = ANY (centres))
    ORDER BY s.effective_at, s.captured_at, s.id
    LIMIT rows;
END $$;

-- A value that somebody measured at a visit and typed in becomes a reading of the resident: once,
-- under an id made from the visit's, counted as what a gateway sends. The API has no other way to
-- `reading`. False: it is there already, or it is older than what is kept.
CREATE FUNCTION add_visit_reading(
    id uuid, partition_at timestamptz, content_hash bigint, kind text, resident text, at timestamptz,
    received_at timestamptz, setting text, systolic numeric, diastolic numeric, pulse numeric,
    glucose numeric, meal_context text, unit text, extra jsonb
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    centre text;
BEGIN
    SELECT t.centre_id INTO centre FROM resident r JOIN team t ON t.id = r.team_id
    WHERE r.id = resident AND sees_measured()
      AND (sees_everybody() OR r.team_id = ANY (seen_teams()));
    IF centre IS NULL THEN
        RAISE EXCEPTION 'not a resident of yours' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(1595909632);  -- As ingest.db.readings does.
    IF partition_at < (SELECT edge FROM retention) THEN
        RETURN false;
    END IF;
    INSERT INTO reading (id, partition_at, content_hash, kind, resident_id, centre_id, gateway_id,
        device_id, measured_at, stored_record, captured_at, clock_synchronised, received_at,
        arrived_at, effective_at, time_suspect, setting, status, systolic, diastolic, pulse,
        glucose, meal_context, unit, extra)
    VALUES (add_visit_reading.id, add_visit_reading.partition_at, add_visit_reading.content_hash,
        add_visit_reading.kind, resident, centre, 'visit', 'visit', at, false, at, false,
        add_visit_reading.received_at, add_visit_reading.received_at, at, false,
        add_visit_reading.setting, '{}', add_visit_reading.systolic, add_visit_reading.diastolic,
        add_visit_reading.pulse, add_visit_reading.glucose, add_visit_reading.meal_context,
        add_visit_reading.unit, add_visit_reading.extra)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO gateway_day (gateway_id, day, stored)
    VALUES ('visit', (add_visit_reading.received_at AT TIME ZONE 'UTC')::date, 1)
    ON CONFLICT (gateway_id, day) DO UPDATE SET stored = gateway_day.stored + 1;
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION add_visit_reading FROM PUBLIC;
GRANT EXECUTE ON FUNCTION add_visit_reading TO suifang_api, suifang_api_all;
REVOKE EXECUTE ON FUNCTION owns_only_reported FROM PUBLIC;
GRANT EXECUTE ON FUNCTION owns_only_reported TO suifang_api, suifang_api_all;
REVOKE EXECUTE ON FUNCTION list_reported FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_reported TO suifang_api, suifang_api_all;

-- What is said of a reading is as visible as the reading; a late context names no reading yet.
ALTER TABLE amendment ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON amendment TO suifang_api
    USING (EXISTS (SELECT FROM visible_reading r WHERE r.id = reading_id));
CREATE POLICY everybody ON amendment TO suifang_api_all USING ((SELECT sees_measured()));

-- A late context names no reading, so its row is nobody's; seen is what is said of a reading that may
-- be seen. Which one it belongs to is decided as the judge decides it (ingest/db/amendments.py).
CREATE VIEW visible_context WITH (security_barrier) AS
SELECT r.id AS reading_id, r.partition_at, a.id, a.changes ->> 'meal_context' AS meal_context,
       coalesce(a.captured_at, a.received_at) AS said_at, a.received_at
FROM visible_reading r JOIN amendment a ON
a.kind = 'context' AND NOT a.retired
AND a.device_id = r.device_id AND a.device_sequence = r.device_sequence
AND a.boot_id IS NOT DISTINCT FROM r.boot_id AND r.kind = 'glucose'
AND (a.resident_id IS NULL OR r.reported_for IS NULL OR a.resident_id = r.reported_for)
AND (a.captured_at IS NULL OR NOT r.clock_synchronised
     OR r.captured_at BETWEEN a.captured_at - INTERVAL '30 days'
                          AND a.captured_at + INTERVAL '30 days')
AND NOT EXISTS (
    SELECT FROM reading_key k JOIN stored_reading o ON o.id = k.reading_id
    WHERE k.device_id = a.device_id AND k.reading_id <> r.id
      AND k.rule_key = 'sequence:' || coalesce(a.boot_id, '') || ':' || a.device_sequence
      AND o.kind = 'glucose'
      AND (a.resident_id IS NULL OR o.resident_id IS NULL OR a.resident_id = o.resident_id)
      AND (a.captured_at IS NULL OR NOT o.clock_synchronised
           OR o.captured_at BETWEEN a.captured_at - INTERVAL '30 days'
                                AND a.captured_at + INTERVAL '30 days')
      AND CASE WHEN r.received_at <= a.received_at
               THEN o.received_at <= a.received_at
                    AND (o.received_at, o.id) > (r.received_at, r.id)
               ELSE (o.received_at, o.id) < (r.received_at, r.id) END);
GRANT SELECT ON visible_context TO suifang_api, suifang_api_all;

-- Which terminal stands where is no secret: nothing in it is about a resident.
GRANT SELECT ON device TO suifang_api, suifang_api_all;
GRANT SELECT (id, centre_id) ON gateway TO suifang_api, suifang_api_all;

-- Whether it is too late to say something of a reading: it, or what it counts for, is folded into
-- a checkpoint, from which nobody takes anything out again.
CREATE FUNCTION is_settled(reading uuid, residents text[], at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM reading r, retention e WHERE r.id = $1 AND r.partition_at < e.edge)
        OR EXISTS (SELECT FROM resident_checkpoint c
                   WHERE c.resident_id = ANY (residents) AND $3 < c.until) $$;

-- Whether two histories cannot be folded together any more, or not be taken apart.
CREATE FUNCTION is_merge_settled(gone text, survivor text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM resident_checkpoint c WHERE c.resident_id = gone)
        OR EXISTS (SELECT FROM owned_reading r, retention e
                   WHERE r.owner_id = gone AND r.partition_at < e.edge)
        OR EXISTS (SELECT FROM resident_checkpoint c WHERE c.resident_id = survivor AND (
               EXISTS (SELECT FROM owned_reading r
                       WHERE r.owner_id = gone AND r.effective_at < c.until)
               OR EXISTS (SELECT FROM record r WHERE r.resident_id = gone AND r.at < c.until))) $$;
CREATE FUNCTION is_folded_since(residents text[], at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM resident_checkpoint c
                   WHERE c.resident_id = ANY (residents) AND c.made_at >= $2) $$;
-- Whether a word about a resident waits for a judge: then no case says whether it still decides.
CREATE FUNCTION is_word_unjudged(resident text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM due_mark m WHERE m.resident_id = is_word_unjudged.resident
                   AND m.kind NOT IN ('blood_pressure', 'glucose')) $$;

ALTER TABLE resident_merge ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_merge TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id)
           AND EXISTS (SELECT FROM resident r WHERE r.id = into_id));
CREATE POLICY everybody ON resident_merge TO suifang_api_all USING (true);
-- How often and when somebody was merged or parted, in all and as the one that goes: also for who sees
-- only one of the two, so that a version never goes back. Not with whom.
CREATE VIEW visible_merging WITH (security_barrier) AS
SELECT r.id AS resident_id, count(*) + count(m.unmerged_at) AS number,
       greatest(max(m.merged_at), max(m.unmerged_at)) AS at,
       count(*) FILTER (WHERE m.resident_id = r.id)
           + count(m.unmerged_at) FILTER (WHERE m.resident_id = r.id) AS number_as_merged,
       greatest(max(m.merged_at) FILTER (WHERE m.resident_id = r.id),
                max(m.unmerged_at) FILTER (WHERE m.resident_id = r.id)) AS at_as_merged
FROM resident_merge m CROSS JOIN LATERAL (VALUES (m.resident_id), (m.into_id)) AS n (id)
JOIN resident r ON r.id = n.id
WHERE (SELECT sees_everybody()) OR r.team_id = ANY ((SELECT seen_teams())::text[])
GROUP BY r.id;
GRANT SELECT ON visible_merging TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT, UPDATE (unmerged_at, unmerged_by) ON resident_merge
    TO suifang_api, suifang_api_all;

GRANT SELECT ON centre, team, package, resident, resident_condition, contract, record, amendment,
    resident_case, case_transition, alert, outbox, retention, visible_reading, visible_reported
    TO suifang_api, suifang_api_all;
GRANT INSERT, UPDATE ON centre, team, package, resident, resident_condition, contract
    TO suifang_api, suifang_api_all;
GRANT INSERT ON record, amendment, due_mark, outbox TO suifang_api, suifang_api_all;
GRANT SELECT ON outbox, team TO suifang_api_process;
GRANT SELECT (id, team_id) ON resident TO suifang_api_process;
-- Enrolment, where nobody is known yet.
GRANT SELECT, UPDATE ON enrolment_token TO suifang_api_process;
GRANT SELECT, INSERT, UPDATE ON gateway, gateway_certificate TO suifang_api_process;

-- The register: places, people who work there and packages are no secret; who may write of a
-- centre writes of that centre only, or it would make strangers' teams its own.
ALTER TABLE centre ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON centre FOR SELECT TO suifang_api, suifang_api_process USING (true);
CREATE POLICY own ON centre FOR UPDATE TO suifang_api
    USING (id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON centre TO suifang_api_all USING (true);
ALTER TABLE team ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON team FOR SELECT TO suifang_api, suifang_api_process USING (true);
CREATE POLICY own ON team TO suifang_api
    USING (centre_id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON team TO suifang_api_all USING (true);
ALTER TABLE staff ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON staff FOR SELECT TO suifang_api USING (true);
CREATE POLICY own ON staff TO suifang_api
    USING (centre_id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON staff TO suifang_api_all USING (true);
ALTER TABLE staff_team ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON staff_team FOR SELECT TO suifang_api USING (true);
CREATE POLICY own ON staff_team TO suifang_api
    USING (EXISTS (SELECT FROM staff s WHERE s.id = staff_id
                   AND s.centre_id = ANY ((SELECT seen_centres())::text[])));
CREATE POLICY everybody ON staff_team TO suifang_api_all USING (true);
ALTER TABLE package ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON package FOR SELECT TO suifang_api USING (true);
CREATE POLICY everybody ON package TO suifang_api_all USING (true);

-- An id that is somebody else's; one that nobody has yet is nobody's.
CREATE FUNCTION is_strangers(kind text, id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN CASE $1
        WHEN 'resident' THEN EXISTS (
            SELECT FROM resident r
            WHERE r.id = $2 AND r.team_id IS NOT NULL
              AND (r.team_id = ANY (seen_teams())) IS NOT TRUE)
        WHEN 'contract' THEN EXISTS (
            SELECT FROM contract c JOIN resident r ON r.id = c.resident_id
            WHERE c.id = $2 AND (r.team_id = ANY (seen_teams())) IS NOT TRUE)
        ELSE false END;
END $$;
ALTER TABLE registry_entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON registry_entry TO suifang_api USING (NOT is_strangers(kind, id));
CREATE POLICY everybody ON registry_entry TO suifang_api_all USING (true);
ALTER TABLE registry_change ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON registry_change FOR SELECT TO suifang_api
    USING (resident_id IS NULL OR ((SELECT sees_measured())
        AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id)));
CREATE POLICY everybody ON registry_change FOR SELECT TO suifang_api_all
    USING (resident_id IS NULL OR (SELECT sees_measured()));
CREATE POLICY told ON registry_change FOR INSERT TO suifang_api, suifang_api_all
    WITH CHECK (true);
ALTER TABLE contract_turn ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON contract_turn TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON contract_turn TO suifang_api_all USING (true);
ALTER TABLE contract_due ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON contract_due TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON contract_due TO suifang_api_all USING (true);

-- Names and ID numbers, under keys that the database does not have.
ALTER TABLE resident_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_key TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON resident_key TO suifang_api_all USING ((SELECT sees_measured()));
ALTER TABLE resident_sealed ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON resident_sealed TO suifang_api
    USING ((SELECT sees_measured()) AND EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON resident_sealed TO suifang_api_all USING ((SELECT sees_measured()));
GRANT SELECT, INSERT, UPDATE (version) ON registry_entry TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT, UPDATE ON staff, resident_key TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT ON registry_change, contract_turn TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT, DELETE ON staff_team, resident_sealed TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT, UPDATE, DELETE ON contract_due TO suifang_api, suifang_api_all;
GRANT DELETE ON resident_condition TO suifang_api, suifang_api_all;
GRANT UPDATE (centre_id, updated_at) ON alert TO suifang_api, suifang_api_all;

-- Credentials and the audit log --------------------------------------------------------------------

-- Keys of machines. The secret is not here: 256 random bits are not guessed from their hash.
CREATE TABLE api_key (
    id           text PRIMARY KEY,          -- The readable middle of the key.
    client       text NOT NULL,             -- Who uses it; stays when the key is rotated.
    secret_hash  bytea NOT NULL,            -- SHA-256.
    role         text NOT NULL,
    scopes       text[],                    -- NULL: all that the role may.
    team_ids     text[] NOT NULL,
    centre_ids   text[] NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz,
    replaces     text REFERENCES api_key,   -- The key it was rotated from.
    last_used_at timestamptz                -- To the minute.
);

-- Which resident an entry is about. Without its row here, nobody can say any more; the entries and
-- their seals stay as they are.
CREATE TABLE audit_handle (
    handle      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resident_id text NOT NULL UNIQUE
);

-- A group of entries and all before it, in one hash. See api/audit/chain.py.
CREATE TABLE audit_seal (
    number    bigint PRIMARY KEY,           -- From 1, without gaps.
    entries   integer NOT NULL,
    content   bytea NOT NULL,               -- Hash of the entries.
    previous  bytea NOT NULL,               -- Hash of the seal before; of the first: zeros.
    hash      bytea NOT NULL,
    until     timestamptz NOT NULL,         -- Its latest entry.
    sealed_at timestamptz NOT NULL,
    key_id    text,                         -- Which made it; NULL: none, or before keys had names.
    mark      bytea,                        -- That key's, over the hash.
    CONSTRAINT audit_seal_is_marked_by_its_key CHECK ((key_id IS NULL) = (mark IS NULL))
);

-- Who saw or changed whom. Append-only: only `seal` is ever set, once.
CREATE TABLE audit_entry (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    subject text NOT NULL,
    action  text NOT NULL,                  -- 'read', 'insert', 'update', 'delete', ...
    object  text NOT NULL,                  -- The operation that read; the table that was changed.
    handles bigint[] NOT NULL,              -- Of residents.
    things  text[] NOT NULL,                -- Ids of what is no resident.
    seal    bigint REFERENCES audit_seal    -- NULL: not sealed yet.
);
CREATE INDEX audit_entry_unsealed ON audit_entry (id) WHERE seal IS NULL;
CREATE INDEX audit_entry_by_seal ON audit_entry (seal, id);

CREATE FUNCTION audit_write(
    at timestamptz, subject text, action text, object text, residents text[], things text[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    known bigint[] := ARRAY(SELECT h.handle FROM audit_handle h
                            WHERE h.resident_id = ANY(residents) ORDER BY 1);
BEGIN
    IF cardinality(known) < cardinality(residents) THEN  -- Or somebody is named twice.
        INSERT INTO audit_handle (resident_id)
        SELECT DISTINCT n.id FROM unnest(residents) AS n (id)
        WHERE n.id IS NOT NULL
          AND NOT EXISTS (SELECT FROM audit_handle h WHERE h.resident_id = n.id)
        ORDER BY n.id
        ON CONFLICT DO NOTHING;
        known := ARRAY(SELECT h.handle FROM audit_handle h
                       WHERE h.resident_id = ANY(residents) ORDER BY 1);
    END IF;
    INSERT INTO audit_entry (at, subject, action, object, handles, things)
    VALUES (audit_write.at, audit_write.subject, audit_write.action, audit_write.object,
            known, coalesce(audit_write.things, '{}'));
END $$;
REVOKE EXECUTE ON FUNCTION audit_write FROM PUBLIC;

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

-- Changes are noted by the database itself, in their own transaction: no program can forget it.
-- What ingest, the judge and operators change without a subject is not of a person.
CREATE FUNCTION audit_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    subject text := nullif(current_setting('suifang.subject', true), '');
    changed_ids text[];
    of_residents boolean := TG_ARGV[1] = 'resident';
BEGIN
    IF subject IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT array_agg(DISTINCT %I::text) FROM changed', TG_ARGV[0])
        INTO changed_ids;
    IF changed_ids IS NULL THEN
        RETURN NULL;
    END IF;
    -- A name's collation is "C" and would become that of every text in there: no index would serve.
    PERFORM audit_write(current_setting('suifang.at')::timestamptz, subject, lower(TG_OP),
        TG_TABLE_NAME::text COLLATE "default", CASE WHEN of_residents THEN changed_ids END,
        CASE WHEN NOT of_residents THEN changed_ids END);
    RETURN NULL;
END $$;

-- Have changes of a table noted. `about` says what its column names: a 'resident' or a 'thing'.
CREATE FUNCTION audit_table(watched regclass, named text, about text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    operation text;
BEGIN
    FOREACH operation IN ARRAY ARRAY['INSERT', 'UPDATE', 'DELETE'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER %s ON %s REFERENCING %s TABLE AS changed '
            'FOR EACH STATEMENT EXECUTE FUNCTION audit_change(%L, %L)',
            'audited_' || lower(operation), operation, watched,
            CASE operation WHEN 'DELETE' THEN 'OLD' ELSE 'NEW' END, named, about);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION audit_table FROM PUBLIC;
SELECT audit_table('resident', 'id', 'resident'),
       audit_table('resident_condition', 'resident_id', 'resident'),
       audit_table('contract', 'resident_id', 'resident'),
       audit_table('record', 'resident_id', 'resident'),
       audit_table('amendment', 'reading_id', 'thing'),
       audit_table('alert_attention', 'alert_id', 'thing'),
       audit_table('staff_contact', 'staff_id', 'thing'),
       audit_table('duty_hours', 'id', 'thing'),
       audit_table('centre', 'id', 'thing'),
       audit_table('team', 'id', 'thing'),
       audit_table('package', 'id', 'thing'),
       audit_table('staff', 'id', 'thing'),
       audit_table('resident_key', 'resident_id', 'resident'),
       audit_table('api_key', 'id', 'thing'),
       audit_table('webhook', 'id', 'thing'),
       audit_table('resident_merge', 'resident_id', 'resident');

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seal IS NULL AND NEW.seal IS NOT NULL
       AND (NEW.id, NEW.at, NEW.subject, NEW.action, NEW.object, NEW.handles, NEW.things)
           = (OLD.id, OLD.at, OLD.subject, OLD.action, OLD.object, OLD.handles, OLD.things) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND current_setting('suifang.audit_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_entry_stays BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();

CREATE FUNCTION sees_audit() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('suifang.audit', true) IS NOT DISTINCT FROM 'on' $$;
ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY auditor ON audit_entry FOR SELECT TO suifang_api, suifang_api_all
    USING ((SELECT sees_audit()));
CREATE POLICY process ON audit_entry TO suifang_api_process USING (true);
ALTER TABLE audit_handle ENABLE ROW LEVEL SECURITY;
CREATE POLICY auditor ON audit_handle FOR SELECT TO suifang_api, suifang_api_all
    USING ((SELECT sees_audit()));
GRANT SELECT ON audit_entry, audit_handle TO suifang_api, suifang_api_all;
GRANT SELECT, UPDATE (seal) ON audit_entry TO suifang_api_process;
GRANT SELECT, INSERT ON audit_seal TO suifang_api_process;
GRANT SELECT, UPDATE (last_used_at) ON api_key TO suifang_api_process;
GRANT EXECUTE ON FUNCTION audit_write, audit_write_known TO suifang_api_process;

-- Indicators ------------------------------------------------------------------------------------

-- What indicators count, of one resident, condition and local calendar year: a bit a day, the
-- first of January rightmost, so that of two such rows the greater one has the later day. The judge
-- writes it with the case; NULL: no day. Of the past of a checkpoint the days stay as they were.
CREATE TABLE indicator_year (
    resident_id       text NOT NULL,
    condition         text NOT NULL CHECK (condition IN ('hypertension', 'diabetes')),
    year              smallint NOT NULL,
    controlled        bit(366),              -- A follow-up found the value under control,
    uncontrolled      bit(366),              -- or not, or nothing was measured. Never both.
    visited           bit(366),              -- Somebody came, went or called.
    face_to_face      bit(366),              -- Of these: came or went.
    second_due        bit(366),              -- Days on which such a follow-up was due,
    second_on_time    bit(366),              -- those of them answered by then,
    second_late       bit(366),              -- and those answered later.
    referral_due      bit(366),
    referral_on_time  bit(366),
    referral_late     bit(366),
    routine_due       bit(366),
    routine_on_time   bit(366),
    routine_late      bit(366),
    PRIMARY KEY (resident_id, condition, year)
) WITH (fillfactor = 80);
CREATE INDEX indicator_year_by_year ON indicator_year USING brin (year);

-- Yearly health checks (健康体检), by their local day.
CREATE TABLE health_check (
    resident_id text NOT NULL REFERENCES resident,
    day         date NOT NULL,
    author      text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (resident_id, day)
);
SELECT audit_table('health_check', 'resident_id', 'resident');

-- Who closed the figures of a centre and a period. Nothing of it is ever changed.
CREATE TABLE indicator_closing (
    centre_id text NOT NULL REFERENCES centre,
    period    text NOT NULL,                -- '2026', '2026-H1', '2026-Q3', '2026-11'.
    author    text NOT NULL,
    closed_at timestamptz NOT NULL,
    PRIMARY KEY (centre_id, period)
);
CREATE TABLE indicator_closed (
    centre_id   text NOT NULL,
    period      text NOT NULL,
    team_id     text NOT NULL,              -- As residents were in teams when it was closed.
    code        text NOT NULL,
    version     integer NOT NULL,           -- Of the formula.
    numerator   bigint NOT NULL,
    denominator bigint,                     -- NULL: nobody said how many.
    PRIMARY KEY (centre_id, period, team_id, code),
    FOREIGN KEY (centre_id, period) REFERENCES indicator_closing
);

CREATE FUNCTION closed_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'figures of a closed period are never changed'
        USING ERRCODE = 'insufficient_privilege';
END $$;
-- Also of a period that another transaction closed: figures come with their closing.
CREATE FUNCTION closed_with_its_closing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM added a
               WHERE NOT EXISTS (SELECT FROM indicator_closing c
                                 WHERE (c.centre_id, c.period) = (a.centre_id, a.period)
                                   AND c.xmin = pg_current_xact_id()::xid)) THEN
        RAISE EXCEPTION 'figures of a closed period are never added to'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_closing_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON indicator_closing
    FOR EACH STATEMENT EXECUTE FUNCTION closed_is_closed();
CREATE TRIGGER indicator_closed_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON indicator_closed
    FOR EACH STATEMENT EXECUTE FUNCTION closed_is_closed();
CREATE TRIGGER indicator_closed_comes_once AFTER INSERT ON indicator_closed
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION closed_with_its_closing();
-- Also where triggers are switched off for a session, as a restore or a replica does.
ALTER TABLE indicator_closing ENABLE ALWAYS TRIGGER indicator_closing_stays;
ALTER TABLE indicator_closed ENABLE ALWAYS TRIGGER indicator_closed_stays;
SELECT audit_table('indicator_closing', 'centre_id', 'thing');

-- A day is no measured value: whoever may see the resident may see on which days they were followed.
ALTER TABLE indicator_year ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON indicator_year FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON indicator_year FOR SELECT TO suifang_api_all USING (true);
ALTER TABLE health_check ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON health_check TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = resident_id));
CREATE POLICY everybody ON health_check TO suifang_api_all USING (true);
ALTER TABLE indicator_closing ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON indicator_closing FOR SELECT TO suifang_api
    USING (centre_id = ANY ((SELECT seen_centres())::text[])
           OR EXISTS (SELECT FROM team t WHERE t.centre_id = indicator_closing.centre_id
                      AND t.id = ANY ((SELECT seen_teams())::text[])));
CREATE POLICY own ON indicator_closing FOR INSERT TO suifang_api
    WITH CHECK (centre_id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON indicator_closing TO suifang_api_all USING (true);
ALTER TABLE indicator_closed ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON indicator_closed FOR SELECT TO suifang_api
    USING (centre_id = ANY ((SELECT seen_centres())::text[])
           OR team_id = ANY ((SELECT seen_teams())::text[]));
CREATE POLICY own ON indicator_closed FOR INSERT TO suifang_api
    WITH CHECK (centre_id = ANY ((SELECT seen_centres())::text[]));
CREATE POLICY everybody ON indicator_closed TO suifang_api_all USING (true);

-- What figures count of a person, folded (`fold_people`): who is merged into somebody has no row, the
-- survivor has what is carried over. Days are local.
CREATE TABLE indicator_person (
    resident_id           text PRIMARY KEY,
    team_id               text,
    birth_date            date,
    registered_on         date,             -- Under the first of their pseudonyms.
    gone                  datemultirange,   -- Dead or moved; the days of a closure and a return are not.
    hypertension          datemultirange,   -- Diagnosed under any of their pseudonyms.
    diabetes              datemultirange,
    maternal              datemultirange,
    tuberculosis          datemultirange,
    severe_mental_disorder datemultirange,
    disability            datemultirange,
    managed_hypertension  datemultirange,   -- Diagnosed, enrolled and not closed.
    managed_diabetes      datemultirange,
    contract_days         date[],           -- On which which contracts run changes, in order. From then
    contract_since        date[],           -- on the first of them runs since; NULL: none runs,
    contract_packages     text[],           -- and these are theirs; several are separated by U+001F.
    visited_years         smallint[],
    visited               bit(366)[]        -- Of each of these years, as in indicator_year.
) WITH (fillfactor = 90);
CREATE INDEX indicator_person_by_team ON indicator_person (team_id);

-- Whose row is to be folded anew: one row for each statement that changed what is folded. It is left in
-- the same transaction, so nobody sees the one without the other, and writers wait for nobody.
CREATE TABLE due_indicator (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    residents text[] NOT NULL                -- Pseudonyms, also merged ones.
);
ALTER TABLE due_indicator ALTER residents SET STORAGE EXTERNAL;

CREATE FUNCTION mark_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT resident_id) FROM placed HAVING count(*) > 0;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT resident_id) FROM left_behind HAVING count(*) > 0;
    ELSE
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT b.resident_id)
        FROM (SELECT resident_id FROM placed UNION ALL SELECT resident_id FROM left_behind) AS b
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_added AFTER INSERT ON resident_condition
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_changed AFTER UPDATE ON resident_condition
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_removed AFTER DELETE ON resident_condition
    REFERENCING OLD TABLE AS left_behind FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_added AFTER INSERT ON contract
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_changed AFTER UPDATE ON contract
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_removed AFTER DELETE ON contract
    REFERENCING OLD TABLE AS left_behind FOR EACH STATEMENT EXECUTE FUNCTION mark_people();
CREATE TRIGGER indicator_follows_added AFTER INSERT ON contract_turn
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_people();

CREATE FUNCTION mark_registered_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(id) FROM placed WHERE NOT stub HAVING count(*) > 0;
    ELSE
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT b.id) FROM (
            SELECT id, team_id, birth_date, stub, created_at, enrolled_on FROM placed EXCEPT
            SELECT id, team_id, birth_date, stub, created_at, enrolled_on FROM left_behind) AS b
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_added AFTER INSERT ON resident
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_registered_people();
CREATE TRIGGER indicator_follows_changed AFTER UPDATE ON resident
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION mark_registered_people();

CREATE FUNCTION mark_merged_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO due_indicator (residents) VALUES (ARRAY[NEW.resident_id, NEW.into_id]);
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_merged AFTER INSERT OR UPDATE ON resident_merge
    FOR EACH ROW EXECUTE FUNCTION mark_merged_people();

CREATE FUNCTION mark_turned_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO due_indicator (residents)
    SELECT array_agg(DISTINCT resident_id) FROM placed
    WHERE kind IN ('closure', 'return', 'withdrawal') HAVING count(*) > 0;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_added AFTER INSERT ON record
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_turned_people();

CREATE FUNCTION mark_visited_people() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT resident_id) FROM placed WHERE visited IS NOT NULL
        HAVING count(*) > 0;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT resident_id) FROM left_behind WHERE visited IS NOT NULL
        HAVING count(*) > 0;
    ELSE
        INSERT INTO due_indicator (residents)
        SELECT array_agg(DISTINCT b.resident_id) FROM (
            SELECT resident_id, condition, year, visited FROM placed EXCEPT
            SELECT resident_id, condition, year, visited FROM left_behind) AS b
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER indicator_follows_added AFTER INSERT ON indicator_year
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION mark_visited_people();
CREATE TRIGGER indicator_follows_changed AFTER UPDATE ON indicator_year
    REFERENCING OLD TABLE AS left_behind NEW TABLE AS placed
    FOR EACH STATEMENT EXECUTE FUNCTION mark_visited_people();
CREATE TRIGGER indicator_follows_removed AFTER DELETE ON indicator_year
    REFERENCING OLD TABLE AS left_behind FOR EACH STATEMENT EXECUTE FUNCTION mark_visited_people();

-- Not with a CTE: that would keep figures from being computed in parallel.
CREATE VIEW due_person AS
SELECT unnest(d.residents) AS id FROM due_indicator d
UNION SELECT m.into_id FROM resident_merge m JOIN
      (SELECT unnest(d.residents) AS id FROM due_indicator d) AS k ON k.id = m.resident_id
      WHERE m.unmerged_at IS NULL;

-- How each row of indicator_person comes about. What followed from contracts of a merged pseudonym is
-- left out, as the judge does: the survivor's contracts count.
CREATE FUNCTION fold_people(ids text[]) RETURNS SETOF indicator_person
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
WITH person AS (
    SELECT r.id, r.team_id, r.birth_date, r.stub FROM resident r
    WHERE r.id = ANY (ids)
      AND NOT EXISTS (SELECT FROM resident_merge m
                      WHERE m.resident_id = r.id AND m.unmerged_at IS NULL)),
pseudonym AS (
    SELECT id AS person, id FROM person
    UNION ALL
    SELECT m.into_id, m.resident_id FROM resident_merge m JOIN person p ON p.id = m.into_id
    WHERE m.unmerged_at IS NULL),
known AS (
    SELECT n.person, min(r.enrolled_on) AS enrolled_on,
           min((r.created_at AT TIME ZONE 'Asia/Shanghai')::date) FILTER (WHERE NOT r.stub)
               AS registered_on
    FROM pseudonym n JOIN resident r ON r.id = n.id GROUP BY n.person),
told AS (
    SELECT n.person, c.condition, daterange(c.since, c.until, '[]') AS days
    FROM pseudonym n JOIN resident_condition c ON c.resident_id = n.id),
diagnosed AS (
    SELECT person,
           range_agg(days) FILTER (WHERE condition = 'hypertension') AS hypertension,
           range_agg(days) FILTER (WHERE condition = 'diabetes') AS diabetes,
           range_agg(days) FILTER (WHERE condition IN ('pregnant', 'lactating')) AS maternal,
           range_agg(days) FILTER (WHERE condition = 'tuberculosis') AS tuberculosis,
           range_agg(days) FILTER (WHERE condition = 'severe_mental_disorder')
               AS severe_mental_disorder,
           range_agg(days) FILTER (WHERE condition = 'disability') AS disability
    FROM told GROUP BY person),
turn AS (
    SELECT n.person, c.kind, c.reason, c.at, (c.at AT TIME ZONE 'Asia/Shanghai')::date AS day
    FROM pseudonym n JOIN record c ON c.resident_id = n.id
    WHERE c.kind IN ('closure', 'return')
      AND NOT EXISTS (SELECT FROM record w WHERE w.withdraws = c.id)
      AND (n.id = n.person OR NOT EXISTS (SELECT FROM contract_turn t WHERE t.record_id = c.id))),
turned AS (
    SELECT person, kind, reason, day,
           min(day) FILTER (WHERE kind = 'return') OVER (
               PARTITION BY person ORDER BY at, kind
               ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS back
    FROM turn),
closed AS (
    SELECT person, range_agg(daterange(day + 1, back)) AS days,
           range_agg(daterange(day + 1, back)) FILTER (WHERE reason IN ('death', 'moved')) AS gone
    FROM turned WHERE kind = 'closure' AND (back IS NULL OR back > day + 1)
    GROUP BY person),
running AS (
    SELECT c.resident_id AS person, c.since, c.package_id,
           greatest(c.since, c.signed_on) AS begins, least(c.until + 1, c.ended_on) AS ends
    FROM person p JOIN contract c ON c.resident_id = p.id),
contracted AS (
    SELECT r.person, d.day
    FROM running r CROSS JOIN LATERAL (VALUES (r.begins), (r.ends)) AS d (day)
    WHERE d.day IS NOT NULL AND (r.ends IS NULL OR r.ends > r.begins)
    GROUP BY r.person, d.day),
agreed AS (
    SELECT d.person, d.day, min(r.since) AS since,
           string_agg(DISTINCT r.package_id, E'\x1f') AS packages
    FROM contracted d LEFT JOIN running r
        ON r.person = d.person AND r.begins <= d.day AND (r.ends IS NULL OR r.ends > d.day)
    GROUP BY d.person, d.day),
signed AS (
    SELECT person, array_agg(day ORDER BY day) AS days, array_agg(since ORDER BY day) AS since,
           array_agg(packages ORDER BY day) AS packages
    FROM agreed GROUP BY person),
visited AS (
    SELECT person, array_agg(year ORDER BY year) AS years, array_agg(days ORDER BY year) AS days
    FROM (SELECT p.id AS person, y.year, bit_or(y.visited) AS days
          FROM person p JOIN indicator_year y ON y.resident_id = p.id
          WHERE y.visited IS NOT NULL GROUP BY p.id, y.year) AS each
    GROUP BY person)
SELECT p.id, p.team_id, p.birth_date, CASE WHEN NOT p.stub THEN k.registered_on END, x.gone,
       d.hypertension, d.diabetes, d.maternal, d.tuberculosis, d.severe_mental_disorder, d.disability,
       CASE WHEN k.enrolled_on IS NOT NULL THEN
           d.hypertension * datemultirange(daterange(k.enrolled_on, NULL)) - coalesce(x.days, '{}') END,
       CASE WHEN k.enrolled_on IS NOT NULL THEN
           d.diabetes * datemultirange(daterange(k.enrolled_on, NULL)) - coalesce(x.days, '{}') END,
       s.days, s.since, s.packages, v.years, v.days
FROM person p JOIN known k ON k.person = p.id
LEFT JOIN diagnosed d ON d.person = p.id
LEFT JOIN closed x ON x.person = p.id
LEFT JOIN signed s ON s.person = p.id
LEFT JOIN visited v ON v.person = p.id
WHERE NOT p.stub OR d.person IS NOT NULL $$;
REVOKE EXECUTE ON FUNCTION fold_people FROM PUBLIC;

-- Of contracts with different packages that run at a time; separated as above.
CREATE FUNCTION followups_of_packages(packages text) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT max(p.followups_per_year) FROM package p
    WHERE p.id = ANY (string_to_array(packages, E'\x1f')) $$;

CREATE FUNCTION fold_due_people() RETURNS SETOF indicator_person
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT p.* FROM fold_people(ARRAY(SELECT id FROM due_person)) AS p
    WHERE sees_everybody() OR p.team_id = ANY (seen_teams());
END $$;

-- Folds those marked longest ago. One does it at a time: who takes a mark has seen what it was left
-- for, and what came after has a mark of its own.
CREATE FUNCTION settle_people(residents_max integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ids text[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(1595909637) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM due_indicator WHERE id IN (
            SELECT w.id FROM (
                SELECT d.id, sum(cardinality(d.residents)) OVER (ORDER BY d.id)
                             - cardinality(d.residents) AS before
                FROM (SELECT * FROM due_indicator ORDER BY id LIMIT residents_max) AS d) AS w
            WHERE w.before < residents_max)
        RETURNING residents)
    SELECT array_agg(DISTINCT n.id) INTO ids FROM taken, unnest(taken.residents) AS n (id);
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    ids := ids || ARRAY(SELECT m.into_id FROM resident_merge m
                        WHERE m.resident_id = ANY (ids) AND m.unmerged_at IS NULL);
    WITH folded AS MATERIALIZED (SELECT * FROM fold_people(ids)),
    nobody AS (
        DELETE FROM indicator_person p
        WHERE p.resident_id = ANY (ids)
          AND NOT EXISTS (SELECT FROM folded f WHERE f.resident_id = p.resident_id))
    INSERT INTO indicator_person AS p SELECT * FROM folded
    ON CONFLICT (resident_id) DO UPDATE SET
        team_id = EXCLUDED.team_id, birth_date = EXCLUDED.birth_date,
        registered_on = EXCLUDED.registered_on, gone = EXCLUDED.gone,
        hypertension = EXCLUDED.hypertension, diabetes = EXCLUDED.diabetes,
        maternal = EXCLUDED.maternal, tuberculosis = EXCLUDED.tuberculosis,
        severe_mental_disorder = EXCLUDED.severe_mental_disorder,
        disability = EXCLUDED.disability, managed_hypertension = EXCLUDED.managed_hypertension,
        managed_diabetes = EXCLUDED.managed_diabetes, contract_days = EXCLUDED.contract_days,
        contract_since = EXCLUDED.contract_since, contract_packages = EXCLUDED.contract_packages,
        visited_years = EXCLUDED.visited_years, visited = EXCLUDED.visited
    WHERE p.* IS DISTINCT FROM EXCLUDED.*;
    RETURN cardinality(ids);
END $$;
REVOKE EXECUTE ON FUNCTION settle_people FROM PUBLIC;

-- Figures need more than a supervisor may read: whether and since when somebody has a condition, and
-- when they were not followed. Not more of it than that. Who is marked is folded while they are read.
CREATE VIEW indicator_standing WITH (security_barrier) AS
SELECT p.* FROM indicator_person p
WHERE ((SELECT sees_everybody()) OR p.team_id = ANY ((SELECT seen_teams())::text[]))
  AND p.resident_id NOT IN (SELECT id FROM due_person)
UNION ALL
SELECT p.* FROM fold_due_people() AS p;
GRANT SELECT ON indicator_standing TO suifang_api, suifang_api_all;
CREATE INDEX record_of_turns ON record (resident_id, at) WHERE kind IN ('closure', 'return');
GRANT SELECT ON indicator_year TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT, DELETE ON health_check TO suifang_api, suifang_api_all;
GRANT SELECT, INSERT ON indicator_closing, indicator_closed TO suifang_api, suifang_api_all;

-- Readings of other systems ---------------------------------------------------------------------

-- By which identifiers of its own a sender has sent a reading: each stands for one, for ever.
CREATE TABLE observation_identifier (
    gateway_id  text NOT NULL,
    system      text NOT NULL,
    value       text NOT NULL,
    sent_id     uuid NOT NULL,              -- Made from what was sent: other content has another.
    reading_id  uuid NOT NULL,              -- What is stored; of a duplicate the first one.
    received_at timestamptz NOT NULL,
    PRIMARY KEY (gateway_id, system, value)
);
CREATE INDEX observation_identifier_by_reading ON observation_identifier (reading_id);
CREATE INDEX observation_identifier_by_name ON observation_identifier (system, value);
ALTER TABLE observation_identifier ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON observation_identifier FOR SELECT TO suifang_api, suifang_api_all
    USING (EXISTS (SELECT FROM visible_reading r WHERE r.id = reading_id));
CREATE POLICY intake ON observation_identifier TO suifang_api_intake USING (true);
GRANT SELECT ON observation_identifier TO suifang_api, suifang_api_all;

-- What ingest does for one reading, for a transaction of the API that has seen whom it is about.
-- Nobody asks anything else as this role.
CREATE POLICY intake ON resident TO suifang_api_intake USING (true);
CREATE POLICY intake ON resident_condition FOR SELECT TO suifang_api_intake USING (true);
CREATE POLICY intake ON alert TO suifang_api_intake USING (true);
CREATE POLICY intake ON amendment FOR SELECT TO suifang_api_intake USING (true);
CREATE POLICY intake ON outbox FOR INSERT TO suifang_api_intake WITH CHECK (true);
CREATE POLICY intake ON team FOR SELECT TO suifang_api_intake USING (true);
CREATE POLICY intake ON centre FOR SELECT TO suifang_api_intake USING (true);
GRANT SELECT ON retention, gateway, team, centre, resident_condition, amendment
    TO suifang_api_intake;
GRANT SELECT, INSERT ON resident, reading_key, reading_held, duplicate, alert
    TO suifang_api_intake;
GRANT SELECT, INSERT ON reading TO suifang_api_intake;
GRANT SELECT, INSERT, UPDATE ON quarantine, gateway_day TO suifang_api_intake;
GRANT SELECT, INSERT, UPDATE, DELETE ON observation_identifier TO suifang_api_intake;
GRANT INSERT ON due_mark, outbox TO suifang_api_intake;
GRANT EXECUTE ON FUNCTION audit_write TO suifang_api_intake;

-- Operations ------------------------------------------------------------------------------------

-- What a gateway said of itself last, and its devices with it. Nothing in it is of a resident.
CREATE TABLE gateway_status (
    gateway_id         text PRIMARY KEY REFERENCES gateway,
    online             boolean NOT NULL,
    heard_at           timestamptz NOT NULL,  -- Ingest's clock: when it said so.
    said_at            timestamptz,           -- The gateway's clock; NULL: only its last will is known.
    version            text,
    refusing           text,                  -- Terminals are told busy, with this code.
    problems           text[] NOT NULL,
    spool_rows         bigint,                -- Readings on the box without a receipt.
    spool_rows_max     bigint,
    spool_bytes        bigint,
    spool_bytes_max    bigint,
    spool_oldest_at    timestamptz,           -- When the oldest of them was captured.
    clock_known        boolean,
    clock_synchronised boolean,
    clock_error_ms     bigint,                -- Upper bound; NULL: nobody knows.
    clock_offset_ms    bigint,                -- The machine's clock minus the time of its stamps.
    certificate_until  timestamptz,
    accepted           bigint,                -- Readings taken since the spool was made,
    lost               bigint,                -- and those that the disk did not keep.
    devices_unlisted   bigint NOT NULL
);
CREATE TABLE device_status (
    gateway_id      text NOT NULL REFERENCES gateway_status ON DELETE CASCADE,
    device_id       text NOT NULL,
    name            text NOT NULL,
    last_seen       timestamptz,              -- NULL, here and below: never told.
    battery_percent smallint,
    clock_offset_s  bigint,                   -- The device's clock minus the gateway's.
    calibration_due date,                     -- The last day on which it is valid.
    PRIMARY KEY (gateway_id, device_id)
);

-- The flow every few seconds, for charts of the last two days. Written by one API of all.
CREATE TABLE flow_sample (
    at              timestamptz PRIMARY KEY,
    day             date NOT NULL,            -- UTC.
    stored          bigint NOT NULL,          -- Of that day until now, all gateways.
    duplicate       bigint NOT NULL,
    quarantined     bigint NOT NULL,
    spool_rows      bigint NOT NULL,          -- On all boxes, as they said last.
    spool_oldest_s  double precision NOT NULL,
    feed_oldest_s   double precision NOT NULL -- The oldest event without a number.
);
CREATE INDEX gateway_day_by_day ON gateway_day (day);

-- What operators may, whom no route gives anything of a resident: a transaction of the API becomes
-- this role after it has seen that its principal may.
CREATE POLICY operations ON centre FOR SELECT TO suifang_api_operations USING (true);
CREATE POLICY operations ON package FOR SELECT TO suifang_api_operations USING (true);
GRANT SELECT ON centre, package, gateway, device, gateway_status, device_status, gateway_day,
    gateway_retired, flow_sample, quarantine TO suifang_api_operations;
GRANT SELECT (id, gateway_id, centre_id, issued_at, expires_at, used_at) ON enrolment_token
    TO suifang_api_operations;
GRANT INSERT, DELETE ON enrolment_token TO suifang_api_operations;
GRANT SELECT (serial, gateway_id, issued_at, expires_at, revoked_at, revoked_because)
    ON gateway_certificate TO suifang_api_operations;
GRANT UPDATE (revoked_at, revoked_because) ON gateway, gateway_certificate
    TO suifang_api_operations;
GRANT UPDATE (resolution, resolved_at, dropped_by, dropped_because) ON quarantine
    TO suifang_api_operations;
GRANT EXECUTE ON FUNCTION audit_write TO suifang_api_operations;
GRANT SELECT ON gateway_day, gateway_status TO suifang_api_process;
GRANT SELECT, INSERT, DELETE ON flow_sample TO suifang_api_process;
-- A replay asked for by a page does what ingest does; of late contexts, too.
CREATE POLICY intake_files ON amendment FOR INSERT TO suifang_api_intake
    WITH CHECK (kind = 'context' AND gateway_id IS NOT NULL);
GRANT INSERT ON amendment TO suifang_api_intake;
GRANT SELECT, INSERT ON due_context TO suifang_api_intake;
SELECT audit_table('gateway', 'id', 'thing'),
       audit_table('enrolment_token', 'gateway_id', 'thing');

-- Processes ---------------------------------------------------------------------------------------

-- Processes see everybody whom their grants let them see: policies are about people who ask.
CREATE POLICY processes ON resident
    TO suifang_ingest, suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON resident_condition FOR SELECT
    TO suifang_ingest, suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON centre FOR SELECT
    TO suifang_ingest, suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON team FOR SELECT
    TO suifang_ingest, suifang_judge, suifang_maintenance, suifang_notify, suifang_deliver
    USING (true);
CREATE POLICY processes ON alert
    TO suifang_ingest, suifang_judge, suifang_maintenance, suifang_notify USING (true);
CREATE POLICY processes ON amendment
    TO suifang_ingest, suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON outbox
    TO suifang_ingest, suifang_judge, suifang_dispatch, suifang_notify, suifang_maintenance
    USING (true);
CREATE POLICY processes ON contract FOR SELECT TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON package FOR SELECT TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON record TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON contract_turn TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON contract_due TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON registry_entry TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON registry_change FOR SELECT
    TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON resident_merge FOR SELECT
    TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON resident_case TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON case_transition TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON indicator_year TO suifang_judge, suifang_maintenance USING (true);
CREATE POLICY processes ON alert_attention TO suifang_notify USING (true);
CREATE POLICY processes ON alert_history TO suifang_notify USING (true);
CREATE POLICY processes ON staff FOR SELECT TO suifang_notify USING (true);
CREATE POLICY processes ON staff_team FOR SELECT TO suifang_notify USING (true);
CREATE POLICY processes ON staff_contact TO suifang_notify USING (true);
CREATE POLICY processes ON duty_hours FOR SELECT TO suifang_notify USING (true);
CREATE POLICY processes ON message TO suifang_notify USING (true);
CREATE POLICY processes ON message_attempt TO suifang_notify USING (true);
CREATE POLICY processes ON notification TO suifang_notify USING (true);

-- Ingest stores what terminals measured and raises what cannot wait.
GRANT SELECT ON retention, gateway, centre, team, resident_condition TO suifang_ingest;
GRANT SELECT (id, team_id, birth_date, enrolled_on), INSERT (id, stub, created_at) ON resident
    TO suifang_ingest;
GRANT SELECT, INSERT ON reading TO suifang_ingest;
GRANT SELECT, INSERT ON reading_key, reading_held, duplicate, amendment, alert TO suifang_ingest;
GRANT SELECT, INSERT, UPDATE ON quarantine, gateway_day TO suifang_ingest;
GRANT INSERT ON due_mark, due_batch, due_context, outbox TO suifang_ingest;
GRANT SELECT, INSERT, UPDATE ON gateway_status TO suifang_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON device_status TO suifang_ingest;

-- The judge reads what the rules know of, and writes cases, alerts and when to look again. Retention
-- judges everybody once more before it lets go.
GRANT SELECT ON centre, team, resident_condition, package, contract, amendment, resident_merge,
    reading, reading_held, reading_key, reading_owner, stored_reading, owned_reading,
    resident_checkpoint TO suifang_judge, suifang_maintenance;
GRANT SELECT (id, team_id, birth_date, enrolled_on), INSERT (id, stub, created_at) ON resident
    TO suifang_judge, suifang_maintenance;
GRANT SELECT (kind, id, version, author) ON registry_change TO suifang_judge, suifang_maintenance;
GRANT SELECT, INSERT, UPDATE (version) ON registry_entry TO suifang_judge, suifang_maintenance;
GRANT SELECT, INSERT ON record, contract_turn TO suifang_judge, suifang_maintenance;
GRANT SELECT, INSERT, UPDATE ON resident_case, alert, resident_fold
    TO suifang_judge, suifang_maintenance;
GRANT INSERT ON case_transition, outbox TO suifang_judge, suifang_maintenance;
GRANT SELECT, INSERT, UPDATE, DELETE ON due_mark, due_timer, contract_due, indicator_year
    TO suifang_judge, suifang_maintenance;
GRANT SELECT, UPDATE, DELETE ON due_batch, due_context, due_unclaimed
    TO suifang_judge, suifang_maintenance;
GRANT EXECUTE ON FUNCTION settle_people TO suifang_judge;

-- The dispatcher numbers; what is told it cannot read.
GRANT SELECT (id, number), UPDATE (number) ON outbox TO suifang_dispatch;

-- The notifier tells staff of alerts. No resident but by the pseudonym in an alert, no reading.
GRANT SELECT ON alert, team, staff, staff_team, duty_hours TO suifang_notify;
GRANT SELECT, UPDATE (digest_until) ON staff_contact TO suifang_notify;
GRANT SELECT, INSERT, UPDATE ON alert_attention, message, message_attempt TO suifang_notify;
GRANT SELECT, INSERT ON alert_history, notification TO suifang_notify;
GRANT INSERT ON outbox TO suifang_notify;

-- The deliverer reads the feed as each subscription's owner sees it, and nothing else of anyone.
GRANT SELECT (id, team_id) ON resident TO suifang_deliver_own, suifang_deliver_all;
GRANT SELECT ON outbox TO suifang_deliver_own, suifang_deliver_all;
GRANT SELECT ON team, webhook, webhook_secret TO suifang_deliver;
GRANT SELECT (client, role, scopes, team_ids, centre_ids, expires_at, revoked_at) ON api_key
    TO suifang_deliver;
GRANT UPDATE (after, failures, failing_since, next_at, parked_at, parked_because,
    last_delivered_at, last_problem) ON webhook TO suifang_deliver;
GRANT EXECUTE ON FUNCTION audit_write TO suifang_deliver;

-- Retention lets readings go, and tidying rewrites months. Both need to own what they do it to: these
-- functions do no more of it than is said to be let go, and than is past. The role itself deletes nothing.
GRANT SELECT ON retention, gateway_retired, retention_floor TO suifang_maintenance;
GRANT UPDATE (retired) ON amendment TO suifang_maintenance;
GRANT INSERT, UPDATE ON resident_checkpoint TO suifang_maintenance;
GRANT SELECT (reason) ON quarantine TO suifang_maintenance;
CREATE POLICY processes ON webhook FOR SELECT TO suifang_maintenance USING (true);
GRANT SELECT (after, enabled, parked_at) ON webhook TO suifang_maintenance;
GRANT SELECT (number, created_at) ON outbox TO suifang_maintenance;

-- From when on readings are kept: so many days before the last one on which something came. Those days
-- are written by ingest; who lets readings go cannot move them. NULL: nothing came yet.
CREATE FUNCTION readings_kept_from() RETURNS timestamptz
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT (max(day) - coalesce((SELECT days FROM retention_floor), 91))::timestamp
           AT TIME ZONE 'UTC'
    FROM gateway_day $$;

CREATE FUNCTION announce_retention(wanted timestamptz, at timestamptz) RETURNS timestamptz
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (wanted <= readings_kept_from()) IS NOT TRUE THEN
        RAISE EXCEPTION 'readings that are kept are not let go'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(1595909632);  -- As ingest.db.storing does: nobody is storing.
    INSERT INTO retention (edge, set_at) VALUES (wanted, at)
    ON CONFLICT (single) DO UPDATE SET edge = EXCLUDED.edge, set_at = EXCLUDED.set_at
    WHERE retention.edge < EXCLUDED.edge;
    RETURN (SELECT edge FROM retention);
END $$;

-- Moved, not deleted: also what comes now with an id of that time, for ingest. Planned anew each time:
-- only then chunks behind the edge are not looked at.
CREATE FUNCTION hold_readings(ids uuid[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE 'WITH moved AS (
                 DELETE FROM reading WHERE id = ANY ($1) AND partition_at < $2 RETURNING *)
             INSERT INTO reading_held SELECT * FROM moved'
    USING ids, (SELECT edge FROM retention);
END $$;

CREATE FUNCTION release_readings(ids uuid[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (
        DELETE FROM reading_held
        WHERE id = ANY (ids) AND received_at < readings_kept_from() RETURNING gateway_id),
    counted AS (
        INSERT INTO gateway_retired (gateway_id, readings)
        SELECT gateway_id, count(*) FROM gone GROUP BY gateway_id ORDER BY gateway_id
        ON CONFLICT (gateway_id) DO UPDATE
        SET readings = gateway_retired.readings + EXCLUDED.readings)
    SELECT count(*) FROM gone $$;

-- Counted by the caller beforehand, while writers go on: in front of the edge it only gets less.
CREATE FUNCTION drop_retired_readings(
    older_than timestamptz, gateways text[], counts bigint[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF (older_than <= (SELECT edge FROM retention) AND older_than <= readings_kept_from())
       IS NOT TRUE THEN
        RAISE EXCEPTION 'readings that are kept are not dropped'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(1595909632);
    INSERT INTO gateway_retired AS g (gateway_id, readings)
    SELECT n.id, n.many FROM unnest(gateways, counts) AS n (id, many) ORDER BY 1
    ON CONFLICT (gateway_id) DO UPDATE SET readings = g.readings + EXCLUDED.readings;
    PERFORM drop_chunks('reading', older_than => drop_retired_readings.older_than);
END $$;

-- A key outlives its reading unless the same measurement, should it come again under another id, has the
-- same effective time, and so falls before the checkpoint: without a clock it would count as taken on
-- the day it comes, and the next correction of a clock may be another one.
CREATE FUNCTION forget_reading_keys(device text, rule text, resident text, rows_max integer)
    RETURNS TABLE (last_device text, last_rule text, last_resident text, forgotten bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    kept_from timestamptz := (SELECT edge FROM retention);
BEGIN
    RETURN QUERY EXECUTE
        'WITH page AS (
             SELECT device_id, rule_key, resident_id, reading_id FROM reading_key
             WHERE (device_id, rule_key, resident_id) > ($1, $2, $3)
             ORDER BY device_id, rule_key, resident_id LIMIT $4),
         gone AS (
             DELETE FROM reading_key k USING page p JOIN reading r ON r.id = p.reading_id
             WHERE (k.device_id, k.rule_key, k.resident_id)
                   = (p.device_id, p.rule_key, p.resident_id)
               AND r.partition_at < $5 AND p.reading_id < $6
               AND r.effective_at = r.measured_at AND NOT r.time_suspect
             RETURNING 1)
         SELECT device_id, rule_key, resident_id, (SELECT count(*) FROM gone) FROM page
         ORDER BY device_id DESC, rule_key DESC, resident_id DESC LIMIT 1'
    USING device, rule, resident, rows_max, kept_from,  -- And the lowest id of that time.
        (lpad(to_hex(greatest(extract(epoch FROM kept_from) * 1000, 0)::bigint), 12, '0')
         || repeat('0', 20))::uuid;
END $$;

-- Old events of the feed from the front on; half a year is kept whatever the caller says.
CREATE FUNCTION prune_events(before timestamptz, rows_max integer) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH head AS (
        SELECT number, created_at FROM outbox WHERE number IS NOT NULL
        ORDER BY number DESC LIMIT 1),
    bound AS (
        SELECT least(h.number - 1,
                     (SELECT min(after) FROM webhook WHERE enabled AND parked_at IS NULL)) AS last,
               least(prune_events.before, INTERVAL '-183 days' + coalesce(
                   (SELECT max(day) FROM gateway_day)::timestamp AT TIME ZONE 'UTC',
                   h.created_at)) AS before
        FROM head h),
    page AS (
        SELECT number, created_at FROM outbox
        WHERE number <= (SELECT last FROM bound) ORDER BY number LIMIT rows_max),
    kept AS (
        SELECT min(number) AS first FROM page
        WHERE created_at >= (SELECT bound.before FROM bound)),
    gone AS (
        DELETE FROM outbox WHERE number IN (
            SELECT number FROM page, kept WHERE kept.first IS NULL OR number < kept.first)
        RETURNING 1)
    SELECT count(*) FROM gone $$;
REVOKE EXECUTE ON FUNCTION readings_kept_from, announce_retention, hold_readings,
    release_readings, drop_retired_readings, forget_reading_keys, prune_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION readings_kept_from, announce_retention, hold_readings,
    release_readings, drop_retired_readings, forget_reading_keys, prune_events TO suifang_maintenance;
GRANT EXECUTE ON FUNCTION hold_readings TO suifang_ingest, suifang_api_intake;

CREATE FUNCTION tidy_readings(chunk_schema name, chunk_name name, index_name name) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM timescaledb_information.chunks c
                   WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'reading'
                     AND c.chunk_schema = tidy_readings.chunk_schema
                     AND c.chunk_name = tidy_readings.chunk_name) THEN
        RAISE EXCEPTION 'these are no readings' USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('CLUSTER %I.%I USING %I', chunk_schema, chunk_name, index_name);
    EXECUTE format('ANALYZE %I.%I', chunk_schema, chunk_name);
END $$;
REVOKE EXECUTE ON FUNCTION tidy_readings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tidy_readings TO suifang_maintenance;

-- Back-tests that a page asks for read histories and can change nothing.
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

-- A function is everybody's until it is taken from them. Also those that triggers call: on a table of
-- their own anybody could have them called with rows of their own.
REVOKE EXECUTE ON FUNCTION note_merged_team, move_merged_resident, stay_with_survivor, follow_amendment,
    attend_new_alert, reopen_alert, look_at_moved_alert, place_with_resident, follow_new_resident,
    follow_moved_resident, tell_moved_team, audit_change, audit_is_append_only, closed_is_closed,
    closed_with_its_closing, mark_people, mark_registered_people, mark_merged_people,
    mark_turned_people, mark_visited_people FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION adopt_stubs, hold_folds, is_settled, is_merge_settled, is_folded_since,
    is_word_unjudged, is_strangers, fold_due_people, followups_of_packages, has_team, feed_head,
    feed_floor, notify_lag FROM PUBLIC;
GRANT EXECUTE ON FUNCTION adopt_stubs, hold_folds, is_settled, is_merge_settled, is_folded_since,
    is_word_unjudged, fold_due_people, followups_of_packages TO suifang_api, suifang_api_all;
GRANT EXECUTE ON FUNCTION is_strangers TO suifang_api;
GRANT EXECUTE ON FUNCTION has_team TO suifang_api, suifang_deliver_own;
GRANT EXECUTE ON FUNCTION feed_head, feed_floor
    TO suifang_api, suifang_api_all, suifang_api_process, suifang_deliver, suifang_deliver_own,
    suifang_deliver_all;
GRANT EXECUTE ON FUNCTION feed_floor TO suifang_maintenance;
GRANT EXECUTE ON FUNCTION notify_lag TO suifang_api_process, suifang_notify;
