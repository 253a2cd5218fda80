package sqlite

import (
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"
)

// guarded are the pragmas that decide how a connection works. Their values can
// be read, but not changed, by a caller's own SQL.
var guarded = []string{
	"foreign_keys", "ignore_check_constraints", "journal_mode", "locking_mode", "query_only",
	"recursive_triggers", "synchronous", "wal_autocheckpoint", "writable_schema",
}

// authorize refuses statements that would pull a connection from under those who
// share it: whoever ends a transaction ends that of the others in the commit
// queue, and a pragma stays for the next caller. The driver's own statements are
// prepared while it trusts them.
func (c *conn) authorize(action sqlite.Action) sqlite.AuthResult {
	if c.trusted {
		return sqlite.AuthResultOK
	}
	switch action.Type() {
	case sqlite.OpTransaction, sqlite.OpSavepoint, sqlite.OpAttach, sqlite.OpDetach:
		return sqlite.AuthResultDeny
	case sqlite.OpPragma:
		if action.PragmaArg() != "" && slices.Contains(guarded, strings.ToLower(action.Pragma())) {
			return sqlite.AuthResultDeny
		}
	}
	return sqlite.AuthResultOK
}
