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
    kind        text NOT NULL
                CHECK (kind IN ('visit', 'referral_followup', 'override', 'closure', 'return')),
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
    CONSTRAINT record_has_what_its_kind_needs CHECK (
        (kind = 'override') = (state IS NOT NULL) AND (kind = 'closure') = (reason IS NOT NULL)),
    CONSTRAINT record_is_not_of_the_future CHECK (at <= received_at + INTERVAL '5 minutes')
);
CREATE INDEX record_by_resident ON record (resident_id, at);

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
    kind            text NOT NULL CHECK (kind IN ('correction', 'retraction', 'context')),
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
    CONSTRAINT amendment_names_a_reading CHECK (
        CASE kind WHEN 'context' THEN device_id IS NOT NULL AND device_sequence IS NOT NULL
                                      AND reading_id IS NULL
                  ELSE reading_id IS NOT NULL AND device_id IS NULL END),
    CONSTRAINT amendment_of_a_gateway_is_a_context CHECK (
        (gateway_id IS NULL) = (content_hash IS NULL)
        AND (gateway_id IS NULL OR kind = 'context'))
);
CREATE INDEX amendment_by_reading ON amendment (reading_id);
CREATE INDEX amendment_by_sequence ON amendment (device_id, device_sequence)
    WHERE kind = 'context';
CREATE INDEX amendment_by_resident ON amendment ((changes ->> 'resident_id'))
    WHERE changes ? 'resident_id';

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

-- Readings with an id before the edge that must stay: something open rests on them or on what
-- came before them, or the gateway's clock was wrong. Never also in `reading`.
CREATE TABLE reading_held (LIKE reading INCLUDING CONSTRAINTS);
ALTER TABLE reading_held ADD PRIMARY KEY (id);
CREATE INDEX reading_held_by_resident ON reading_held (resident_id, effective_at);

CREATE VIEW stored_reading AS
SELECT * FROM reading UNION ALL SELECT * FROM reading_held;

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
    PRIMARY KEY (resident_id, condition)
);

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
    explanation     jsonb                     -- {record, zh, en}
);
CREATE INDEX alert_by_resident ON alert (resident_id, condition, code);
CREATE INDEX alert_unclaimed ON alert (anchor_id) WHERE resident_id IS NULL;

-- Written unnumbered in the transaction that made the event; one elected dispatcher numbers
-- the committed ones, so readers see one gap-free sequence and can resume anywhere.
CREATE TABLE outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number     bigint UNIQUE,
    kind       text NOT NULL,                 -- 'alert.raised', 'alert.changed', 'case.changed'
    payload    jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX outbox_unnumbered ON outbox (id) WHERE number IS NULL;
