-- From when to when somebody who had come into a ladder was not in it; `back_ms` is null for who has not come back.
CREATE TABLE arena_absences (
    org TEXT NOT NULL, ladder TEXT NOT NULL, player TEXT NOT NULL, left_ms BIGINT NOT NULL, back_ms BIGINT,
    PRIMARY KEY (org, ladder, player, left_ms)
);

-- When somebody left was not kept: it was some time after the newest row.
INSERT INTO arena_absences (org, ladder, player, left_ms)
SELECT h.org, h.ladder, h.player, max(h.at_ms) + 1 FROM arena_history h
WHERE NOT EXISTS (
    SELECT 1 FROM arena_standings s WHERE s.org = h.org AND s.ladder = h.ladder AND s.player = h.player
)
GROUP BY h.org, h.ladder, h.player;
