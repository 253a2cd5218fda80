package store

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Compact forgets the history that is older than the request keeps, and gives the
// space back. Of what it forgets, it keeps the states at the checkpoints that there
// are: they can still be read, verified and restored. Idempotency keys that are older
// than [KeysKept] go, too.
//
// It works in small transactions, between which others write. The first of them says
// from where on the history is whole; whatever happens after that, all that is promised
// holds, and to compact again does the rest. Then SQLite's file is rewritten, which
// holds writers up; if that takes longer than half of what they wait, it is given up,
// and the free pages are used for what is stored next. PostgreSQL's tables are vacuumed,
// beside everybody, so that their free pages are used; they do not become smaller.
//
// Codes: CodeInvalid; CodeFull if there is less space on the disk than SQLite's file
// takes, and then nothing was changed; CodeCorrupt if the history does not fit together;
// CodeReadOnly, CodeBusy, CodeCanceled, CodeIO. A retry forgets only what has become
// old since.
func (db *DB) Compact(ctx context.Context, r nexus.CompactRequest) (*nexus.Compaction, error) {
	if r.Keep < 0 {
		return nil, &nexus.Error{
			Code: nexus.CodeInvalid, Problems: []nexus.Problem{{Field: "keep", Message: "cannot be negative"}}, Hint: "nothing was changed",
		}
	}
	if r.Progress == nil {
		r.Progress = func(int64, int64) {}
	}
	report := &nexus.Compaction{Checkpoints: []int64{}, DryRun: r.DryRun}
	shrinker, shrinks := db.driver.(driver.Shrinker)
	if shrinks {
		var err error
		if report.BytesBefore, err = shrinker.Size(ctx); err == nil && !r.DryRun {
			err = shrinker.MayShrink(ctx)
		}
		if err != nil {
			return nil, err
		}
		report.BytesAfter = report.BytesBefore
	}
	x := &compaction{db: db, ctx: ctx, dry: r.DryRun, report: report, progress: r.Progress}
	if err := x.run(r.Keep); err != nil {
		return nil, err
	}
	if shrinks && !r.DryRun {
		var err error
		if report.NotShrunk, err = shrinker.Shrink(ctx); err == nil {
			report.BytesAfter, err = shrinker.Size(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
	return report, nil
}

// compactBatch is about how many records a transaction of a compaction looks at, so
// that others need not wait for it.
const compactBatch = 512

// compaction is one run of Compact.
//
// The checkpoints before the horizon divide what is before it into stretches: up to
// the first, from each to the next, from the last to the horizon. Between two moments
// that can be told, only the first change of each row counts, because that says what
// the row was at the first of them. Those of the first stretch say what was so before
// all moments that can be told.
type compaction struct {
	db       *DB
	ctx      context.Context
	dry      bool
	report   *nexus.Compaction
	progress func(done, total int64)

	horizon int64
	kept    []int64 // the changes of the checkpoints before the horizon, in their order
	old     int64   // how many records there are up to the horizon
	seen    int64   // how many of them have been looked at

	conn  driver.Conn // of the transaction, as is what follows
	batch batch
}

// batch is what one transaction has done.
type batch struct{ seen, forgotten, rewritten int64 }

func (x *compaction) run(keep time.Duration) error {
	steps := func() error {
		for _, step := range []func() error{
			func() error { return x.once(func() error { return x.begin(keep) }) },
			x.forgetFirstStretch, x.compactRows, x.forgetOperations,
			func() error { return x.once(x.count) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}
	if !x.dry {
		return steps()
	}
	return x.db.snapshot(x.ctx, func(c driver.Conn) error {
		x.conn = c
		return steps()
	})
}

// once runs fn in a transaction of its own. fn may run more than once.
func (x *compaction) once(fn func() error) error {
	run := func(c driver.Conn) error {
		x.conn, x.batch = c, batch{}
		return fn()
	}
	var err error
	if x.dry {
		err = run(x.conn)
	} else {
		err = x.db.driver.WriteAnywhere(x.ctx, run)
	}
	if err != nil {
		return err
	}
	x.seen += x.batch.seen
	x.report.Forgotten += x.batch.forgotten
	x.report.Rewritten += x.batch.rewritten
	x.progress(min(x.seen, x.old), x.old)
	return nil
}

// exec runs a statement, unless it is a dry run.
func (x *compaction) exec(sql string, args ...driver.Arg) error {
	if x.dry {
		return nil
	}
	_, err := x.conn.Exec(x.ctx, sql, args...)
	return err
}

// number returns what a query for one number finds.
func (x *compaction) number(sql string, args ...driver.Arg) (n int64, err error) {
	err = x.conn.Query(x.ctx, sql, args, func(r driver.Row) error {
		n = r.Int(0)
		return nil
	})
	return n, err
}

// begin decides what is kept, and says so in the marks: from here on nobody asks for
// anything else.
func (x *compaction) begin(keep time.Duration) (err error) {
	last, err := lastRecord(x.ctx, x.conn)
	if err != nil {
		return err
	}
	oldest, err := oldestMoment(x.ctx, x.conn)
	if err != nil {
		return err
	}
	now := x.db.now()
	x.horizon = last
	if keep > 0 {
		x.horizon, err = momentAt(x.ctx, x.conn, micros(now.Add(-keep)))
		if nexus.CodeOf(err) == nexus.CodeNotFound { // all of that is forgotten already
			x.horizon, err = oldest, nil
		}
		if err != nil {
			return err
		}
	}
	if err := x.chooseCheckpoints(oldest); err != nil {
		return err
	}
	x.report.Horizon, x.report.Checkpoints = x.horizon, append([]int64{}, x.kept...)
	if x.report.RecordsBefore, err = x.number("SELECT count(*) FROM history"); err != nil {
		return err
	}
	if x.old, err = x.number("SELECT count(*) FROM history WHERE seq <= $1", driver.Int(x.horizon)); err != nil {
		return err
	}
	tooOld := driver.Int(micros(now.Add(-KeysKept)))
	if x.report.Keys, err = x.number("SELECT count(*) FROM idempotency_keys WHERE created_us < $1", tooOld); err != nil {
		return err
	}
	if err := x.exec("DELETE FROM idempotency_keys WHERE created_us < $1", tooOld); err != nil || x.dry {
		return err
	}
	if !followsItself(x.conn) {
		if err := x.exec(tidy); err != nil {
			return err
		}
	}
	return x.mark(last)
}

// chooseCheckpoints finds the moments before the horizon that can be told, and have a
// checkpoint.
func (x *compaction) chooseCheckpoints(oldest int64) error {
	all, err := checkpointSeqs(x.ctx, x.conn)
	if err != nil {
		return err
	}
	marked := make(map[int64]bool)
	const marks = `SELECT seq FROM history_marks WHERE name >= $1 AND name < $2`
	err = x.conn.Query(x.ctx, marks, keptMarks, func(r driver.Row) error {
		marked[r.Int(0)] = true
		return nil
	})
	x.kept = slices.DeleteFunc(all, func(seq int64) bool {
		return seq < 0 || seq >= x.horizon || seq < oldest && !marked[seq]
	})
	return err
}

// mark writes down what can be told from now on.
func (x *compaction) mark(last int64) error {
	if err := setHistoryMark(x.ctx, x.conn, "forgotten", x.horizon); err != nil {
		return err
	}
	if err := x.exec("DELETE FROM history_marks WHERE name >= $1 AND name < $2", keptMarks...); err != nil {
		return err
	}
	list, err := json.Marshal(append([]int64{}, x.kept...))
	if err != nil {
		return err
	}
	insert := "INSERT INTO history_marks (name, seq) SELECT $2 || value, CAST(value AS BIGINT) FROM " + x.conn.Dialect().Elements(1)
	if err := x.exec(insert, driver.Text(string(list)), driver.Text(keptMark)); err != nil {
		return err
	}
	return indexAll(x.ctx, x.conn)
}

// keptMark begins the names of the marks of moments before the mark 'forgotten' that
// can be told. That there is a checkpoint is not enough: one that was deleted when the
// history was compacted, and has come back since, has lost its state.
const keptMark = "kept "

// keptMarks are from where to where their names are.
var keptMarks = []driver.Arg{driver.Text(keptMark), driver.Text(keptMark + lastOfAll)}

// forgetFirstStretch deletes the records that no moment needs.
func (x *compaction) forgetFirstStretch() error {
	upTo := x.horizon - 1
	if len(x.kept) > 0 {
		upTo = x.kept[0]
	}
	next := int64(0)
	for next <= upTo {
		from := next
		err := x.once(func() (err error) {
			next, err = x.forgetSome(from, upTo)
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(x.kept) > 0 {
		return nil
	}
	return x.once(func() error { return x.forget(x.horizon) })
}

// forgetSome deletes records from a number on, and returns where to go on.
func (x *compaction) forgetSome(from, upTo int64) (next int64, err error) {
	const some = `SELECT max(seq), count(*) FROM (SELECT seq FROM history WHERE seq >= $1 AND seq <= $2 ORDER BY seq LIMIT $3) AS batch`
	args := []driver.Arg{driver.Int(from), driver.Int(upTo), driver.Int(compactBatch)}
	err = x.conn.Query(x.ctx, some, args, func(r driver.Row) error {
		next = r.Int(0) + 1
		x.batch.forgotten, x.batch.seen = r.Int(1), r.Int(1)
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case x.batch.forgotten == 0:
		return upTo + 1, nil
	}
	if err := x.deleteRecords("seq >= $1 AND seq < $2", driver.Int(from), driver.Int(next)); err != nil {
		return 0, err
	}
	return next, nil
}

// deleteRecords deletes the records that fit a condition, whatever they are.
func (x *compaction) deleteRecords(condition string, args ...driver.Arg) error {
	if err := x.deleteFromIndex(condition, args...); err != nil {
		return err
	}
	return x.exec("DELETE FROM history WHERE "+condition, args...)
}

// deleteFromIndex takes the records that fit a condition out of history_rows, where that
// does not follow by itself.
func (x *compaction) deleteFromIndex(condition string, args ...driver.Arg) error {
	if followsItself(x.conn) {
		return nil
	}
	return x.exec("DELETE FROM history_rows WHERE (id, kind, seq) IN (SELECT id, kind, seq FROM history WHERE "+condition+")", args...)
}

// forgetChange makes a change the record of an operation of which nothing is known. To
// delete it and insert another would have others who write wait where they go side by
// side.
var forgetChange = sync.OnceValue(func() string {
	var columns strings.Builder
	for n := range imageColumns {
		columns.WriteString(", v" + strconv.Itoa(n+1) + " = NULL")
	}
	return `
		UPDATE history SET change = 'operation', first = seq, kind = NULL, id = NULL, project_id = NULL, large = NULL` + columns.String() + `
		WHERE seq = $1 AND change <> 'operation'`
})

// forget deletes a record. That at the horizon stays, because it has the time from
// which on the history is whole, and because it may be the newest: a number must not
// be given twice.
func (x *compaction) forget(seq int64) error {
	if seq == x.horizon {
		if err := x.deleteFromIndex("seq = $1", driver.Int(seq)); err != nil {
			return err
		}
		return x.exec(forgetChange(), driver.Int(seq))
	}
	x.batch.forgotten++
	return x.deleteRecords("seq = $1", driver.Int(seq))
}

// forgetOperations deletes the records of the operations whose changes are not told
// any more.
func (x *compaction) forgetOperations() error {
	const (
		span = 8 * compactBatch
		of   = ` FROM history WHERE seq > $1 AND seq <= $2 AND change = 'operation'`
	)
	if len(x.kept) == 0 {
		return nil
	}
	for from := x.kept[0]; from < x.horizon-1; from += span {
		err := x.once(func() (err error) {
			args := []driver.Arg{driver.Int(from), driver.Int(min(from+span, x.horizon-1))}
			if x.batch.forgotten, err = x.number("SELECT count(*)"+of, args...); err != nil {
				return err
			}
			x.batch.seen = x.batch.forgotten
			return x.exec("DELETE"+of, args...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// count ends the report.
func (x *compaction) count() (err error) {
	x.seen = x.old // also what was passed over
	if x.report.RecordsAfter = x.report.RecordsBefore - x.report.Forgotten; !x.dry {
		x.report.RecordsAfter, err = x.number("SELECT count(*) FROM history")
	}
	return err
}
