-- Of each room that has had many entries one image: what its journal came to at entry `seq`, whose link of the chain is
-- `chain`. An image is a copy. What is true is the journal, and a room without an image is made of all of it.
CREATE TABLE trading_images (
    org TEXT NOT NULL, room TEXT NOT NULL, seq BIGINT NOT NULL, chain TEXT NOT NULL, version BIGINT NOT NULL,
    parts BIGINT NOT NULL,
    PRIMARY KEY (org, room)
);

-- Its bytes, in parts that are stored one by one, so that nobody waits for a large one. Those of an image that is not
-- the room's belong to nothing yet, or no longer.
CREATE TABLE trading_image_parts (
    org TEXT NOT NULL, room TEXT NOT NULL, seq BIGINT NOT NULL, version BIGINT NOT NULL, part BIGINT NOT NULL,
    bytes BYTEA NOT NULL,
    PRIMARY KEY (org, room, seq, version, part)
);
