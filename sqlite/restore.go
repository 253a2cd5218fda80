package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/disk"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Restored says what a restore has done.
type Restored = driver.Restored

// Restore puts the backup at from in place of the database at path, whoever has it
// open: they go on with the restored state, as after any commit. With replace it may
// hold rows; then the state that is replaced is copied to a file beside it first,
// while nobody can write, so that nothing that was acknowledged is in neither. It may
// also be damaged, as long as SQLite can open it.
//
// The backup is checked before, and not changed. If it is older, its copy is brought
// up to date, before anybody sees it. When the process is killed, the database is as
// it was before or as it is after.
//
// Codes: those of Open for the backup and for the database, CodeCorrupt for a damaged
// backup, and CodeExists if the database holds rows and replace is not given.
func Restore(ctx context.Context, path, from string, options *Options, replace bool, progress func(done, total int64)) (*Restored, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	d := &db{path: path, options: options.withDefaults()}
	if d.options.ReadOnly {
		return nil, d.refuseToWrite()
	}
	if path == Memory {
		return nil, nexus.Errorf(nexus.CodeInvalid, "a database in memory is gone afterwards; there is nothing to restore it to")
	}
	if isDatabase(from, path) {
		return nil, &nexus.Error{
			Code: nexus.CodeInvalid, Message: fmt.Sprintf("%s is the database itself, or belongs to it", from),
			Hint: "nothing was changed; name a backup",
		}
	}
	r := &restore{db: d, from: from, replace: replace, progress: progress}
	return r.run(ctx)
}

// restore is one run of Restore.
type restore struct {
	db       *db
	from     string
	replace  bool
	progress func(done, total int64)
	result   Restored
	pageSize string // of the backup
}

func (r *restore) run(ctx context.Context) (_ *Restored, err error) {
	r.result = Restored{Database: r.db.path, From: r.from, Replaced: map[string]int64{}}
	if err := os.MkdirAll(filepath.Dir(r.db.path), folderMode); err != nil {
		return nil, disk.Error(err)
	}
	draft, err := disk.NewDraft(r.db.path + ".restore")
	if err != nil {
		return nil, disk.Error(err)
	}
	defer func() { err = errors.Join(err, removeWithLog(draft)) }()
	if err := r.copyBackup(ctx, draft.Path); err != nil {
		return nil, about(draft.Path, r.db.path, ofBackup(err))
	}
	// The copy is nobody's but ours: it needs no backup, and does not wait for the disk.
	staged := &db{path: draft.Path, options: r.db.options, memory: true}
	err = staged.withConnection(ctx, func(c *conn) error {
		if err := r.prepareCopy(ctx, staged, c); err != nil {
			return err
		}
		if err := r.db.prepareFile(); err != nil {
			return err
		}
		if !writable(r.db.path) {
			r.db.fixed = true
			return r.db.refuseToWrite()
		}
		err := r.db.withConnection(ctx, func(target *conn) error {
			if err := r.replaceBy(ctx, c, target); err != nil {
				return err
			}
			// The log is as long as the backup. If it cannot be copied now, the next
			// process that writes or closes does it.
			_, _ = checkpoint(ctx, target, "PASSIVE")
			return nil
		})
		if nexus.CodeOf(err) == nexus.CodeCorrupt {
			return r.tooDamaged(err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &r.result, nil
}

// ofBackup says of what is wrong with a backup what is safe to do next: nothing is lost yet.
func ofBackup(err error) error {
	var e *nexus.Error
	if errors.As(err, &e) && e.Code == nexus.CodeCorrupt {
		e.Hint = "nothing was changed; restore another backup"
	}
	return err
}

// tooDamaged is the refusal to replace a database that SQLite cannot read.
func (r *restore) tooDamaged(err error) error {
	return &nexus.Error{
		Code: nexus.CodeCorrupt, Message: fmt.Sprintf("%s is so damaged that it cannot be replaced in place", r.db.path), Err: err,
		Hint: "nothing was changed; end all programs that use it, move it and its -wal to another folder, and restore again",
	}
}

// removeWithLog removes a draft, and what SQLite may have left beside it.
func removeWithLog(draft disk.Draft) error {
	err := draft.Discard()
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if rest := os.Remove(draft.Path + suffix); !errors.Is(rest, fs.ErrNotExist) {
			err = errors.Join(err, rest)
		}
	}
	return disk.Error(err)
}

// copyBackup copies the backup, if it is one that this program can use. It leaves it as
// it is, also if it came with a log.
func (r *restore) copyBackup(ctx context.Context, path string) error {
	if _, err := os.Stat(r.from); errors.Is(err, fs.ErrNotExist) {
		return &nexus.Error{
			Code: nexus.CodeIO, Message: fmt.Sprintf("%s does not exist", r.from), Hint: "nothing was changed; name a backup",
		}
	}
	source := &db{path: r.from, options: r.db.options}
	source.options.ReadOnly = true
	if err := source.prepareFile(); err != nil {
		return err
	}
	source.fixed = !writable(r.from) || source.frozen()
	cameWithLog := exists(r.from + "-wal")
	c, err := source.connect(ctx)
	if err != nil {
		return err
	}
	source.options.ReadOnly = false // a newer one could only be read
	err = r.checkBackup(ctx, source, c)
	if err == nil {
		_, _, err = copySnapshot(ctx, c, path, func() error { return nil }, func(int64, int64) {})
	}
	return errors.Join(err, source.leave(c, cameWithLog))
}

// checkBackup refuses what is no database of Nexus, or a newer one's.
func (r *restore) checkBackup(ctx context.Context, source *db, c *conn) error {
	state, err := source.patientState(ctx, c)
	if err != nil {
		return err
	}
	if err := source.checkVersion(ctx, c, &state); err != nil {
		return err
	}
	if len(state.ownRan) == 0 {
		tables, err := tableNames(ctx, c)
		if err != nil {
			return err
		}
		if len(tables) == 0 {
			return &nexus.Error{
				Code: nexus.CodeForeign, Message: fmt.Sprintf("%s is an empty database, not a backup", r.from),
				Hint: "nothing was changed; name a backup",
			}
		}
		if err := source.checkOrigin(ctx, c); err != nil {
			return err
		}
	}
	r.result.SchemaVersion = state.version()
	return nil
}

// prepareCopy reads all of the copy of the backup, and brings it up to date.
func (r *restore) prepareCopy(ctx context.Context, staged *db, c *conn) error {
	defer c.watch(ctx)()
	problem, err := damage(ctx, c)
	if err == nil && problem != "" {
		err = &nexus.Error{
			Code: nexus.CodeCorrupt, Message: fmt.Sprintf("%s is damaged: %s", r.from, problem),
		}
	}
	if err != nil {
		return ofBackup(err)
	}
	if err := staged.bringUpToDate(ctx, c); err != nil {
		return err
	}
	rows, err := takeCensus(ctx, c)
	r.result.Counts = rows.counts()
	if err == nil {
		r.pageSize, err = text(ctx, c, "PRAGMA page_size")
	}
	return err
}

// replaceBy makes the database what the copy is, in one transaction of SQLite's
// backup API: its first step, of no page, takes the write lock, and its last commits.
// In between nobody can write, so what is kept is exactly what is replaced.
func (r *restore) replaceBy(ctx context.Context, staged, target *conn) (err error) {
	if err := r.checkTarget(ctx, target); err != nil {
		return err
	}
	// Within a read transaction, so that no step finds the copy changed and begins
	// again.
	if err := staged.exec("BEGIN"); err != nil {
		return err
	}
	staged.inTx = true
	defer staged.rollback()
	if _, err := text(ctx, staged, "SELECT count(*) FROM sqlite_master"); err != nil {
		return err
	}
	turnstile := openTurnstile(r.db.path)
	defer turnstile.close()
	if err := turnstile.enter(ctx, r.db.options.Patience); err != nil {
		return err
	}
	backup, err := sqlite.NewBackup(target.sq, "main", staged.sq, "main")
	if err != nil {
		return classify(r.db.path, err)
	}
	defer func() { err = errors.Join(err, backup.Close()) }() // undoes what is not committed
	err = patiently(ctx, r.db.options.Patience, func() error {
		_, err := backup.Step(0)
		return classify(r.db.path, err)
	})
	if err != nil {
		return err
	}
	kept, err := r.keep(ctx)
	if err != nil {
		return err
	}
	if err := copyPages(ctx, backup, r.db.path, r.progress); err != nil {
		return errors.Join(err, kept.remove())
	}
	r.result.Kept = string(kept)
	return nil
}

// backupStep is how many pages are copied between two looks at the context: 4 MB.
const backupStep = 1024

// copyPages does all the steps of a backup.
func copyPages(ctx context.Context, backup *sqlite.Backup, path string, progress func(done, total int64)) error {
	for {
		if ctx.Err() != nil {
			return canceled(ctx)
		}
		more, err := backup.Step(backupStep)
		if err != nil {
			return classify(path, err)
		}
		total := int64(backup.PageCount())
		progress(total-int64(backup.Remaining()), total)
		if !more {
			return nil
		}
	}
}

// checkTarget refuses to replace what is not Nexus's, or is a newer one's.
func (r *restore) checkTarget(ctx context.Context, c *conn) error {
	state, err := r.db.patientState(ctx, c)
	if err == nil {
		err = r.db.checkVersion(ctx, c, &state)
	}
	if err == nil && len(state.ownRan) == 0 {
		err = r.db.checkOrigin(ctx, c)
	}
	if err != nil {
		return err
	}
	if _, err := r.mayReplace(ctx, c); err != nil {
		return err
	}
	return r.agreeOnPages(ctx, c)
}

// agreeOnPages turns the write-ahead log of the database on, in which readers and a
// writer do not exclude each other. With it, SQLite exchanges only pages of one size.
func (r *restore) agreeOnPages(ctx context.Context, c *conn) error {
	tables, err := tableNames(ctx, c)
	if err != nil {
		return err
	}
	if len(tables) == 0 {
		if err := c.exec("PRAGMA page_size = " + r.pageSize); err != nil { // of a file that has no page yet
			return err
		}
	}
	if err := patiently(ctx, r.db.options.Patience, func() error { return useWAL(ctx, c) }); err != nil {
		return err
	}
	size, err := text(ctx, c, "PRAGMA page_size")
	if err == nil && size != r.pageSize {
		err = &nexus.Error{
			Code: nexus.CodeInvalid,
			Message: fmt.Sprintf("%s has pages of %s bytes and %s of %s, which SQLite cannot exchange",
				r.from, r.pageSize, r.db.path, size),
			Hint: "nothing was changed; restore it to a new database, of another name",
		}
	}
	return err
}

// mayReplace refuses to replace rows, unless that is what the caller wants, and returns
// what there is: no map of rows if it is too damaged to know.
func (r *restore) mayReplace(ctx context.Context, c *conn) (rows census, err error) {
	rows, err = takeCensus(ctx, c)
	damaged := nexus.CodeOf(err) == nexus.CodeCorrupt
	if err != nil && !damaged {
		return rows, err
	}
	if r.replace || !damaged && rows.empty() {
		if damaged {
			rows.rows = nil
		}
		return rows, nil
	}
	what := "rows that cannot be read"
	if !damaged {
		what = fmt.Sprintf("%d rows", contractRows(rows))
	}
	return rows, &nexus.Error{
		Code: nexus.CodeExists, Message: fmt.Sprintf("%s holds %s, which %s would replace", r.db.path, what, r.from),
		Hint: "nothing was changed; with --yes they are replaced, and a copy of them is kept beside the database",
	}
}

// keep copies the state that is about to be replaced, unless it has no rows. It is
// called with the write lock held.
func (r *restore) keep(ctx context.Context) (_ backupFile, err error) {
	c, err := r.db.connect(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	defer c.watch(ctx)()
	rows, err := r.mayReplace(ctx, c)
	if err != nil {
		return "", err
	}
	if rows.rows != nil {
		if rows.empty() {
			return "", nil
		}
		r.result.Replaced = rows.counts()
	}
	return r.db.copyBeside(ctx, "before-restore")
}

func contractRows(n census) (rows int64) {
	for _, kind := range nexus.Kinds() {
		rows += n.rows[kind.Table()]
	}
	return rows
}
