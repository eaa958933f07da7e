INSERT INTO audit_head (id, seq, hash, anchor_seq, anchor_hash) VALUES (1, 0, zeroblob(32), 0, zeroblob(32));

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are never changed');
END;

CREATE TRIGGER audit_is_deleted_by_retention_alone BEFORE DELETE ON audit
WHEN OLD.seq > (SELECT anchor_seq FROM audit_head)
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit log are deleted by retention alone');
END;
