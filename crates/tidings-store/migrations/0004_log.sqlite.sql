CREATE TABLE log_rooms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    org TEXT NOT NULL,
    room TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    top BIGINT NOT NULL,
    node BIGINT NOT NULL,
    number BIGINT NOT NULL,
    trimmed BIGINT NOT NULL,
    trimmed_sequence BIGINT NOT NULL,
    touched_ms BIGINT NOT NULL,
    UNIQUE (org, room)
);
