-- One row for each organisation: the number of its newest result, entry or correction.
CREATE TABLE arena_counters (org TEXT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (org));

CREATE TABLE arena_players (
    org TEXT NOT NULL, id TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL, country TEXT,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (org, id)
);
CREATE INDEX arena_players_as_they_came ON arena_players (org, number);

-- A wish to be somebody's friend; two that meet are a friendship.
CREATE TABLE arena_friends (
    org TEXT NOT NULL, player TEXT NOT NULL, friend TEXT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (org, player, friend)
);

CREATE TABLE arena_sessions (
    org TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, starts_ms BIGINT, ends_ms BIGINT,
    max_players BIGINT, max_matches BIGINT, initial_rating BIGINT NOT NULL, k_factor BIGINT, players BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (org, id)
);

CREATE TABLE arena_matches (
    org TEXT NOT NULL, id TEXT NOT NULL, session TEXT, format TEXT NOT NULL, status TEXT NOT NULL,
    max_score BIGINT NOT NULL, round BIGINT NOT NULL, created_ms BIGINT NOT NULL, started_ms BIGINT, ended_ms BIGINT,
    seq BIGINT, winner TEXT, result_type TEXT, void_reason TEXT,
    PRIMARY KEY (org, id)
);
CREATE INDEX arena_matches_newest ON arena_matches (org, created_ms);
CREATE INDEX arena_matches_results ON arena_matches (org, seq);

CREATE TABLE arena_match_players (
    org TEXT NOT NULL, match_id TEXT NOT NULL, place BIGINT NOT NULL, player TEXT NOT NULL, score BIGINT NOT NULL,
    ready BIGINT NOT NULL, created_ms BIGINT NOT NULL,
    PRIMARY KEY (org, match_id, place)
);
CREATE INDEX arena_matches_of ON arena_match_players (org, player, created_ms);

-- How players stand in a ladder: `global`, or `session:ID`.
CREATE TABLE arena_standings (
    org TEXT NOT NULL, ladder TEXT NOT NULL, player TEXT NOT NULL, rating BIGINT NOT NULL, reached BIGINT NOT NULL,
    games BIGINT NOT NULL, wins BIGINT NOT NULL, losses BIGINT NOT NULL, draws BIGINT NOT NULL, streak BIGINT NOT NULL,
    best_streak BIGINT NOT NULL, peak BIGINT NOT NULL, g_rating BIGINT NOT NULL, g_deviation BIGINT NOT NULL,
    g_volatility BIGINT NOT NULL,
    PRIMARY KEY (org, ladder, player)
);

-- How they stood after each result, and after they came (no match): the newest row of a player is how it stands.
CREATE TABLE arena_history (
    org TEXT NOT NULL, ladder TEXT NOT NULL, player TEXT NOT NULL, seq BIGINT NOT NULL, match_id TEXT,
    at_ms BIGINT NOT NULL, change BIGINT NOT NULL, rating BIGINT NOT NULL, reached BIGINT NOT NULL,
    games BIGINT NOT NULL, wins BIGINT NOT NULL, losses BIGINT NOT NULL, draws BIGINT NOT NULL, streak BIGINT NOT NULL,
    best_streak BIGINT NOT NULL, peak BIGINT NOT NULL, g_rating BIGINT NOT NULL, g_deviation BIGINT NOT NULL,
    g_volatility BIGINT NOT NULL,
    PRIMARY KEY (org, ladder, player, seq)
);
CREATE INDEX arena_history_in_order ON arena_history (org, ladder, seq);

CREATE TABLE arena_achievements (
    org TEXT NOT NULL, player TEXT NOT NULL, id TEXT NOT NULL, at_ms BIGINT NOT NULL,
    PRIMARY KEY (org, player, id)
);

-- What was last told of a board: the next message holds the difference.
CREATE TABLE arena_shown (
    org TEXT NOT NULL, room TEXT NOT NULL, entries TEXT NOT NULL,
    PRIMARY KEY (org, room)
);
