// Package driver is the seam between the store and a database. A database is
// supported by implementing [DB] and [Conn]; the store's SQL stays as it is.
//
// SQL is written with $1-style placeholders. Errors that come back through this
// seam are already of type *nexus.Error, classified by the database's own error
// code, never by its text. An error of nexus.CodeExists has a problem of the field
// id if that is what is taken.
package driver

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"
)

// DB is an open database. It is safe for concurrent use.
type DB interface {
	// Read runs fn, in which each statement sees the newest committed state.
	// Writes in it are refused with nexus.CodeReadOnly.
	Read(ctx context.Context, fn func(Conn) error) error

	// Snapshot is a Read in which all statements see the same state.
	Snapshot(ctx context.Context, fn func(Conn) error) error

	// Write runs fn in a transaction, and returns nil only when the
	// transaction is on disk. If fn returns an error or panics, what it did is
	// undone. It may run fn more than once, each time on the state as if it
	// had not run before, so fn must change nothing outside but what it would
	// overwrite when run again.
	Write(ctx context.Context, fn func(Conn) error) error

	// WriteAnywhere is Write for an fn that may run on any goroutine, so it
	// must not end that, as runtime.Goexit does.
	WriteAnywhere(ctx context.Context, fn func(Conn) error) error

	// WriteBeside is WriteAnywhere for an fn that may run at the same time as
	// others of its kind: what it decides by, it reads with a lock (see Dialect),
	// and what it has read before it took that lock it does not rely on.
	WriteBeside(ctx context.Context, fn func(Conn) error) error

	// Ping returns nil if the database answers.
	Ping(ctx context.Context) error

	// Identity tells the database from all others, and is the same for all who have it
	// open, by whatever path or URL, as far as that can be known.
	Identity(ctx context.Context) (string, error)

	// Health looks the database over, which takes time in proportion to the
	// data. With deep, it also compares indexes with tables and follows every
	// foreign key.
	Health(ctx context.Context, deep bool) (Health, error)

	// Tables lists the tables, without those of the database itself and of its
	// migrator.
	Tables(ctx context.Context) ([]string, error)

	// Schema returns the statements that create everything in the database.
	Schema(ctx context.Context) ([]string, error)

	// Backup writes a copy of one state of the database to a new file at path, while
	// others read and write; that state is not older than the call. It verifies the
	// copy, and the file is there only if the copy is right: whole and on disk. It
	// refuses a path where something is. progress may be nil; it is told how much is
	// done of how much, in no particular unit.
	//
	// A database that is no file of its own may refuse with nexus.CodeInvalid, and
	// say in the hint with which program it is backed up.
	Backup(ctx context.Context, path string, progress func(done, total int64)) (Backup, error)

	// Close waits for calls under way and releases everything.
	Close() error
}

// Conn runs statements on one connection, within one transaction. It is for one
// goroutine at a time, and only until the function that received it returns.
type Conn interface {
	// Exec runs a statement and returns the number of rows it changed.
	Exec(ctx context.Context, sql string, args ...Arg) (int64, error)

	// Query runs a statement and calls fn with each row. The row is valid until
	// fn returns. An error of fn ends the query and is returned as it is.
	Query(ctx context.Context, sql string, args []Arg, fn func(Row) error) error

	// Catalog describes the schema as this connection sees it.
	Catalog(ctx context.Context) (Catalog, error)

	// Savepoint runs fn; if fn returns an error or panics, what it did is
	// undone and the transaction goes on.
	Savepoint(ctx context.Context, fn func() error) error

	// Dialect says what is particular to the SQL of this database.
	Dialect() Dialect
}

// Bulk is a Conn that can store many rows much faster than one by one.
type Bulk interface {
	// Copy stores rows in a table.
	Copy(ctx context.Context, table string, columns []string, rows [][]Arg) error

	// WithoutTriggers runs fn, in which no trigger runs: nothing follows from what it
	// stores, unless it does that itself. Foreign keys hold. Afterwards numbers that the
	// database gives go on after the highest that were stored. The user must own the
	// tables.
	WithoutTriggers(ctx context.Context, fn func() error) error
}

// Committer is a Conn that can commit in the round trip of a transaction's last statement.
type Committer interface {
	// QueryAndCommit is Query, and commits. It is the last call of a transaction. If the
	// statement fails, nothing is committed. fn runs before it is known whether the
	// commit has succeeded.
	QueryAndCommit(ctx context.Context, sql string, args []Arg, fn func(Row) error) error
}

// Dialect is where the SQL of one database differs from that of another. The zero
// value is for one that has one writer at a time.
type Dialect struct {
	// LocksRows: transactions write side by side, and lock rows.
	LocksRows bool
	// Fragile: a statement that fails takes its whole transaction with it, unless
	// there is a savepoint.
	Fragile bool
	// Record is a statement that has the history record whatever this transaction has
	// changed, and who did it: $1 is when in microseconds, $2 what it is called, $3 the
	// actor. It returns the number of the first record, NULL if there is none. If
	// somebody wants checkpoints to be made, of which there is more to do before the
	// transaction ends, it fails with nexus.CodeTransition. It is for QueryAndCommit only.
	Record string
	// FirstChange is an expression that has the history record whatever this transaction
	// has changed, and is the number of the first record of it, NULL if there is none.
	// It is empty where changes are recorded at once, and no other writes meanwhile.
	FirstChange string
	// OnlyUTF8: a text is valid UTF-8 without NUL. To ask for another is an error.
	OnlyUTF8 bool
}

// CanHold reports whether a text may be in the database.
func (d Dialect) CanHold(text string) bool {
	return !d.OnlyUTF8 || utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

// Elements is a table of the elements of a JSON array that an argument at a place is,
// as texts in the column value.
func (d Dialect) Elements(place int) string {
	if !d.LocksRows {
		return fmt.Sprintf("json_each($%d)", place)
	}
	return fmt.Sprintf("json_array_elements_text($%d::JSON)", place)
}

// Element is the element n, from 0, of a JSON array that value is, of a type of columns.
func (d Dialect) Element(n int, columnType string) string {
	switch {
	case !d.LocksRows:
		return fmt.Sprintf("value ->> %d", n)
	case columnType == "INTEGER":
		return fmt.Sprintf("(value::JSON ->> %d)::BIGINT", n)
	case columnType == "REAL":
		return fmt.Sprintf("(value::JSON ->> %d)::DOUBLE PRECISION", n)
	default:
		return fmt.Sprintf("value::JSON ->> %d", n)
	}
}

// Lock is what a SELECT ends with whose rows of a table, or of several with commas
// between, nobody else shall change until the transaction ends. If somebody else
// has locked one, it waits, and then reads that row anew.
func (d Dialect) Lock(tables string) string {
	if !d.LocksRows {
		return ""
	}
	return " FOR UPDATE OF " + tables
}

// LockFree is Lock that passes over the rows that others have locked.
func (d Dialect) LockFree(tables string) string {
	if !d.LocksRows {
		return ""
	}
	return " FOR UPDATE OF " + tables + " SKIP LOCKED"
}

// Row is a row of a result. Columns count from 0. Values are converted as far
// as they can be: no value of another program makes a method fail.
type Row interface {
	Text(column int) string
	Int(column int) int64
	Float(column int) float64
	IsNull(column int) bool
	// Kind returns the type of the value.
	Kind(column int) Kind
	// Columns returns the names of the columns.
	Columns() []string
	// Value returns the value as nil, int64, float64, string or []byte.
	Value(column int) any
	// Arg returns the value as an argument, for storing it elsewhere as it is.
	Arg(column int) Arg
	// AppendTo appends the bytes of a text or a blob to b, for what is looked at once:
	// they cost no memory of their own.
	AppendTo(b []byte, column int) []byte
}

// Remaker is a DB that can tell what is missing of its schema, and make it again:
// other programs' migrators drop indexes, triggers and columns.
type Remaker interface {
	// Missing names what the migrations have made and is not there, or not as
	// they have made it.
	Missing(ctx context.Context) ([]string, error)

	// Remake makes it again, all or nothing, and runs [ForgetHashes] with it.
	Remake(ctx context.Context) error
}

// ForgetHashes is the statement that forgets what rests on the history having every
// change: without its triggers, some may have gone by unseen.
const ForgetHashes = `DELETE FROM task_hash_progress`

// Shrinker is a DB that keeps the space of what was deleted until it is told to give it
// back.
type Shrinker interface {
	// Size returns how many bytes the database takes.
	Size(ctx context.Context) (int64, error)

	// MayShrink refuses with nexus.CodeFull if there is no room for what Shrink needs.
	MayShrink(ctx context.Context) error

	// Shrink gives back the space that is not used, all or nothing, while others read;
	// writers wait. If that takes too long for them, or there is no room for it, or
	// nobody could even read meanwhile, why says so, and what is not used is used for
	// what is stored next.
	Shrink(ctx context.Context) (why string, err error)
}

// Notifier is a DB whose processes can tell each other that there is something new, so
// that nobody has to look often.
type Notifier interface {
	// Notify tells all subscribers, of whatever process, that a transaction which has
	// changed something is committed. It does not wait; what cannot be told is no error.
	Notify()

	// Subscribe returns a channel that receives soon after others, or this process, have
	// notified; once for several, and also when some may have been missed. stop ends it.
	Subscribe() (news <-chan struct{}, stop func())

	// Hears reports whether subscribers are told of what is new at present. While they
	// are not, they have to look by themselves.
	Hears() bool
}

// Settler is a Conn in whose snapshots a change can be seen a moment before it is on disk.
type Settler interface {
	// Settle ends the snapshot, whose last call it is. Without an error, all that the
	// snapshot has shown is on disk. Otherwise it may be lost, and is to be read again.
	Settle(ctx context.Context) error
}

// Catalog is a schema.
type Catalog struct {
	Version int64   // the newest migration that is applied
	Tables  []Table // without those of the database itself and of its migrator
}

// Table is a table with its columns, without those that are computed from others.
type Table struct {
	Name    string
	Columns []Column
}

// Column is a column of a table.
type Column struct {
	Name    string
	Type    string // as it was declared
	NotNull bool
	Default string // as SQL; empty if there is none
}

// Backup says what a backup is.
type Backup struct {
	Path   string           `json:"path"`
	Bytes  int64            `json:"bytes"`
	SHA256 string           `json:"sha256"` // of the file
	Counts map[string]int64 `json:"counts"` // rows by table, without those of migrators
}

// Restored says what putting a backup in place of a database has done.
type Restored struct {
	Database      string           `json:"database"`
	From          string           `json:"from"`
	Kept          string           `json:"kept,omitempty"` // the copy of the state that was replaced, if it had rows
	Replaced      map[string]int64 `json:"replaced"`       // rows by table, before; empty if they could not be read
	Counts        map[string]int64 `json:"counts"`         // rows by table, now
	SchemaVersion int64            `json:"schema_version"` // of the backup; it has been brought up to date
}

// Health is the state of a database.
type Health struct {
	WAL           bool     `json:"wal"`            // the journal is a write-ahead log
	ForeignKeys   bool     `json:"foreign_keys"`   // foreign keys are enforced
	Integrity     bool     `json:"integrity"`      // what is stored is not damaged
	SchemaVersion int64    `json:"schema_version"` // the newest migration that is applied
	LatestVersion int64    `json:"latest_version"` // the newest migration that this program knows
	Problems      []string `json:"problems"`       // what is wrong, in words; empty if all is well
}

// OK reports whether all is well.
func (h Health) OK() bool {
	return h.WAL && h.ForeignKeys && h.Integrity && h.SchemaVersion == h.LatestVersion && len(h.Problems) == 0
}
