CREATE TABLE carried (
    process BIGINT NOT NULL PRIMARY KEY,
    state BYTEA NOT NULL
);

CREATE TABLE carried_rooms (
    process BIGINT NOT NULL,
    org TEXT NOT NULL,
    room TEXT NOT NULL,
    state BYTEA NOT NULL,
    PRIMARY KEY (process, org, room)
);

CREATE INDEX spoken_rooms_by_room ON spoken_rooms (org, room);
