-- 0002 What people record, correct and agree; alerts and cases that rest on more than readings.

ALTER TABLE centre ADD COLUMN profile text;
ALTER TABLE resident ADD COLUMN enrolled_on date;

CREATE TABLE package (
    id      text PRIMARY KEY,
    name    text NOT NULL,
    profile text
);

CREATE TABLE contract (
    id          text PRIMARY KEY,
    resident_id text NOT NULL REFERENCES resident,
    package_id  text NOT NULL REFERENCES package,
    since       date NOT NULL,
    until       date,
    CHECK (until >= since)
);
CREATE INDEX contract_by_resident ON contract (resident_id);

CREATE TABLE record (
    id          uuid PRIMARY KEY,
    number      bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    resident_id text NOT NULL REFERENCES resident,
    condition   text CHECK (condition IN ('hypertension', 'diabetes')),
    kind        text NOT NULL
                CHECK (kind IN ('visit', 'referral_followup', 'override', 'closure', 'return')),
    at          timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    mode        text NOT NULL CHECK (mode IN ('clinic', 'home', 'phone')),
    findings    text[] NOT NULL,
    state       text,
    due         date,
    reason      text CHECK (reason IN ('death', 'moved', 'contract_ended')),
    outcome     text,
    author      text NOT NULL,
    note        text,
    CONSTRAINT record_has_what_its_kind_needs CHECK (
        (kind = 'override') = (state IS NOT NULL) AND (kind = 'closure') = (reason IS NOT NULL)),
    CONSTRAINT record_is_not_of_the_future CHECK (at <= received_at + INTERVAL '5 minutes')
);
CREATE INDEX record_by_resident ON record (resident_id, at);

CREATE TABLE amendment (
    id              uuid PRIMARY KEY,
    number          bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind            text NOT NULL CHECK (kind IN ('correction', 'retraction', 'context')),
    reading_id      uuid,
    device_id       text,
    boot_id         text,
    device_sequence bigint,
    changes         jsonb NOT NULL,
    author          text NOT NULL,
    reason          text,
    received_at     timestamptz NOT NULL,
    CONSTRAINT amendment_names_a_reading CHECK (
        CASE kind WHEN 'context' THEN device_id IS NOT NULL AND device_sequence IS NOT NULL
                                      AND reading_id IS NULL
                  ELSE reading_id IS NOT NULL AND device_id IS NULL END)
);
CREATE INDEX amendment_by_reading ON amendment (reading_id);
CREATE INDEX amendment_by_sequence ON amendment (device_id, device_sequence)
    WHERE kind = 'context';
CREATE INDEX amendment_by_resident ON amendment ((changes ->> 'resident_id'))
    WHERE changes ? 'resident_id';

ALTER TABLE resident_fold ADD COLUMN high_normal_on date;

ALTER TABLE resident_case RENAME COLUMN anchor_reading_id TO anchor_id;
ALTER TABLE resident_case
    ADD COLUMN anchor_kind text CHECK (anchor_kind IN ('reading', 'record', 'resident')),
    ADD COLUMN cause text;
UPDATE resident_case SET anchor_kind = 'reading' WHERE anchor_id IS NOT NULL;

ALTER TABLE case_transition RENAME COLUMN anchor_reading_id TO anchor_id;
ALTER TABLE case_transition
    ADD COLUMN anchor_kind text CHECK (anchor_kind IN ('reading', 'record', 'resident')),
    ADD COLUMN cause text,
    ADD COLUMN threshold text,
    ADD COLUMN input_ids uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN explanation jsonb;
UPDATE case_transition SET anchor_kind = 'reading' WHERE anchor_id IS NOT NULL;

ALTER TABLE alert RENAME COLUMN anchor_reading_id TO anchor_id;
ALTER TABLE alert
    ADD COLUMN anchor_kind text NOT NULL DEFAULT 'reading'
               CHECK (anchor_kind IN ('reading', 'record', 'resident')),
    ADD COLUMN explanation jsonb,
    ALTER COLUMN centre_id DROP NOT NULL;
ALTER TABLE alert ALTER COLUMN anchor_kind DROP DEFAULT;
CREATE INDEX alert_unclaimed ON alert (anchor_id) WHERE resident_id IS NULL;
