-- The log of a session: what was said and decided, entry by entry. In
-- sessions.data it would be written again with each.

-- +goose Up

CREATE TABLE session_log (
    session_id TEXT COLLATE "C" NOT NULL,
    number     BIGINT NOT NULL,           -- within the session, from 1
    at_us      BIGINT NOT NULL,           -- microseconds since 1970-01-01 UTC
    kind       TEXT COLLATE "C" NOT NULL, -- message, decision, note, or any other word
    author     TEXT COLLATE "C",
    text       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (session_id, number)
);

-- The log goes with its session, and takes its name. No foreign key, as in SQLite.
-- +goose StatementBegin
CREATE FUNCTION nexus_session_log() RETURNS TRIGGER LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM session_log WHERE session_id = OLD.id;
    ELSE
        UPDATE session_log SET session_id = NEW.id WHERE session_id = OLD.id;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER sessions_delete_log AFTER DELETE ON sessions
FOR EACH ROW EXECUTE FUNCTION nexus_session_log();

CREATE TRIGGER sessions_rename_log AFTER UPDATE OF id ON sessions
FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION nexus_session_log();

-- +goose Down
DROP TRIGGER sessions_rename_log ON sessions;
DROP TRIGGER sessions_delete_log ON sessions;
DROP FUNCTION nexus_session_log();
DROP TABLE session_log;
