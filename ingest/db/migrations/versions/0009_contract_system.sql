-- 0009 What the contract system writes: a version for every state, staff, contracts that end,
-- names and ID numbers under a key per resident.

CREATE TABLE registry_entry (
    kind    text NOT NULL
            CHECK (kind IN ('centre', 'team', 'staff', 'package', 'resident', 'contract')),
    id      text NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE TABLE registry_change (
    kind        text NOT NULL,
    id          text NOT NULL,
    version     integer NOT NULL,
    resident_id text,
    author      text NOT NULL,
    at          timestamptz,
    content     jsonb NOT NULL,
    PRIMARY KEY (kind, id, version)
);

CREATE TABLE staff (
    id        text PRIMARY KEY,
    centre_id text NOT NULL REFERENCES centre,
    role      text NOT NULL
              CHECK (role IN ('doctor', 'nurse', 'public_health', 'pharmacist', 'assistant')),
    subject   text,
    since     date NOT NULL,
    until     date,
    CHECK (until >= since)
);
CREATE TABLE staff_team (
    staff_id text NOT NULL REFERENCES staff,
    team_id  text NOT NULL REFERENCES team,
    PRIMARY KEY (staff_id, team_id)
);
CREATE INDEX staff_by_team ON staff_team (team_id);

ALTER TABLE package ADD COLUMN followups_per_year integer CHECK (followups_per_year >= 0);

ALTER TABLE contract
    ADD COLUMN signed_on date,
    ADD COLUMN follows text,
    ADD COLUMN followed_as text CHECK (followed_as IN ('renewal', 'switch')),
    ADD COLUMN ended_on date,
    ADD COLUMN end_reason text CHECK (end_reason IN (
        'death', 'moved', 'switched', 'resident_request', 'team_request', 'other')),
    ADD COLUMN referral_hospitals jsonb NOT NULL DEFAULT '[]',
    ADD CONSTRAINT contract_end_has_its_reason CHECK (
        (ended_on IS NULL) = (end_reason IS NULL)),
    ADD CONSTRAINT contract_follows_as_something CHECK (
        (follows IS NULL) = (followed_as IS NULL));
CREATE INDEX contract_by_package ON contract (package_id);

CREATE TABLE contract_turn (
    record_id   uuid PRIMARY KEY REFERENCES record,
    number      integer NOT NULL,
    resident_id text NOT NULL REFERENCES resident,
    contract_id text NOT NULL REFERENCES contract,
    kind        text NOT NULL CHECK (kind IN ('closure', 'return')),
    at          timestamptz NOT NULL,
    UNIQUE (resident_id, number)
);
CREATE TABLE contract_due (
    resident_id text PRIMARY KEY REFERENCES resident,
    due_at      timestamptz NOT NULL
);
CREATE INDEX contract_due_by_time ON contract_due (due_at);

CREATE TABLE resident_key (
    resident_id text PRIMARY KEY REFERENCES resident,
    key_id      text NOT NULL,
    wrapped     bytea,
    made_at     timestamptz NOT NULL,
    erased_at   timestamptz,
    erased_by   text,
    CONSTRAINT resident_key_is_there_or_erased CHECK (
        (wrapped IS NULL) = (erased_at IS NOT NULL)
        AND (erased_by IS NULL) = (erased_at IS NULL))
);
CREATE INDEX resident_key_by_key ON resident_key (key_id, resident_id) WHERE wrapped IS NOT NULL;
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
-- Nobody judges these until the transaction ends, or has judged them before it goes on: a team that
-- changes moves cases and alerts, which the judge locks in an order of its own.
CREATE FUNCTION hold_folds(ids text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO resident_fold (resident_id, folded_at)
    SELECT r.id, '-infinity' FROM resident r WHERE r.id = ANY (ids) ORDER BY r.id
    ON CONFLICT DO NOTHING;
    SELECT FROM resident_fold WHERE resident_id = ANY (ids) ORDER BY resident_id FOR UPDATE $$;

-- What is there already is version 1, by nobody known, at no time known.
CREATE TEMP TABLE known ON COMMIT DROP AS
SELECT 'centre' AS kind, id, NULL::text AS resident_id,
       jsonb_build_object('name', name, 'profile', profile) AS content FROM centre
UNION ALL
SELECT 'team', id, NULL, jsonb_build_object('name', name, 'centre_id', centre_id) FROM team
UNION ALL
SELECT 'package', id, NULL,
       jsonb_build_object('name', name, 'profile', profile, 'followups_per_year', NULL)
FROM package
UNION ALL
SELECT 'contract', id, resident_id,
       jsonb_build_object('resident_id', resident_id, 'package_id', package_id,
                          'signed_on', NULL, 'since', since, 'until', until,
                          'follows', NULL, 'followed_as', NULL, 'ended_on', NULL,
                          'end_reason', NULL, 'referral_hospitals', '[]'::jsonb)
FROM contract
UNION ALL
SELECT 'resident', id, id,
       jsonb_build_object('team_id', team_id, 'birth_date', birth_date, 'sex', sex,
                          'enrolled_on', enrolled_on, 'personal', NULL,
                          'conditions', coalesce((
           SELECT jsonb_agg(jsonb_build_object('condition', condition, 'since', since,
                                               'until', until)
                            ORDER BY condition COLLATE "C", since)
           FROM resident_condition d WHERE d.resident_id = r.id), '[]'))
FROM resident r WHERE NOT stub;
INSERT INTO registry_entry (kind, id, version) SELECT kind, id, 1 FROM known;
INSERT INTO registry_change (kind, id, version, resident_id, author, content)
SELECT kind, id, 1, resident_id, 'before history was kept', content FROM known;
