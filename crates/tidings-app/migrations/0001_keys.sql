CREATE TABLE command_keys (
    org TEXT NOT NULL,
    user_id TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body BYTEA NOT NULL,
    reply TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (org, user_id, idempotency_key)
);
CREATE INDEX command_keys_by_age ON command_keys (at_ms);
