CREATE TABLE comebacks (
    digest BYTEA NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    user_id TEXT,
    token_id TEXT,
    issued_at BIGINT,
    namespace TEXT NOT NULL,
    socket TEXT NOT NULL,
    process BIGINT NOT NULL,
    rooms BYTEA NOT NULL
);
CREATE INDEX comebacks_by_process ON comebacks (process);

CREATE TABLE spoken_rooms (
    process BIGINT NOT NULL,
    org TEXT NOT NULL,
    room TEXT NOT NULL,
    PRIMARY KEY (process, org, room)
);

ALTER TABLE log_rooms ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
UPDATE log_rooms SET bytes = coalesce((SELECT sum(e.bytes) FROM log_events e WHERE e.room_id = log_rooms.id), 0);
