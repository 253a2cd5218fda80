package sqlite

import (
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"
)

// questions are the pragmas whose argument asks for something. With an argument,
// any other changes how the connection works.
var questions = []string{
	"foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo",
	"integrity_check", "quick_check", "table_info", "table_list", "table_xinfo",
}

// authorize refuses statements that would pull a connection from under those who
// share it: whoever ends a transaction ends that of the others in the commit
// queue; a pragma stays for the next caller, and so does a temporary table, which
// hides a real one of the same name. The driver's own statements are prepared
// while it trusts them.
func (c *conn) authorize(action sqlite.Action) sqlite.AuthResult {
	if c.trusted {
		return sqlite.AuthResultOK
	}
	switch action.Type() {
	case sqlite.OpTransaction, sqlite.OpSavepoint, sqlite.OpAttach, sqlite.OpDetach,
		sqlite.OpCreateTempTable, sqlite.OpCreateTempView, sqlite.OpCreateTempTrigger, sqlite.OpCreateTempIndex:
		return sqlite.AuthResultDeny
	case sqlite.OpPragma:
		if action.PragmaArg() != "" && !slices.Contains(questions, strings.ToLower(action.Pragma())) {
			return sqlite.AuthResultDeny
		}
	}
	return sqlite.AuthResultOK
}
