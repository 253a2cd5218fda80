package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/disk"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/internal/logvfs"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Memory is the path of a private database that is gone after Close.
//
// It behaves like a file in everything, because it is one: in a folder that only
// its owner can read, which is removed by Close; on Linux in memory, under
// /dev/shm.
const Memory = ":memory:"

// Options are the choices when opening a database. The zero value is right for
// most.
type Options struct {
	// Migrations is a folder with migrations of the caller's own, in goose's
	// format. They run after Nexus's and are tracked apart from them, in the
	// table nexus_user_migrations.
	Migrations string

	// NoSync lets a commit return before it has reached the disk
	// (synchronous=NORMAL). A crash of the program still loses nothing; a loss
	// of power may lose the last commits, but never part of one.
	NoSync bool

	// ReadOnly refuses to write, and changes nothing in the file. It can also
	// read a file from a newer Nexus.
	ReadOnly bool

	// Patience is how long a write waits for other processes before it gives
	// up with nexus.CodeBusy; 0 is one minute. Contexts may end it earlier.
	Patience time.Duration

	// Logger is told of what a person may want to know: a backup made before a
	// migration, a migration whose text has changed, a checkpoint that was due and
	// could not be made. Nil is slog.Default, or with Debug a log on standard error.
	Logger *slog.Logger

	// Debug logs every statement with its arguments and duration, at
	// slog.LevelDebug.
	Debug bool

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Open opens the database at path, creating it and its folder if they do not
// exist, and brings its schema up to date. Any number of processes may do so at
// the same time.
//
// Before it changes a database that holds rows, it copies it to a file beside
// it. If anything fails, the database is as it was.
//
// Its errors have these codes: nexus.CodeForeign if the file is another
// program's, CodeNewer if a newer Nexus has written it, CodeMigration if a
// migration failed, CodeCorrupt, CodeReadOnly, CodeIO, CodeFull, CodeBusy and
// CodeCanceled.
func Open(ctx context.Context, path string, options *Options) (*store.DB, error) {
	o := options.withDefaults()
	db, err := open(ctx, path, o)
	if err != nil {
		return nil, err
	}
	return store.New(db, o.Now, o.Logger), nil
}

func (o *Options) withDefaults() Options {
	var filled Options
	if o != nil {
		filled = *o
	}
	if filled.Patience == 0 {
		filled.Patience = time.Minute
	}
	if filled.Logger == nil && filled.Debug {
		filled.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if filled.Logger == nil {
		filled.Logger = slog.Default()
	}
	if filled.Now == nil {
		filled.Now = time.Now
	}
	return filled
}

// db implements driver.DB.
type db struct {
	path    string
	options Options
	readers *readers
	writer  *writer
	wal     *walKeeper
	fixed   bool         // this process cannot write it
	memory  bool         // a private database, gone after Close
	discard func() error // removes what is left of it

	startWAL sync.Once
	closed   sync.Once
	closeErr error
}

func open(ctx context.Context, path string, o Options) (_ *db, err error) {
	d := &db{path: path, options: o, discard: func() error { return nil }}
	if path == Memory {
		if d.path, d.discard, err = privateFile(); err != nil {
			return nil, err
		}
		d.memory = true
	}
	defer func() {
		if err != nil {
			_ = d.discard()
		}
	}()
	if _, err := migration.User(o.Migrations); err != nil {
		return nil, err // before a file is created for nothing
	}
	if err := d.prepareFile(); err != nil {
		return nil, err
	}
	switch d.fixed = !writable(d.path); {
	case !d.fixed || d.options.ReadOnly:
	case !writable(filepath.Dir(d.path)):
		return nil, &nexus.Error{
			Code: nexus.CodeReadOnly, Message: fmt.Sprintf("neither %s nor its folder can be written", d.path),
			Hint: "check the permissions, or open the database read-only",
		}
	default:
		d.options.ReadOnly = true
	}
	d.fixed = d.fixed || d.frozen()
	cameWithLog := exists(d.path + "-wal")
	first, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.bringUpToDate(ctx, first); err != nil {
		return nil, errors.Join(err, d.leave(first, cameWithLog))
	}
	if err := first.becomeReader(); err != nil {
		return nil, errors.Join(err, first.close())
	}

	d.readers = newReaders(d.connectReader)
	d.readers.idle = append(d.readers.idle, first)
	if d.fixed {
		d.readers.most = 0 // a connection to a frozen file never sees it change
	}
	d.writer = &writer{open: d.connectWriter, patience: o.Patience, committed: d.committed}
	d.wal = &walKeeper{open: d.connect, writer: d.writer}
	return d, nil
}

// connect opens a connection. Order matters: nothing may touch the file before
// the pragmas that say how.
func (d *db) connect(ctx context.Context) (*conn, error) {
	// That a database is read-only is query_only's business: a connection that SQLite
	// opens read-only creates a write-ahead log and cannot remove it.
	if d.fixed && d.frozen() {
		return d.connectTo(ctx, uri(d.path, immutable), sqlite.OpenReadOnly|sqlite.OpenURI)
	}
	vfs, err := logvfs.Name()
	if err != nil {
		return nil, err
	}
	return d.connectTo(ctx, uri(d.path, "vfs="+vfs), sqlite.OpenReadWrite|sqlite.OpenURI)
}

func (d *db) connectTo(ctx context.Context, name string, flags sqlite.OpenFlags) (*conn, error) {
	sq, err := handle.Open(name, flags)
	if err != nil {
		return nil, classify(d.path, err)
	}
	c := &conn{
		sq: sq, path: d.path, interrupt: interrupt{sq: sq},
		stmts: make(map[string]*stmt), own: make(map[string]*stmt),
	}
	if d.options.Debug {
		c.log = d.options.Logger
	}
	c.interrupt.arm()
	if err := sq.SetAuthorizer(sqlite.AuthorizeFunc(c.authorize)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	// patiently waits better than SQLite: with an end, and until a context ends.
	sq.SetBusyTimeout(0)
	err = patiently(ctx, d.options.Patience, func() error {
		return c.execAll(
			"PRAGMA foreign_keys = ON",
			"PRAGMA synchronous = "+d.synchronous(),
			"PRAGMA temp_store = MEMORY",
		)
	})
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (d *db) connectReader(ctx context.Context) (*conn, error) {
	c, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.becomeReader(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// becomeReader makes a connection refuse to write. A read waits for another
// process only at rare moments, such as when that recovers the log or removes
// it; then it waits until its context ends.
func (c *conn) becomeReader() error {
	c.sq.SetBlockOnBusy()
	return c.exec("PRAGMA query_only = ON")
}

// connectWriter returns the writer's connection: a reader that has nothing to do, or else
// a new one. A new one reads the schema, which is most of the time of a command that
// claims a task. The write-ahead log is copied by the walKeeper; only if that does not
// come to it, a commit does it.
func (d *db) connectWriter(ctx context.Context) (c *conn, err error) {
	if c = d.readers.takeIdle(); c == nil {
		if c, err = d.connect(ctx); err != nil {
			return nil, err
		}
	}
	c.sq.SetBusyTimeout(0) // as connect has it
	err = c.execAll(
		"PRAGMA query_only = OFF",
		fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", walForcePages),
		fmt.Sprintf("PRAGMA journal_size_limit = %d", walKeptBytes),
	)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (d *db) synchronous() string {
	switch {
	case d.memory:
		return "OFF"
	case d.options.NoSync:
		return "NORMAL"
	default:
		return "FULL"
	}
}

func (d *db) committed() {
	d.startWAL.Do(d.wal.start)
	d.wal.committed()
}

func (d *db) Read(ctx context.Context, fn func(driver.Conn) error) error {
	return d.readers.read(ctx, func(c *conn) error { return fn(c) })
}

func (d *db) Snapshot(ctx context.Context, fn func(driver.Conn) error) error {
	return d.readers.snapshot(ctx, fn)
}

func (d *db) Write(ctx context.Context, fn func(driver.Conn) error) error {
	if d.options.ReadOnly {
		return d.refuseToWrite()
	}
	return d.writer.do(ctx, false, fn)
}

func (d *db) WriteAnywhere(ctx context.Context, fn func(driver.Conn) error) error {
	if d.options.ReadOnly {
		return d.refuseToWrite()
	}
	return d.writer.do(ctx, true, fn)
}

// WriteBeside is WriteAnywhere: there is one writer at a time.
func (d *db) WriteBeside(ctx context.Context, fn func(driver.Conn) error) error {
	return d.WriteAnywhere(ctx, fn)
}

func (d *db) refuseToWrite() error {
	if d.fixed {
		return &nexus.Error{
			Code: nexus.CodeReadOnly, Message: d.path + " cannot be written",
			Hint: "nothing was changed; check the permissions of the file and its folder",
		}
	}
	return &nexus.Error{
		Code: nexus.CodeReadOnly, Message: d.path + " is open read-only",
		Hint: "nothing was changed; open it without read-only",
	}
}

func (d *db) Ping(ctx context.Context) error {
	return d.Read(ctx, func(c driver.Conn) error {
		return c.Query(ctx, "SELECT 1 FROM sqlite_master LIMIT 1", nil, func(driver.Row) error { return nil })
	})
}

// Identity implements driver.DB.
func (d *db) Identity(context.Context) (string, error) {
	file, err := fileIdentity(d.path)
	return "sqlite " + file, disk.Error(err)
}

func (d *db) Tables(ctx context.Context) (tables []string, err error) {
	err = d.Read(ctx, func(c driver.Conn) error {
		all, err := tableNames(ctx, c)
		for _, name := range all {
			if !internalTable(name) {
				tables = append(tables, name)
			}
		}
		return err
	})
	return tables, err
}

func (d *db) Schema(ctx context.Context) (statements []string, err error) {
	const schema = `
		SELECT sql FROM sqlite_master
		WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
			AND name NOT LIKE 'search\_index\_%' ESCAPE '\' -- those FTS5 makes with its table
		ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid`
	err = d.Read(ctx, func(c driver.Conn) error {
		return c.Query(ctx, schema, nil, func(r driver.Row) error {
			statements = append(statements, r.Text(0))
			return nil
		})
	})
	return statements, err
}

// Close waits for the calls under way. The last process to close the file copies
// the write-ahead log into it and removes the log.
func (d *db) Close() error {
	d.closed.Do(func() {
		writer := d.writer.close()
		d.startWAL.Do(func() { d.wal = nil }) // it has never been started
		if d.wal != nil {
			d.wal.stop()
		}
		d.readers.drain()
		d.closeErr = errors.Join(writer, d.closeLast(d.readers.close), d.discard())
	})
	return d.closeErr
}

// tableNames returns the names of all tables in the order of their creation.
func tableNames(ctx context.Context, c driver.Conn) (names []string, err error) {
	err = c.Query(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid", nil,
		func(r driver.Row) error {
			names = append(names, r.Text(0))
			return nil
		})
	return names, err
}

// internalTable reports whether a table is SQLite's or a migrator's own. FTS5 keeps
// an index in tables that are named after it.
func internalTable(name string) bool {
	return migration.IsTracker(name) || strings.HasPrefix(name, "sqlite_") || strings.HasPrefix(name, searchIndex+"_")
}
