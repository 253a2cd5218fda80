package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Restore makes the state of a project what it was at a checkpoint: all its tables, in
// one transaction, in which the result is hashed and compared with the checkpoint
// before it is committed. It touches only the rows that have changed since. First it
// makes a checkpoint of the state as it is, to which Restore goes back in turn.
//
// Tasks that were in flight then become pending: nobody works on that state. Whoever
// works on a task of the project now loses it, and is told by its next call. A
// row's revision is not restored but counted on, so that edits which are based on the
// state before are refused. Agents, metrics and checkpoints stay.
//
// Codes: CodeNotFound, also if the history was compacted; those of
// [nexus.Checkpoint.Details]; CodeCorrupt if the result is not what the checkpoint
// says; CodeInUse or CodeReference if a row of another project refers to one that
// was not there. After any of them nothing has changed. A retry does no harm.
func (db *DB) Restore(ctx context.Context, id string, dryRun bool) (report *nexus.Restoration, err error) {
	undo := errors.New("a dry run keeps nothing")
	err = db.InTx(ctx, func(tx *Tx) error {
		if report, err = tx.Restore(ctx, id, nil); err != nil {
			return err
		}
		if dryRun {
			report.DryRun, report.Before = true, ""
			// What holds at the end of a transaction may be what it fails by.
			return cmp.Or(tx.end.check(ctx, tx.conn), undo)
		}
		return nil
	})
	if err != nil && !errors.Is(err, undo) {
		return nil, err
	}
	return report, nil
}

// Restore is [DB.Restore] as a part of the transaction. git is where the project's
// repository is, for the checkpoint of the state before; nil if it is not known.
func (tx *Tx) Restore(ctx context.Context, id string, git *nexus.GitState) (*nexus.Restoration, error) {
	p, state, err := checkpointToUse(ctx, tx.conn, id)
	if err != nil {
		return nil, err
	}
	tx.end.did("checkpoint restore", "")
	tx.end.operation.restores = true
	if err := recordChanges(ctx, tx.conn); err != nil {
		return nil, err
	}
	if err := indexAll(ctx, tx.conn); err != nil {
		return nil, err
	}
	before, err := tx.Checkpoint(ctx, nexus.CheckpointRequest{
		ProjectID: p.ProjectID, Name: "before restoring " + id, Reason: "before_restore", Git: git,
	})
	if err != nil {
		return nil, err
	}
	x := newReinstatement(ctx, tx.conn, &tx.end, tx.Tasks.now(), state.Seq)
	if err := x.wantState(p.ProjectID); err != nil {
		return nil, err
	}
	if err := x.run(); err != nil {
		return nil, err
	}
	if err := x.bringBackReplaced(); err != nil {
		return nil, err
	}
	if err := tx.compare(ctx, p, state); err != nil {
		return nil, err
	}
	// Of all projects: few are in flight, and their index is that of the status.
	inFlight, err := tx.Tasks.List(ctx, nexus.TaskFilter{Status: []nexus.TaskStatus{nexus.TaskAssigned, nexus.TaskInProgress}})
	if err != nil {
		return nil, err
	}
	inFlight = slices.DeleteFunc(inFlight, func(t nexus.Task) bool { return t.ProjectID != p.ProjectID })
	if err := x.requeue(inFlight, "the project was restored to checkpoint "+id); err != nil {
		return nil, err
	}
	return &nexus.Restoration{
		CheckpointID: id, Before: before.ID, Seq: state.Seq, SHA256: state.SHA256,
		Inserted: x.inserted, Updated: x.updated, Deleted: x.deleted, Requeued: append([]string{}, x.requeued...),
	}, nil
}

// compare refuses a state that is not the checkpoint's.
func (tx *Tx) compare(ctx context.Context, p *nexus.Checkpoint, state *nexus.CheckpointState) error {
	last, err := lastRecord(ctx, tx.conn)
	if err != nil {
		return err
	}
	now, err := stateOf(ctx, tx.conn, p.ProjectID, last)
	if err != nil {
		return err
	}
	d, err := now.digest(state.Format, state.Columns)
	if err != nil || d.sum() == state.SHA256 {
		return err
	}
	return &nexus.Error{
		Code: nexus.CodeCorrupt, Kind: nexus.KindCheckpoint, ID: p.ID,
		Message: fmt.Sprintf("the state that the history gives has the SHA-256 %s, the checkpoint says %s", d.sum(), state.SHA256),
		Hint:    "nothing was changed; the checkpoint or the history was altered: see nexus doctor, and restore another checkpoint or a backup",
	}
}

// wantState wants the state of a project: of all rows that have changed since, what
// they were; of features that did not, what they are, because they follow from tasks
// that have.
func (x *reinstatement) wantState(project string) error {
	then, err := stateOf(x.ctx, x.conn, project, x.seq)
	if err != nil {
		return err
	}
	for _, kind := range stateKinds() {
		l := layouts[kind]
		follows := kind == nexus.KindFeature || kind == nexus.KindSubFeature
		was := make(map[string]bool)
		if kind == nexus.KindFeature || kind == nexus.KindSubFeature {
			// each tells then which features are the project's.
			err := then.each(kind, func(r driver.Row) error {
				i := imageOf(r, 0, len(l.columns))
				was[i.id()] = true
				x.want(kind, i.id(), i)
				return nil
			})
			if err != nil {
				return err
			}
		}
		_, changed, err := then.changed(l)
		if err != nil {
			return err
		}
		for id, i := range changed {
			if i != nil && then.owns(l, i) {
				x.want(kind, id, i)
				continue
			}
			if follows && was[id] {
				continue
			}
			now, err := l.current(x.ctx, x.conn, id)
			if err != nil {
				return err
			}
			if now == nil {
				continue
			}
			mine, err := x.ownsNow(then, l, now)
			if err != nil {
				return err
			}
			if mine {
				x.want(kind, id, i) // nil, or what it was in another project
			}
		}
	}
	return nil
}

// ownsNow reports whether a row of now is one of the project.
func (x *reinstatement) ownsNow(then *projectState, l *layout, now image) (mine bool, err error) {
	if l.kind != nexus.KindSubFeature {
		return then.owns(l, now), nil
	}
	feature := now[l.column("feature_id")]
	if then.features[feature.Text] { // which comes back, if it is not there
		return true, nil
	}
	err = x.conn.Query(x.ctx, `SELECT 1 FROM features WHERE id = $1 AND project_id = $2`,
		[]driver.Arg{feature, driver.Text(then.project)}, func(driver.Row) error {
			mine = true
			return nil
		})
	return mine, err
}
