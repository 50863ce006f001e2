-- Gateways that were revoked are accepted again, and nobody knows who has which certificate.
DROP TABLE gateway_certificate;
DROP TABLE enrolment_token;
ALTER TABLE gateway
    DROP CONSTRAINT gateway_revoked_says_why,
    DROP COLUMN revoked_at, DROP COLUMN revoked_because;
