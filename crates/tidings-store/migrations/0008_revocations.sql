-- Of tokens made before this nothing is believed; of those between this and issued_before_ms only the rights are out of
-- date. NULL was written by a version that did not tell the two apart: it is as issued_before_ms.
ALTER TABLE revocations ADD COLUMN refused_before_ms BIGINT;
UPDATE revocations SET refused_before_ms = 0 WHERE reason IN ('rights changed', 'roles were changed');
-- Mail that was sent holds the secrets of its links no longer.
UPDATE mail SET body = '' WHERE sent_ms IS NOT NULL;
