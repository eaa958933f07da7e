-- One row for each room. Its journal is what is true; `seq` and `chain` are the newest link of it, and whoever
-- changes them holds the row.
CREATE TABLE trading_rooms (
    org TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, rules TEXT NOT NULL,
    state TEXT NOT NULL, created_ms BIGINT NOT NULL, started_ms BIGINT, ended_ms BIGINT, members BIGINT NOT NULL,
    seq BIGINT NOT NULL, chain TEXT NOT NULL, touched BIGINT NOT NULL,
    -- When a timer has to look at it, by the clock of the server: its end, its next snapshot, and
    -- the first member whose open orders are to be cancelled.
    ends_ms BIGINT, snapshot_ms BIGINT, cancel_ms BIGINT,
    PRIMARY KEY (org, id)
);
CREATE INDEX trading_rooms_newest ON trading_rooms (org, created_ms);
CREATE INDEX trading_rooms_ends ON trading_rooms (state, ends_ms);
CREATE INDEX trading_rooms_snapshots ON trading_rooms (state, snapshot_ms);
CREATE INDEX trading_rooms_cancels ON trading_rooms (state, cancel_ms);

CREATE TABLE trading_journal (
    org TEXT NOT NULL, room TEXT NOT NULL, seq BIGINT NOT NULL, at_ms BIGINT NOT NULL, input TEXT NOT NULL,
    PRIMARY KEY (org, room, seq)
);

CREATE TABLE trading_snapshots (
    org TEXT NOT NULL, room TEXT NOT NULL, seq BIGINT NOT NULL, number BIGINT NOT NULL, at_ms BIGINT NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (org, room, number)
);
