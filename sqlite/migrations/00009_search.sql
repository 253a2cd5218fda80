-- The index of words by which nexus search finds names, descriptions and what was said
-- in sessions.
--
-- It costs the writes nothing, and no trigger keeps it: so a program whose SQLite has
-- no FTS5 can still write every table. The history says what has changed, and a search
-- first has the index follow it; see docs/search.md.
--
-- The index has words that Nexus has taken apart and made comparable; hence the simplest
-- of tokenizers, which does no more than separate them at blanks. It keeps them, so
-- that a document is deleted by its number alone: contentless_delete would do without,
-- but the sqlite3 of Debian 12 could not read the schema.

-- +goose Up

-- What is in the index.
CREATE TABLE search_documents (
    document   INTEGER PRIMARY KEY NOT NULL, -- its number there
    kind       TEXT NOT NULL,
    id         TEXT NOT NULL,
    number     INTEGER NOT NULL, -- of an entry in the log of a session, whose kind and id it has; else 0
    project_id TEXT,
    at_us      INTEGER NOT NULL, -- when it was made, in microseconds since 1970-01-01 UTC
    digest     INTEGER NOT NULL  -- of its text: most changes of a row do not change that
);
CREATE UNIQUE INDEX idx_search_documents ON search_documents (kind, id, number);

-- How far the index follows. Without a row, it has to be made anew.
CREATE TABLE search_progress (
    one  INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    step INTEGER NOT NULL, -- grows with each change of the index
    seq  INTEGER NOT NULL, -- the change up to which it follows the history
    kind TEXT,             -- while it is made anew: it has rows up to this kind
    id   TEXT              -- and id
);

CREATE VIRTUAL TABLE search_index USING fts5 (
    name, description, text, tokenize = 'ascii'
);

-- +goose Down
DROP TABLE search_index;
DROP TABLE search_progress;
DROP TABLE search_documents;
