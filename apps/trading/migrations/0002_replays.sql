-- Files of prices, once each, whoever plays them: a replay goes on with what it began with, on any server.
CREATE TABLE trading_tapes (
    org TEXT NOT NULL, hash TEXT NOT NULL, prices TEXT NOT NULL,
    -- When a room was last given it: one that no room has is removed a little later.
    kept_ms BIGINT NOT NULL,
    PRIMARY KEY (org, hash)
);

-- A room that is fed from a file. `given` prices of it are done with; whoever gives the next holds the room's row.
CREATE TABLE trading_replays (
    org TEXT NOT NULL, room TEXT NOT NULL, tape TEXT NOT NULL, name TEXT NOT NULL, rate BIGINT NOT NULL,
    given BIGINT NOT NULL, total BIGINT NOT NULL,
    -- When the next is due, by the clock of the server; nothing, when there is none.
    due_ms BIGINT,
    PRIMARY KEY (org, room)
);
CREATE INDEX trading_replays_due ON trading_replays (due_ms);
CREATE INDEX trading_replays_tapes ON trading_replays (org, tape);

-- Since when a room that has ended is known to have, by the clock of the server.
ALTER TABLE trading_rooms ADD COLUMN idle_ms BIGINT;
CREATE INDEX trading_rooms_idle ON trading_rooms (state, idle_ms);
CREATE INDEX trading_rooms_unjoined ON trading_rooms (state, members, created_ms);

-- Rooms that are gone, and of which something is left: until it is not, nobody makes one of the same id.
CREATE TABLE trading_removed (
    org TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (org, id)
);
