CREATE TABLE last_config (
    id BIGINT NOT NULL PRIMARY KEY,
    settings TEXT NOT NULL,
    at_ms BIGINT NOT NULL
);
