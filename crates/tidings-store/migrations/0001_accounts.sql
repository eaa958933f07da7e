-- Times are milliseconds since 1970; yes is 1.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('revocations', 0);

CREATE TABLE organisations (
    org TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    settings TEXT NOT NULL
);

CREATE TABLE users (
    org TEXT NOT NULL,
    id TEXT NOT NULL,
    email_key TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    password_hash TEXT,
    email_verified BIGINT NOT NULL,
    status TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    password_changed_ms BIGINT NOT NULL,
    failed_logins BIGINT NOT NULL,
    locked_until_ms BIGINT NOT NULL,
    PRIMARY KEY (org, id),
    UNIQUE (org, email_key),
    FOREIGN KEY (org) REFERENCES organisations (org)
);

CREATE TABLE roles (
    org TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (org, user_id, role),
    FOREIGN KEY (org, user_id) REFERENCES users (org, id) ON DELETE CASCADE
);

CREATE TABLE links (
    digest BYTEA NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    used_ms BIGINT,
    FOREIGN KEY (org, user_id) REFERENCES users (org, id) ON DELETE CASCADE
);
CREATE INDEX links_by_user ON links (org, user_id);
CREATE INDEX links_by_expiry ON links (expires_ms);

CREATE TABLE external_identities (
    org TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (org, issuer, subject),
    FOREIGN KEY (org, user_id) REFERENCES users (org, id) ON DELETE CASCADE
);
CREATE INDEX external_identities_by_user ON external_identities (org, user_id);

CREATE TABLE refresh_families (
    org TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    rotated_ms BIGINT NOT NULL,
    rotations BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    revoked_ms BIGINT,
    revoked_reason TEXT,
    PRIMARY KEY (org, id),
    FOREIGN KEY (org, user_id) REFERENCES users (org, id) ON DELETE CASCADE
);
CREATE INDEX refresh_families_by_user ON refresh_families (org, user_id);
CREATE INDEX refresh_families_by_expiry ON refresh_families (expires_ms);

CREATE TABLE refresh_tokens (
    digest BYTEA NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    family TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    replaced_ms BIGINT,
    FOREIGN KEY (org, family) REFERENCES refresh_families (org, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (org, family);

CREATE TABLE api_keys (
    prefix TEXT NOT NULL PRIMARY KEY,
    org TEXT NOT NULL,
    digest BYTEA NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT,
    last_used_ms BIGINT,
    revoked_ms BIGINT,
    FOREIGN KEY (org) REFERENCES organisations (org)
);
CREATE INDEX api_keys_by_org ON api_keys (org, prefix);

CREATE TABLE revocations (
    org TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    seq BIGINT NOT NULL UNIQUE,
    issued_before_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (org, kind, subject)
);
CREATE INDEX revocations_by_expiry ON revocations (expires_ms);

CREATE TABLE sessions (
    org TEXT NOT NULL,
    digest BYTEA NOT NULL,
    user_id TEXT,
    node TEXT NOT NULL,
    door TEXT NOT NULL,
    address TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL,
    ended_ms BIGINT,
    cause TEXT,
    PRIMARY KEY (org, digest)
);
CREATE INDEX sessions_by_user ON sessions (org, user_id, created_ms);
CREATE INDEX sessions_by_node ON sessions (node, ended_ms);
CREATE INDEX sessions_by_age ON sessions (seen_ms);

CREATE TABLE mail (
    org TEXT NOT NULL,
    id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    due_ms BIGINT NOT NULL,
    sent_ms BIGINT,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    PRIMARY KEY (org, id)
);
CREATE INDEX mail_waiting ON mail (sent_ms, due_ms);
CREATE INDEX mail_by_age ON mail (created_ms);
