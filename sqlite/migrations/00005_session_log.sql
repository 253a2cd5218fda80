-- The log of a session: what was said and decided, entry by entry. In
-- sessions.data it would be written again with each.

-- +goose Up

-- No foreign key: INSERT OR REPLACE of a session, by another program, would delete
-- its log.
CREATE TABLE session_log (
    session_id TEXT NOT NULL,
    number     INTEGER NOT NULL, -- within the session, from 1
    at_us      INTEGER NOT NULL, -- microseconds since 1970-01-01 UTC
    kind       TEXT NOT NULL,    -- message, decision, note, or any other word
    author     TEXT,
    text       TEXT NOT NULL,
    PRIMARY KEY (session_id, number)
);

-- +goose StatementBegin
CREATE TRIGGER sessions_delete_log AFTER DELETE ON sessions
BEGIN
    DELETE FROM session_log WHERE session_id = OLD.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER sessions_rename_log AFTER UPDATE OF id ON sessions WHEN OLD.id IS NOT NEW.id
BEGIN
    DELETE FROM session_log WHERE session_id = NEW.id; -- of one that it replaces
    UPDATE session_log SET session_id = NEW.id WHERE session_id = OLD.id;
END;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER sessions_rename_log;
DROP TRIGGER sessions_delete_log;
DROP TABLE session_log;
