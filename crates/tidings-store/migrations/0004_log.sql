CREATE TABLE log_orgs (
    org TEXT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL
);

CREATE TABLE log_events (
    room_id BIGINT NOT NULL,
    place BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    node BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    event TEXT NOT NULL,
    data BYTEA NOT NULL,
    attachments BYTEA,
    bytes BIGINT NOT NULL,
    checksum BIGINT NOT NULL,
    PRIMARY KEY (room_id, place)
);

CREATE TABLE log_keys (
    room_id BIGINT NOT NULL,
    idempotency_key TEXT NOT NULL,
    body BYTEA NOT NULL,
    place BIGINT NOT NULL,
    node BIGINT NOT NULL,
    number BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (room_id, idempotency_key)
);
CREATE INDEX log_keys_by_age ON log_keys (at_ms);
