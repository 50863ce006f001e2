-- Subscriptions and their secrets go.
DROP TABLE webhook_secret, webhook;
DROP POLICY own ON outbox;
DROP POLICY everybody ON outbox;
DROP POLICY told ON outbox;
CREATE POLICY own ON outbox FOR SELECT TO suifang_api
    USING (EXISTS (SELECT FROM resident r WHERE r.id = payload ->> 'resident_id')
           OR (payload ->> 'resident_id' IS NULL
               AND payload ->> 'team_id' = ANY ((SELECT seen_teams())::text[]))
           OR (payload ->> 'centre_id' = ANY ((SELECT seen_centres())::text[])
               AND CASE WHEN payload ->> 'resident_id' IS NULL THEN payload ->> 'team_id' IS NULL
                        ELSE NOT has_team(payload ->> 'resident_id') END));
CREATE POLICY told ON outbox FOR INSERT TO suifang_api WITH CHECK (true);
CREATE POLICY everybody ON outbox TO suifang_api_all USING (true);
