CREATE TABLE dead_letters (
    org TEXT NOT NULL,
    node BIGINT NOT NULL,
    number BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    room TEXT NOT NULL,
    event TEXT NOT NULL,
    data BYTEA NOT NULL,
    attachments BYTEA,
    idempotency_key TEXT,
    lane BIGINT NOT NULL,
    reason TEXT NOT NULL,
    tries BIGINT NOT NULL,
    first_error TEXT NOT NULL,
    last_error TEXT NOT NULL,
    published_ms BIGINT NOT NULL,
    died_ms BIGINT NOT NULL,
    redriven BIGINT NOT NULL,
    PRIMARY KEY (org, node, number)
);
CREATE INDEX dead_letters_by_age ON dead_letters (org, died_ms);

CREATE TABLE subscriptions (
    org TEXT NOT NULL,
    user_id TEXT NOT NULL,
    room TEXT NOT NULL,
    epoch BIGINT,
    place BIGINT NOT NULL,
    tag BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (org, user_id, room)
);
