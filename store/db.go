package store

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	Services

	driver  driver.DB
	now     func() time.Time
	log     *slog.Logger
	indexed atomic.Int64 // how far history_rows has been seen to follow the history

	checkpointing atomic.Bool // somebody was seen to want checkpoints to be made
}

// Services has one service per entity.
type Services struct {
	Projects     Projects
	Features     Features
	SubFeatures  SubFeatures
	Tasks        Tasks
	Agents       Agents
	Checkpoints  Checkpoints
	Requirements Requirements
	Metrics      Metrics
	Sessions     Sessions
}

func newServices(run runner, now func() time.Time) Services {
	return Services{
		Projects:     Projects{service(projects, run, now)},
		Features:     Features{service(features, run, now)},
		SubFeatures:  SubFeatures{service(subFeatures, run, now)},
		Tasks:        Tasks{service(tasks, run, now)},
		Agents:       Agents{service(agents, run, now)},
		Checkpoints:  Checkpoints{service(checkpoints, run, now)},
		Requirements: Requirements{service(requirements, run, now)},
		Metrics:      Metrics{service(metrics, run, now)},
		Sessions:     Sessions{service(sessions, run, now)},
	}
}

func service[E, F, U any](t *table[E, F, U], run runner, now func() time.Time) Service[E, F, U] {
	return Service[E, F, U]{t, run, now}
}

// New returns a DB over a driver. Programs call a driver's Open instead. The logger is
// told what goes wrong after a call has succeeded; nil is slog.Default.
func New(d driver.DB, now func() time.Time, log *slog.Logger) *DB {
	if log == nil {
		log = slog.Default()
	}
	db := &DB{driver: d, now: now, log: log}
	db.Services = newServices(db, now)
	return db
}

// Columns returns the columns of an entity's table that Nexus reads and writes.
func Columns(kind nexus.Kind) []Column {
	switch kind {
	case nexus.KindProject:
		return projects.describe()
	case nexus.KindFeature:
		return features.describe()
	case nexus.KindSubFeature:
		return subFeatures.describe()
	case nexus.KindTask:
		return tasks.describe()
	case nexus.KindAgent:
		return agents.describe()
	case nexus.KindCheckpoint:
		return checkpoints.describe()
	case nexus.KindRequirement:
		return requirements.describe()
	case nexus.KindMetric:
		return metrics.describe()
	case nexus.KindSession:
		return sessions.describe()
	default:
		return nil
	}
}

func (t *table[E, F, U]) describe() []Column {
	list := make([]Column, len(t.columns))
	for i, c := range t.columns {
		list[i] = c.Column
	}
	return list
}

// Tables lists the tables: the nine of the contract in their order, then those
// that Nexus and the user have added. Tables of the database itself and of
// migrators are left out.
func (db *DB) Tables(ctx context.Context) (contract, added []string, err error) {
	all, err := db.driver.Tables(ctx)
	if err != nil {
		return nil, nil, err
	}
	ours := make(map[string]bool)
	for _, kind := range nexus.Kinds() {
		ours[kind.Table()] = true
		contract = append(contract, kind.Table())
	}
	for _, table := range all {
		if !ours[table] {
			added = append(added, table)
		}
	}
	return contract, added, nil
}

// Schema returns the SQL statements that create everything in the database.
func (db *DB) Schema(ctx context.Context) ([]string, error) { return db.driver.Schema(ctx) }

// Identity tells the database from all others, and is the same for all who have it
// open, by whatever path or URL, as far as that can be known.
func (db *DB) Identity(ctx context.Context) (string, error) { return db.driver.Identity(ctx) }

// Ping returns nil if the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.driver.Ping(ctx) }

// Health looks the database over, which takes time in proportion to the data;
// Ping does not. With deep, it also compares indexes with tables and follows
// every foreign key.
func (db *DB) Health(ctx context.Context, deep bool) (driver.Health, error) {
	return db.driver.Health(ctx, deep)
}

// Backup writes a copy of one state of the database to a new file at path, while
// other programs and this one go on writing. What was acknowledged before the call
// is in it. The copy is verified, and the file is there only if it is right, whole
// and on disk. progress may be nil; it is told how much is done of how much.
//
// Codes: CodeExists if there is a file at path, CodeInvalid if it is the database
// itself, CodeFull, CodeIO, CodeReadOnly, CodeCanceled, and CodeCorrupt if the
// database is damaged. After any of them nothing is left at path.
func (db *DB) Backup(ctx context.Context, path string, progress func(done, total int64)) (driver.Backup, error) {
	return db.driver.Backup(ctx, path, progress)
}

// Close waits for the calls under way and closes the database. Later calls
// return nexus.CodeClosed; closing again does nothing. It must not be called from
// within a function given to InTx or View, for which it would wait.
func (db *DB) Close() error { return db.driver.Close() }

// InTx runs fn in a transaction, and returns nil only when that is on disk. If
// fn returns an error or panics, nothing of what it did remains. Rules between
// tasks are checked at its end: what a task depends on exists, and no task
// depends on itself, directly or not.
//
// fn must write through its tx: a write through the DB would wait for the
// transaction that it is called from. And fn may run more than once, because
// another write of the same commit or, on some databases, another transaction
// has got in its way; what it did before has then been undone, so it must do
// nothing outside the database that may not be done twice.
func (db *DB) InTx(ctx context.Context, fn func(tx *Tx) error) error {
	var due []nexus.CheckpointRequest
	var tx *Tx
	err := again(func() error {
		return db.driver.Write(ctx, func(c driver.Conn) (err error) {
			tx = newTx(c, db.now)
			due, err = db.settled(ctx, c, &tx.end, func() error { return fn(tx) })
			return err
		})
	})
	if err == nil {
		db.committed(ctx, &tx.end, due)
	}
	return err
}

// View runs fn on a snapshot: all that it reads is of one moment. Writes in it
// are refused with nexus.CodeReadOnly.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error) error {
	return db.driver.Snapshot(ctx, func(c driver.Conn) error { return fn(newTx(c, db.now)) })
}

func (db *DB) read(ctx context.Context, fn func(driver.Conn) error) error {
	return db.driver.Read(ctx, fn)
}

func (db *DB) snapshot(ctx context.Context, fn func(driver.Conn) error) error {
	return db.driver.Snapshot(ctx, fn)
}

func (db *DB) write(ctx context.Context, fn func(driver.Conn, *settlement) error) error {
	return db.settle(ctx, db.driver.WriteAnywhere, fn)
}

func (db *DB) writeBeside(ctx context.Context, fn func(driver.Conn, *settlement) error) error {
	return db.settle(ctx, db.driver.WriteBeside, fn)
}

// settle runs fn as a transaction of a kind.
func (db *DB) settle(ctx context.Context, transact func(context.Context, func(driver.Conn) error) error, fn func(driver.Conn, *settlement) error) error {
	var due []nexus.CheckpointRequest
	var end settlement
	err := again(func() error {
		return transact(ctx, func(c driver.Conn) (err error) {
			end = settlement{} // when this runs a second time
			due, err = db.settled(ctx, c, &end, func() error { return fn(c, &end) })
			return err
		})
	})
	if err == nil {
		db.committed(ctx, &end, due)
	}
	return err
}

// committed does what comes after a transaction: it tells the others, and makes the
// checkpoints that are due.
func (db *DB) committed(ctx context.Context, end *settlement, due []nexus.CheckpointRequest) {
	if n, can := db.driver.(driver.Notifier); can && end.operation.changed {
		n.Notify()
	}
	db.makeDue(ctx, due)
}
