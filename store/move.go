package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Moved says what a move has stored.
type Moved struct {
	SchemaVersion int64        `json:"schema_version"` // of the source
	Tables        []MovedTable `json:"tables"`
	NotMoved      []string     `json:"not_moved,omitempty"` // tables of others that hold rows
}

// MovedTable is a table as it was read from the source, and as it was then read from
// the target.
type MovedTable struct {
	Name   string      `json:"table"`
	Source TableDigest `json:"source"`
	Target TableDigest `json:"target"`
}

// Move stores all that a database holds in another that holds nothing: the nine tables,
// Nexus's own, and the history. The source is read at one moment, while others go on
// writing to it, and is not changed. The target is written in one transaction, which is
// committed only when it has been read back and is, by the count and hash of each table,
// what was read from the source; so if anything goes wrong, it is as it was. Memory does
// not grow with the number of rows.
//
// progress may be nil; it is told how much is done of how much, in no particular unit.
// If the transaction has to begin again, so does that.
//
// Codes: CodeExists if the target holds rows; CodeInvalid if the two are one database, or
// the source holds something that the target cannot; CodeNewer if the source has a newer
// schema; CodeCorrupt if what is read back is something else; and those of reading the one
// and writing the other.
func Move(ctx context.Context, from, to *DB, progress func(done, total int)) (*Moved, error) {
	if err := checkDifferent(ctx, from, to); err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(int, int) {}
	}
	var m *move
	err := to.InTx(ctx, func(tx *Tx) error {
		loader, err := tx.newLoader(ctx, "the target")
		if err != nil {
			return err
		}
		m = &move{ctx: ctx, target: tx, loader: loader, progress: progress}
		if err := loader.exactly(ctx, func() error { return m.load(from) }); err != nil {
			return err
		}
		return m.verify()
	})
	if err != nil {
		return nil, err
	}
	return &m.moved, nil
}

// checkDifferent refuses to move a database to itself.
func checkDifferent(ctx context.Context, from, to *DB) error {
	source, err := from.Identity(ctx)
	if err != nil {
		return err
	}
	target, err := to.Identity(ctx)
	if err == nil && source == target {
		return SameDatabase()
	}
	return err
}

// SameDatabase is the error of [Move] for a source and a target that are one database. A
// file under two names is better not even opened twice.
func SameDatabase() error {
	return &nexus.Error{
		Code: nexus.CodeInvalid, Message: "the source and the target are the same database",
		Hint: "nothing was changed; name another target",
	}
}

// Movable says what [Move] would store: the tables and how many rows the source has of
// each. It only reads.
func Movable(ctx context.Context, from *DB) (moved *Moved, err error) {
	err = from.View(ctx, func(tx *Tx) error {
		contents, err := tx.Contents(ctx)
		if err != nil {
			return err
		}
		moved = &Moved{SchemaVersion: contents.Version, NotMoved: contents.Others}
		for _, t := range contents.Tables {
			moved.Tables = append(moved.Tables, MovedTable{Name: t.Name, Source: TableDigest{Rows: t.Rows}})
		}
		return nil
	})
	return moved, err
}

// MayMove refuses what [Move] would refuse of a target: that it is the source, or not
// empty. It only reads.
func MayMove(ctx context.Context, from, to *DB) error {
	if err := checkDifferent(ctx, from, to); err != nil {
		return err
	}
	return to.View(ctx, func(tx *Tx) error {
		contents, err := tx.Contents(ctx)
		if err != nil {
			return err
		}
		return contents.checkEmpty("the target")
	})
}

// move is one try at it.
type move struct {
	ctx    context.Context
	target *Tx
	loader *Loader
	moved  Moved

	mu          sync.Mutex // of what follows
	progress    func(done, total int)
	done, total int
}

// Bounds on what has been read and is not stored yet.
const (
	batchesAhead = 2
	batchRows    = 1000
	batchBytes   = 1 << 20
)

// moveBatch is a piece of the source on its way to the target: rows of a table, or the large
// values of a record of the history, of which the rows have only the differences.
type moveBatch struct {
	table *ContentTable
	rows  [][]driver.Arg
	whole *wholeValues
}

// load reads the source on a goroutine of its own, so that both databases work at a time.
func (m *move) load(from *DB) error {
	ctx, stop := context.WithCancel(m.ctx)
	defer stop()
	batches := make(chan moveBatch, batchesAhead)
	read := make(chan error, 1)
	go func() {
		read <- from.View(ctx, func(tx *Tx) error { return m.read(ctx, tx, batches) })
		close(batches)
	}()
	err := m.store(batches)
	stop() // if that has failed
	for range batches {
		continue // until the reader has noticed
	}
	if readErr := <-read; err == nil {
		err = readErr
	}
	return err
}

// read sends all that the source holds, and notes what that was.
func (m *move) read(ctx context.Context, source *Tx, batches chan<- moveBatch) error {
	contents, err := source.Contents(ctx)
	if err != nil {
		return err
	}
	if known := m.loader.Version(); contents.Version > known {
		return &nexus.Error{
			Code: nexus.CodeNewer,
			Message: fmt.Sprintf("the source has schema version %d, from a newer Nexus; this program knows version %d",
				contents.Version, known),
			Hint: "update nexus; nothing was moved",
		}
	}
	m.begin(contents)
	s := &sender{ctx: ctx, to: batches}
	for i := range contents.Tables {
		t := &contents.Tables[i]
		digest, err := m.readTable(ctx, source, t, s)
		if err == nil {
			err = s.flush()
		}
		if err != nil {
			return err
		}
		m.moved.Tables[i] = MovedTable{Name: t.Name, Source: digest}
	}
	return nil
}

// begin notes what there is to be done: each row is read from either database, and the
// history once more.
func (m *move) begin(source *Contents) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved = Moved{SchemaVersion: source.Version, Tables: make([]MovedTable, len(source.Tables)), NotMoved: source.Others}
	for _, t := range source.Tables {
		m.total += 2 * int(t.Rows)
		if t.Name == historyTable {
			m.total += int(t.Rows)
		}
	}
}

// step notes that a row is done.
func (m *move) step() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.done++; m.done%1000 == 0 || m.done == m.total {
		m.progress(min(m.done, m.total), m.total)
	}
}

// readTable sends the rows of a table. Those of the history go as they are kept, oldest
// first; then they are read again, newest first, to see what the differences stand for.
func (m *move) readTable(ctx context.Context, source *Tx, t *ContentTable, s *sender) (TableDigest, error) {
	send := func(row []driver.Arg) error {
		m.step()
		return s.row(t, row)
	}
	if t.Name != historyTable {
		return source.digest(ctx, t, send)
	}
	if err := source.Rows(ctx, t, send); err != nil {
		return TableDigest{}, err
	}
	if err := s.flush(); err != nil {
		return TableDigest{}, err
	}
	return source.digestHistory(ctx, t, false, func(w *wholeValues) error {
		m.step()
		if !m.loader.keepsWhole() {
			return nil
		}
		if d := w.differences(); len(d.names) > 0 {
			return s.send(moveBatch{table: t, whole: d})
		}
		return nil
	})
}

// sender sends rows in batches.
type sender struct {
	ctx   context.Context
	to    chan<- moveBatch
	next  moveBatch
	bytes int
}

func (s *sender) row(t *ContentTable, row []driver.Arg) error {
	s.next.table = t
	s.next.rows = append(s.next.rows, slices.Clone(row))
	for i := range row {
		s.bytes += len(row[i].Text)
	}
	if len(s.next.rows) < batchRows && s.bytes < batchBytes {
		return nil
	}
	return s.flush()
}

func (s *sender) flush() error {
	full := s.next
	s.next, s.bytes = moveBatch{}, 0
	if len(full.rows) == 0 {
		return nil
	}
	return s.send(full)
}

func (s *sender) send(b moveBatch) error {
	select {
	case s.to <- b:
		return nil
	case <-s.ctx.Done():
		return &nexus.Error{Code: nexus.CodeCanceled, Message: "stopped before it was done", Hint: "nothing was moved"}
	}
}

// store stores what comes.
func (m *move) store(batches <-chan moveBatch) error {
	var source, target *ContentTable
	for b := range batches {
		if b.table != source {
			source = b.table
			var err error
			if target, err = m.prepare(source); err != nil {
				return err
			}
		}
		if err := m.storeBatch(target, source.Names(), &b); err != nil {
			return err
		}
	}
	return nil
}

func (m *move) storeBatch(target *ContentTable, columns []string, b *moveBatch) error {
	if b.whole != nil {
		return m.loader.setWhole(m.ctx, b.whole)
	}
	if target.Name == historyTable && m.loader.keepsWhole() {
		leaveOutDeltas(columns, b.rows)
	}
	if err := m.loader.checkFits(target, columns, b.rows); err != nil {
		return err
	}
	_, err := m.loader.InsertMany(m.ctx, target, columns, b.rows)
	switch nexus.CodeOf(err) {
	case nexus.CodeExists, nexus.CodeReference, nexus.CodeInvalid:
		return &nexus.Error{
			Code: nexus.CodeInvalid, Message: "the target cannot hold a row of " + target.Name,
			Hint: "nothing was moved; nexus doctor says what is wrong with the source", Err: err,
		}
	default:
		return err
	}
}

// prepare gives the table of the target the columns that others have added to that of
// the source.
func (m *move) prepare(source *ContentTable) (*ContentTable, error) {
	target := m.loader.Table(source.Name)
	if target == nil {
		return nil, nexus.Errorf(nexus.CodeCorrupt, "the target has no table %s", source.Name)
	}
	for _, c := range source.Added {
		if slices.Contains(target.Names(), c.Name) {
			continue
		}
		refused := &nexus.Error{
			Code:    nexus.CodeInvalid,
			Message: fmt.Sprintf("the column %q, which another program has added to %s, cannot be added to the target", c.Name, source.Name),
			Hint:    "nothing was moved; add it there yourself, and move again",
		}
		if !IsPlain(c) {
			return nil, refused
		}
		if err := m.loader.AddColumn(m.ctx, target, c); err != nil {
			if refused.Err = err; nexus.CodeOf(err) != nexus.CodeInvalid {
				return nil, err
			}
			return nil, refused
		}
	}
	return target, nil
}

// verify reads the target, and compares it with what was read from the source.
func (m *move) verify() error {
	contents, err := m.target.Contents(m.ctx)
	if err != nil {
		return err
	}
	var differ []string
	for i := range m.moved.Tables {
		moved := &m.moved.Tables[i]
		at := slices.IndexFunc(contents.Tables, func(t ContentTable) bool { return t.Name == moved.Name })
		if moved.Target, err = m.readBack(&contents.Tables[at]); err != nil {
			return err
		}
		if moved.Target != moved.Source {
			differ = append(differ, fmt.Sprintf("%s (%d rows, were %d)", moved.Name, moved.Target.Rows, moved.Source.Rows))
		}
	}
	if len(differ) > 0 {
		return &nexus.Error{
			Code: nexus.CodeCorrupt, Message: "what was read back from the target differs from the source: " + strings.Join(differ, ", "),
			Hint: "nothing was moved, and the source is as it was; run nexus doctor on it",
		}
	}
	return nil
}

func (m *move) readBack(t *ContentTable) (TableDigest, error) {
	if t.Name != historyTable {
		return m.target.digest(m.ctx, t, func([]driver.Arg) error {
			m.step()
			return nil
		})
	}
	return m.target.digestHistory(m.ctx, t, !m.loader.keepsWhole(), func(w *wholeValues) error {
		m.step()
		return m.loader.shorten(m.ctx, w)
	})
}
