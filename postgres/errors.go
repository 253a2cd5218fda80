package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-c8812374/nexus"
)

// SQLSTATEs that are acted upon.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	queryCanceled        = "57014"
	undefinedTable       = "42P01"
	featureNotSupported  = "0A000" // of a prepared statement: its result is of other types now
	noSuchStatement      = "26000"
	checkpointsWanted    = "NX001" // of nexus_record
)

// errLost is a connection that was lost before it was used.
var errLost = errors.New("the connection is lost")

// sqlState returns the SQLSTATE of an error, or nothing.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// again reports whether a transaction has failed only because of others.
func again(err error) bool {
	state := sqlState(err)
	return state == serializationFailure || state == deadlockDetected
}

// lost reports whether a connection is gone, or the server is about to go.
func lost(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "57P01", "57P02", "57P03", "57P05", "25P03", "25P04": // shutdown, crash, starting, idle
			return true
		case "08P01": // a mistake in a message, such as a missing argument
			return false
		}
		return strings.HasPrefix(pg.Code, "08")
	}
	var network net.Error
	return errors.Is(err, errLost) || errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network) ||
		pgconn.SafeToRetry(err)
}

// canceled is the error for a context that has ended.
func canceled(ctx context.Context) error {
	return &nexus.Error{
		Code: nexus.CodeCanceled, Message: "stopped before it was done",
		Hint: "nothing was changed", Err: context.Cause(ctx),
	}
}

// classify turns an error into a *nexus.Error, by its SQLSTATE.
func (d *db) classify(err error) error {
	if err == nil {
		return nil
	}
	var known *nexus.Error
	if errors.As(err, &known) {
		return err
	}
	var control controlError
	isControl := errors.As(err, &control)
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return d.classifyConnection(err)
	}
	e := &nexus.Error{Code: nexus.CodeInternal, Message: "PostgreSQL", Err: plain(err)}
	if isControl && pg.Code == featureNotSupported || pg.Code == "25006" {
		e.Code, e.Message = nexus.CodeReadOnly, "the transaction or the server is read-only"
		e.Hint = "nothing was changed; if the server is a standby, name the primary, or add target_session_attrs=read-write to the URL"
		return e
	}
	d.classifyState(e, pg)
	return e
}

// classifyState sets what a SQLSTATE means.
func (d *db) classifyState(e *nexus.Error, pg *pgconn.PgError) {
	set := func(code nexus.Code, message, hint string) { e.Code, e.Message, e.Hint = code, message, hint }
	switch pg.Code {
	case checkpointsWanted:
		set(nexus.CodeTransition, "checkpoints are made, for which there is more to do", "nothing was changed")
	case uniqueViolation:
		if strings.HasSuffix(pg.ConstraintName, "_pkey") {
			set(nexus.CodeExists, "the primary key is taken", "")
			e.Problems = []nexus.Problem{{Field: "id", Message: "is taken"}}
		} else {
			set(nexus.CodeExists, "a unique value is taken", "")
		}
	case "23503":
		set(nexus.CodeReference, "a row that it refers to does not exist", "")
	case serializationFailure, deadlockDetected, "55P03":
		set(nexus.CodeBusy, "other transactions have got in the way for too long", "nothing was changed; try again")
	case "53300":
		set(nexus.CodeBusy, "the server has no connection left", "nothing was changed; try again, or put a pooler before it; see docs/postgres.md")
	case "53100":
		set(nexus.CodeFull, "no space is left on the server", "nothing was changed, and what was stored before is safe; free some space and try again")
	case queryCanceled:
		set(nexus.CodeBusy, "the server has stopped the statement", "nothing was changed; look at its statement_timeout")
	case "28P01", "28000":
		set(nexus.CodeDenied, fmt.Sprintf("the server of %s refuses the user or the password", d.name), "nothing was changed; check both, and pg_hba.conf")
	case "42501":
		set(nexus.CodeDenied, "the user may not do that", "nothing was changed; docs/postgres.md lists the rights that suffice")
	case "3D000":
		set(nexus.CodeNotFound, fmt.Sprintf("there is no such database: %s", d.name), "create it with createdb, or correct its name in the URL")
	case "XX001", "XX002":
		set(nexus.CodeCorrupt, "the database is damaged", "stop the server and copy its data folder before anything else, then bring back a backup")
	case "58030":
		set(nexus.CodeIO, "the server cannot read or write its files", "what was acknowledged before is safe; check its disk")
	case "08P01":
		set(nexus.CodeInvalid, "the statement has another number of parameters than arguments", "")
	default:
		switch {
		case lost(pg):
			d.setOffline(e)
		case strings.HasPrefix(pg.Code, "22"), strings.HasPrefix(pg.Code, "23"), strings.HasPrefix(pg.Code, "54"), pg.Code == "42804":
			set(nexus.CodeInvalid, "the database refuses the value", "")
		}
	}
}

// classifyConnection is for what no server has said.
func (d *db) classifyConnection(err error) error {
	e := &nexus.Error{Code: nexus.CodeInternal, Message: "the connection to PostgreSQL", Err: plain(err)}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) || lost(err) || pgconn.Timeout(err) {
		d.setOffline(e)
	}
	return e
}

func (d *db) setOffline(e *nexus.Error) {
	e.Code, e.Message = nexus.CodeOffline, fmt.Sprintf("the server of %s does not answer", d.name)
	e.Hint = "nothing was changed; check that it runs and that it can be reached, and try again"
}

// plain is the cause as it may be shown, on one line.
func plain(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) && connect.Unwrap() != nil {
		err = connect.Unwrap() // without the user, the hosts and the database
	}
	return oneLine{err}
}

// oneLine is an error whose text is on one line.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.Join(strings.Fields(e.error.Error()), " ") }
func (e oneLine) Unwrap() error { return e.error }
