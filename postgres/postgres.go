package postgres

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// DefaultSchema is where Nexus keeps its tables unless the options or the URL name
// another schema.
const DefaultSchema = "nexus"

// Options are the choices when opening a database. The zero value is right for
// most.
type Options struct {
	// Schema is the schema of the tables, so that several projects can share a
	// database. It goes before schema=… in the URL, and that before the first of
	// search_path=…; the default is [DefaultSchema]. It is created if it does not
	// exist.
	Schema string

	// Migrations is a folder with migrations of the caller's own, in goose's
	// format. They run after Nexus's and are tracked apart from them, in the
	// table nexus_user_migrations.
	Migrations string

	// NoSync lets a commit return before it has reached the server's disk
	// (synchronous_commit=off). A crash of the server may lose the last commits,
	// but never part of one.
	NoSync bool

	// ReadOnly refuses to write, and does not migrate.
	ReadOnly bool

	// Patience is how long a call waits for locks, for a free connection, and for
	// a server that is restarting, before it gives up with nexus.CodeBusy or
	// nexus.CodeOffline; 0 is one minute. Contexts may end it earlier.
	Patience time.Duration

	// Logger is told of what a person may want to know: a migration whose text has
	// changed, a checkpoint that was due and could not be made. Nil is slog.Default, or with Debug a log on standard error.
	Logger *slog.Logger

	// Debug logs every statement with its arguments and duration, at
	// slog.LevelDebug. The URL and its password are never logged.
	Debug bool

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Open opens the database that a URL such as postgres://nexus@host/db?schema=team
// names, and brings its schema up to date. Any number of processes may do so at the
// same time. If anything fails, the database is as it was.
//
// Its errors have these codes: nexus.CodeInvalid if the URL makes no sense,
// CodeOffline if no server answers, CodeDenied if it refuses the user, CodeNotFound
// if it has no such database, CodeForeign if the schema is another program's,
// CodeNewer if a newer Nexus has written it, CodeMigration, CodeReadOnly, CodeFull,
// CodeBusy and CodeCanceled. No error and no log has the password.
func Open(ctx context.Context, url string, options *Options) (*store.DB, error) {
	o := options.withDefaults()
	d, err := open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	if err := d.bringUpToDate(ctx); err != nil {
		_ = d.Close()
		return nil, err
	}
	return store.New(d, o.Now, o.Logger), nil
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
	name    string // for messages, without a password
	schema  string
	options Options
	pool    *pgxpool.Pool
	pooled  bool // behind a pooler that gives each transaction another session

	// Half of the connections are for reads and half for writes, so that a function
	// that is in a transaction can always read outside of it.
	reading, writing chan struct{}

	news news // what is new, from and for other processes

	closing   chan struct{} // closed by Close
	closeOnce sync.Once
}

func open(ctx context.Context, url string, o Options) (*db, error) {
	if _, err := migration.User(o.Migrations); err != nil {
		return nil, err // before anything is done for nothing
	}
	d := &db{options: o, closing: make(chan struct{}), news: news{ending: make(chan struct{})}}
	config, err := d.configure(url)
	if err != nil {
		return nil, err
	}
	half := max(1, int(config.MaxConns)/2)
	config.MaxConns = int32(2 * half)
	d.reading, d.writing = make(chan struct{}, half), make(chan struct{}, half)
	d.news.config = listenerConfig(config.ConnConfig.Config.Copy())
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, d.classify(err)
	}
	// A server that is not there is said at once: it is more likely to be a mistake
	// than an outage.
	c, err := d.connect(ctx, d.reading)
	if err == nil {
		err = d.checkServer(c.pg)
		c.release()
	}
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

// Ping implements driver.DB.
func (d *db) Ping(ctx context.Context) error {
	return d.Read(ctx, func(c driver.Conn) error {
		return c.Query(ctx, "SELECT 1", nil, func(driver.Row) error { return nil })
	})
}

// Identity implements driver.DB.
func (d *db) Identity(ctx context.Context) (identity string, err error) {
	const sql = `
		SELECT (SELECT system_identifier FROM pg_control_system()), (SELECT oid FROM pg_database WHERE datname = current_database())`
	err = d.Read(ctx, func(c driver.Conn) error {
		return c.Query(ctx, sql, nil, func(r driver.Row) error {
			identity = "postgres " + r.Text(0) + " " + r.Text(1) + " " + d.schema
			return nil
		})
	})
	return identity, err
}

// Backup implements driver.DB: a database is backed up by PostgreSQL's own programs.
func (d *db) Backup(context.Context, string, func(done, total int64)) (driver.Backup, error) {
	if d.isClosed() {
		return driver.Backup{}, errClosed()
	}
	return driver.Backup{}, &nexus.Error{
		Code: nexus.CodeInvalid, Message: "a PostgreSQL database is backed up by PostgreSQL's own programs",
		Hint: "run pg_dump --format=custom --schema=" + d.schema + " --file=FILE with the same URL; pg_restore puts it back",
	}
}

// Close implements driver.DB.
func (d *db) Close() error {
	d.closeOnce.Do(func() {
		d.news.end()
		close(d.closing)
	})
	d.pool.Close() // waits for the connections that are in use
	return nil
}

func (d *db) isClosed() bool {
	select {
	case <-d.closing:
		return true
	default:
		return false
	}
}

func errClosed() error {
	return &nexus.Error{Code: nexus.CodeClosed, Message: "the database is closed"}
}
