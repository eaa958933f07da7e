-- Who came back to a session had a row with the standing of that moment, which no void corrected. Only first entries
-- keep a row; whoever comes back stands as the newest one says.
DELETE FROM arena_history WHERE match_id IS NULL AND EXISTS (
    SELECT 1 FROM arena_history earlier WHERE earlier.org = arena_history.org
    AND earlier.ladder = arena_history.ladder AND earlier.player = arena_history.player
    AND earlier.seq < arena_history.seq
);

UPDATE arena_standings SET
    (rating, reached, games, wins, losses, draws, streak, best_streak, peak, g_rating, g_deviation, g_volatility) = (
        SELECT h.rating, h.reached, h.games, h.wins, h.losses, h.draws, h.streak, h.best_streak, h.peak, h.g_rating,
            h.g_deviation, h.g_volatility FROM arena_history h
        WHERE h.org = arena_standings.org AND h.ladder = arena_standings.ladder AND h.player = arena_standings.player
        ORDER BY h.seq DESC LIMIT 1
    )
WHERE ladder <> 'global' AND EXISTS (
    SELECT 1 FROM arena_history h
    WHERE h.org = arena_standings.org AND h.ladder = arena_standings.ladder AND h.player = arena_standings.player
);
