-- Lists of sessions, the newest first, also of those whose time is up.
CREATE INDEX arena_sessions_newest ON arena_sessions (org, created_ms);
