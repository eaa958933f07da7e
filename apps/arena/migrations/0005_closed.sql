-- What a session that is closed has to look for: few matches are not over.
CREATE INDEX arena_matches_not_over ON arena_matches (org, session) WHERE status NOT IN ('completed', 'voided');

-- A session that was closed left its matches as they were, and no result of them was taken any more.
UPDATE arena_matches SET status = 'voided', ended_ms = COALESCE(started_ms, created_ms),
    void_reason = 'the session was closed'
WHERE status NOT IN ('completed', 'voided') AND EXISTS (
    SELECT 1 FROM arena_sessions s
    WHERE s.org = arena_matches.org AND s.id = arena_matches.session AND s.status = 'closed'
);
