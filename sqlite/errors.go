package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus"
)

// classify turns an error of SQLite into a *nexus.Error, by its result code.
// path is the file, for the message.
func classify(path string, err error) error {
	if err == nil {
		return nil
	}
	var known *nexus.Error
	if errors.As(err, &known) {
		return err
	}
	e := &nexus.Error{Code: nexus.CodeInternal, Message: "SQLite", Err: err}
	switch code := sqlite.ErrCode(err); code {
	case sqlite.ResultConstraintPrimaryKey, sqlite.ResultConstraintRowID:
		e.Code, e.Message = nexus.CodeExists, "the primary key is taken"
		e.Problems = []nexus.Problem{{Field: "id", Message: "is taken"}}
	case sqlite.ResultConstraintUnique:
		e.Code, e.Message = nexus.CodeExists, "a unique value is taken"
	case sqlite.ResultConstraintForeignKey:
		e.Code, e.Message = nexus.CodeReference, "a row that it refers to does not exist"
	case sqlite.ResultConstraintCheck, sqlite.ResultConstraintNotNull, sqlite.ResultConstraintTrigger:
		e.Code, e.Message = nexus.CodeInvalid, "the database refuses the value"
	case sqlite.ResultReadOnlyDirectory:
		e.Code, e.Message = nexus.CodeReadOnly, fmt.Sprintf("folder %s cannot be written; the write-ahead log is kept there", filepath.Dir(path))
		e.Hint = "make the folder writable, or open the database read-only"
	case sqlite.ResultIOErrSHMSize:
		full(e, path)
	default:
		classifyPrimary(e, path, code.ToPrimary())
	}
	return e
}

func classifyPrimary(e *nexus.Error, path string, code sqlite.ResultCode) {
	switch code {
	case sqlite.ResultLocked:
		e.Code, e.Message = nexus.CodeInvalid, "a statement that is still running uses what this one would change"
	case sqlite.ResultBusy, sqlite.ResultProtocol:
		e.Code, e.Message = nexus.CodeBusy, fmt.Sprintf("another program holds the lock of %s", path)
		e.Hint = "nothing was changed; try again"
	case sqlite.ResultInterrupt:
		e.Code, e.Message = nexus.CodeCanceled, "stopped before it was done"
		e.Hint = "nothing was changed"
	case sqlite.ResultFull:
		full(e, path)
	case sqlite.ResultReadOnly:
		e.Code, e.Message = nexus.CodeReadOnly, fmt.Sprintf("%s cannot be written", path)
		e.Hint = "check the permissions of the file and its folder; nothing was changed"
	case sqlite.ResultAuth:
		e.Code, e.Message = nexus.CodeInvalid, "the statement is not allowed: it would begin or end a transaction, attach a file, or change the connection for those who use it next"
		e.Hint = "transactions are made with InTx, and a migration is in one already; nothing was changed"
	case sqlite.ResultPerm, sqlite.ResultCantOpen:
		e.Code, e.Message = nexus.CodeIO, fmt.Sprintf("%s cannot be opened", path)
		e.Hint = "check that the folder exists and that its permissions allow it"
	case sqlite.ResultIOErr:
		e.Code, e.Message = nexus.CodeIO, fmt.Sprintf("%s cannot be read or written", path)
		e.Hint = "what was acknowledged before is safe; check the disk"
	case sqlite.ResultCorrupt:
		e.Code, e.Message = nexus.CodeCorrupt, fmt.Sprintf("%s is damaged", path)
		e.Hint = "copy the file and its -wal before anything else, then bring back a backup"
	case sqlite.ResultNotADB:
		e.Code, e.Message = nexus.CodeForeign, fmt.Sprintf("%s is not a SQLite database", path)
		e.Hint = "it was left untouched; name another file"
	case sqlite.ResultTooBig:
		e.Code, e.Message = nexus.CodeInvalid, "a value is too long for the database"
	}
}

func full(e *nexus.Error, path string) {
	e.Code, e.Message = nexus.CodeFull, fmt.Sprintf("no space is left for %s", path)
	e.Hint = "nothing was changed, and what was stored before is safe; free some space and try again"
}

// canceled is the error for a context that has ended.
func canceled(ctx context.Context) error {
	return &nexus.Error{
		Code: nexus.CodeCanceled, Message: "stopped before it was done",
		Hint: "nothing was changed", Err: context.Cause(ctx),
	}
}
