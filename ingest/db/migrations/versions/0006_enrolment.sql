-- 0006 Who a gateway is: one-time tokens, the certificates given for them, revocation.

ALTER TABLE gateway
    ADD COLUMN revoked_at timestamptz,
    ADD COLUMN revoked_because text,
    ADD CONSTRAINT gateway_revoked_says_why CHECK (
        (revoked_at IS NULL) = (revoked_because IS NULL));

CREATE TABLE enrolment_token (
    id          text PRIMARY KEY,
    secret_hash bytea NOT NULL,
    gateway_id  text NOT NULL,
    centre_id   text NOT NULL REFERENCES centre,
    issued_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    CHECK (expires_at > issued_at)
);
CREATE INDEX enrolment_token_by_gateway ON enrolment_token (gateway_id);

CREATE TABLE gateway_certificate (
    serial          text PRIMARY KEY,
    gateway_id      text NOT NULL REFERENCES gateway,
    fingerprint     bytea NOT NULL UNIQUE,
    key_hash        bytea NOT NULL,
    certificate     text NOT NULL,
    issued_at       timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    token_id        text UNIQUE REFERENCES enrolment_token,
    renews          text UNIQUE REFERENCES gateway_certificate,
    revoked_at      timestamptz,
    revoked_because text,
    CONSTRAINT gateway_certificate_has_one_ground CHECK ((token_id IS NULL) <> (renews IS NULL)),
    CONSTRAINT gateway_certificate_revoked_says_why CHECK (
        (revoked_at IS NULL) = (revoked_because IS NULL))
);
CREATE INDEX gateway_certificate_by_gateway ON gateway_certificate (gateway_id);
