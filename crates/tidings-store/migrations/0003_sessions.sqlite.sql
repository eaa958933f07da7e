CREATE TABLE sessions_next (
    org TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    user_id TEXT,
    node TEXT NOT NULL,
    door TEXT NOT NULL,
    address TEXT NOT NULL,
    seen_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    cause TEXT,
    PRIMARY KEY (org, created_ms, digest)
) WITHOUT ROWID;

INSERT INTO sessions_next (org, created_ms, digest, user_id, node, door, address, seen_ms, ended_ms, cause)
SELECT org, created_ms, digest, user_id, node, door, address, seen_ms, ended_ms, cause FROM sessions;
DROP TABLE sessions;
ALTER TABLE sessions_next RENAME TO sessions;
CREATE INDEX sessions_by_user ON sessions (org, user_id, created_ms);
CREATE INDEX sessions_open ON sessions (node) WHERE ended_ms IS NULL;
CREATE INDEX sessions_over ON sessions (ended_ms) WHERE ended_ms IS NOT NULL;
