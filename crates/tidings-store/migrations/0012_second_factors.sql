CREATE TABLE second_factors (
    org TEXT NOT NULL,
    user_id TEXT NOT NULL,
    secret BYTEA NOT NULL,
    last_step BIGINT NOT NULL,
    on_ms BIGINT,
    PRIMARY KEY (org, user_id),
    FOREIGN KEY (org, user_id) REFERENCES users (org, id) ON DELETE CASCADE
);

CREATE TABLE recovery_codes (
    org TEXT NOT NULL,
    user_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (org, user_id, digest),
    FOREIGN KEY (org, user_id) REFERENCES second_factors (org, user_id) ON DELETE CASCADE
);

ALTER TABLE refresh_families ADD COLUMN proved_ms BIGINT NOT NULL DEFAULT 0;
