CREATE TABLE last_seen (
    org TEXT NOT NULL,
    user_id TEXT NOT NULL,
    seen_ms BIGINT NOT NULL,
    PRIMARY KEY (org, user_id)
);
CREATE INDEX last_seen_by_age ON last_seen (seen_ms);
