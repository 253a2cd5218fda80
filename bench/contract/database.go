package contract

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/seed-c8812374/nexus/bench/peer"
)

// Database is a program on database/sql that writes its SQL itself and prepares
// all of it.
type Database struct {
	db      *sql.DB
	version string
	stmts   map[string]*sql.Stmt
}

// NewDatabase returns a program on db, whose driver is in a module.
func NewDatabase(db *sql.DB, driver string) (*Database, error) {
	d := &Database{db: db, stmts: make(map[string]*sql.Stmt)}
	if err := db.QueryRow("SELECT sqlite_version()").Scan(&d.version); err != nil {
		return nil, err
	}
	d.version = "SQLite " + d.version + ", " + driver + " " + peer.ModuleVersion(driver)
	return d, nil
}

// Version implements peer.Tables.
func (d *Database) Version() string { return d.version }

// Get implements peer.Tables.
func (d *Database) Get(id string) error {
	s, err := d.prepare(GetTask)
	if err != nil {
		return err
	}
	var t Task
	return s.QueryRow(id).Scan(t.fields()...)
}

// List implements peer.Tables.
func (d *Database) List() (int, error) {
	tasks, err := list(d, ListTasks, (*Task).fields, peer.Project)
	return len(tasks), err
}

// Ready implements peer.Tables.
func (d *Database) Ready() (int, error) {
	tasks, err := list(d, ReadyTasks, (*Task).fields, peer.ReadyLimit)
	return len(tasks), err
}

// Each implements peer.Tables.
func (d *Database) Each() (rows int, err error) {
	s, err := d.prepare(EachTask)
	if err != nil {
		return 0, err
	}
	err = scan(s, func(r *sql.Rows) error {
		var t Task
		rows++
		return r.Scan(t.fields()...)
	})
	return rows, err
}

// Load implements peer.Tables.
func (d *Database) Load() (features, tasks int, err error) {
	s, err := d.prepare(GetProject)
	if err != nil {
		return 0, 0, err
	}
	var p Project
	err = s.QueryRow(peer.Project).Scan(&p.ID, &p.Name, &p.Description, &p.Mode, &p.Status, &p.RootPath,
		&p.RepositoryURL, &p.CreatedAt, &p.UpdatedAt, &p.CompletedAt)
	if err != nil {
		return 0, 0, err
	}
	errs := make([]error, 7)
	p.Features, errs[0] = list(d, ListFeatures, (*Feature).fields, p.ID)
	_, errs[1] = list(d, ListSubFeatures, (*SubFeature).fields, p.ID)
	p.Tasks, errs[2] = list(d, ListTasks, (*Task).fields, p.ID)
	p.Checkpoints, errs[3] = list(d, ListCheckpoints, (*Checkpoint).fields, p.ID)
	p.Requirements, errs[4] = list(d, ListRequirements, (*Requirement).fields, p.ID)
	p.Metrics, errs[5] = list(d, ListMetrics, (*Metric).fields, p.ID)
	p.Sessions, errs[6] = list(d, ListSessions, (*Session).fields, p.ID)
	return len(p.Features), len(p.Tasks), errors.Join(errs...)
}

// Insert implements peer.Tables.
func (d *Database) Insert(t *peer.Task) error {
	s, err := d.prepare(InsertTask)
	if err != nil {
		return err
	}
	_, err = s.Exec(NewTask(t, time.Now().Unix()).values()...)
	return err
}

// InsertMany implements peer.Tables.
func (d *Database) InsertMany(tasks []*peer.Task) error {
	return d.inTx(InsertTask, func(s *sql.Stmt) error {
		for _, t := range tasks {
			if _, err := s.Exec(NewTask(t, time.Now().Unix()).values()...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Update implements peer.Tables.
func (d *Database) Update(u peer.Update) error {
	s, err := d.prepare(UpdateTask)
	if err != nil {
		return err
	}
	_, err = s.Exec(u.Branch, u.Minutes, time.Now().Unix(), u.ID)
	return err
}

// UpdateMany implements peer.Tables.
func (d *Database) UpdateMany(updates []peer.Update) error {
	return d.inTx(UpdateTask, func(s *sql.Stmt) error {
		for _, u := range updates {
			if _, err := s.Exec(u.Branch, u.Minutes, time.Now().Unix(), u.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// CopyTo implements peer.Copier.
func (d *Database) CopyTo(path string) error {
	_, err := d.db.Exec("VACUUM INTO ?", path)
	return err
}

// Close implements peer.Tables.
func (d *Database) Close() error {
	for _, s := range d.stmts {
		if err := s.Close(); err != nil {
			return err
		}
	}
	return d.db.Close()
}

// prepare returns a statement that is kept. Writers at the same time find theirs
// prepared already, by the one writer that was measured before.
func (d *Database) prepare(text string) (*sql.Stmt, error) {
	if s := d.stmts[text]; s != nil {
		return s, nil
	}
	s, err := d.db.PrepareContext(context.Background(), text)
	if err == nil {
		d.stmts[text] = s
	}
	return s, err
}

func (d *Database) inTx(text string, do func(*sql.Stmt) error) error {
	s, err := d.prepare(text)
	if err != nil {
		return err
	}
	tx, err := d.db.Begin()
	if err != nil {
		return err
	}
	if err := do(tx.Stmt(s)); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// list reads rows into a slice; fields are where the columns of one go.
func list[E any](d *Database, text string, fields func(*E) []any, args ...any) (rows []E, err error) {
	s, err := d.prepare(text)
	if err != nil {
		return nil, err
	}
	err = scan(s, func(r *sql.Rows) error {
		var e E
		if err := r.Scan(fields(&e)...); err != nil {
			return err
		}
		rows = append(rows, e)
		return nil
	}, args...)
	return rows, err
}

func scan(s *sql.Stmt, row func(*sql.Rows) error, args ...any) error {
	rows, err := s.Query(args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
