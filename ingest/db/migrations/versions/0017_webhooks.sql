-- 0017 Webhooks: subscriptions, their secrets, how far each has come. Who sees no measured values
-- sees alerts and cases in the feed, and nothing else that is told since.

CREATE TABLE webhook (
    number            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner             text NOT NULL,
    id                text NOT NULL,
    url               text NOT NULL,
    kinds             text[],
    description       text NOT NULL,
    enabled           boolean NOT NULL,
    reach             jsonb NOT NULL,
    created_at        timestamptz NOT NULL,
    changed_at        timestamptz NOT NULL,
    after             bigint NOT NULL,
    epoch             integer NOT NULL DEFAULT 0,
    failures          integer NOT NULL DEFAULT 0,
    failing_since     timestamptz,
    next_at           timestamptz,
    parked_at         timestamptz,
    parked_because    text CHECK (parked_because IN ('failing', 'gone', 'owner')),
    last_delivered_at timestamptz,
    last_problem      text,
    UNIQUE (owner, id),
    CONSTRAINT webhook_parked_says_why CHECK ((parked_at IS NULL) = (parked_because IS NULL))
);
CREATE TABLE webhook_secret (
    webhook    bigint NOT NULL REFERENCES webhook ON DELETE CASCADE,
    id         text NOT NULL,
    key_id     text,
    content    bytea NOT NULL,
    made_at    timestamptz NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (webhook, id)
);
ALTER TABLE webhook ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook TO suifang_api, suifang_api_all
    USING (owner = current_setting('suifang.subject', true));
CREATE POLICY process ON webhook TO suifang_api_process USING (true);
ALTER TABLE webhook_secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook_secret TO suifang_api, suifang_api_all
    USING (EXISTS (SELECT FROM webhook w WHERE w.number = webhook));
CREATE POLICY process ON webhook_secret FOR SELECT TO suifang_api_process USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook, webhook_secret TO suifang_api, suifang_api_all;
GRANT SELECT ON webhook, webhook_secret TO suifang_api_process;
GRANT UPDATE (after, failures, failing_since, next_at, parked_at, parked_because,
    last_delivered_at, last_problem) ON webhook TO suifang_api_process;
SELECT audit_table('webhook', 'id', 'thing');

DROP POLICY own ON outbox;
DROP POLICY everybody ON outbox;
CREATE POLICY own ON outbox FOR SELECT TO suifang_api
    USING (((SELECT sees_measured()) OR kind LIKE 'alert.%' OR kind LIKE 'case.%')
      AND (EXISTS (SELECT FROM resident r WHERE r.id = payload ->> 'resident_id')
           OR (payload ->> 'resident_id' IS NULL
               AND payload ->> 'team_id' = ANY ((SELECT seen_teams())::text[]))
           OR (payload ->> 'centre_id' = ANY ((SELECT seen_centres())::text[])
               AND CASE WHEN payload ->> 'resident_id' IS NULL THEN payload ->> 'team_id' IS NULL
                        ELSE NOT has_team(payload ->> 'resident_id') END)));
CREATE POLICY everybody ON outbox FOR SELECT TO suifang_api_all
    USING ((SELECT sees_measured()) OR kind LIKE 'alert.%' OR kind LIKE 'case.%');
DROP POLICY told ON outbox;
CREATE POLICY told ON outbox FOR INSERT TO suifang_api, suifang_api_all WITH CHECK (true);
