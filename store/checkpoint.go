package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Checkpoint stores a point to go back to: the state of a project as it is now, with
// its hash. The state is read and hashed on a snapshot, while others write; what they
// commit meanwhile is not in it. It takes time in proportion to the project, and no
// space, because the history has what changes afterwards.
//
// Codes: CodeInvalid; CodeReference if there is no such project; CodeExists. A retry
// makes another, unless the request has an id.
func (db *DB) Checkpoint(ctx context.Context, r nexus.CheckpointRequest) (p *nexus.Checkpoint, err error) {
	if err := checkRequest(r, db.now()); err != nil {
		return nil, err
	}
	var state *nexus.CheckpointState
	var hashes *taskHashes
	err = db.snapshot(ctx, func(c driver.Conn) error {
		state, hashes, err = describe(ctx, c, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = db.InTx(ctx, func(tx *Tx) error {
		switch err := checkMoment(ctx, tx.conn, state.Seq); {
		case nexus.CodeOf(err) == nexus.CodeNotFound: // it has been compacted meanwhile
			p, err = tx.Checkpoint(ctx, r)
			return err
		case err != nil:
			return err
		}
		p, err = tx.storeCheckpoint(ctx, r, state, hashes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// checkRequest refuses early what would be refused after all the work.
func checkRequest(r nexus.CheckpointRequest, now time.Time) error {
	p, err := newCheckpoint(r, new(nexus.CheckpointState), now)
	if err != nil {
		return err
	}
	if err := p.Validate(); err != nil {
		return withoutID(err, r.ID == "")
	}
	return nil
}

// Checkpoint is [DB.Checkpoint] as a part of the transaction, whose changes so far
// are in it.
func (tx *Tx) Checkpoint(ctx context.Context, r nexus.CheckpointRequest) (*nexus.Checkpoint, error) {
	if err := checkRequest(r, tx.Tasks.now()); err != nil {
		return nil, err
	}
	if err := recordChanges(ctx, tx.conn); err != nil {
		return nil, err
	}
	state, hashes, err := describe(ctx, tx.conn, r)
	if err != nil {
		return nil, err
	}
	return tx.storeCheckpoint(ctx, r, state, hashes)
}

func (tx *Tx) storeCheckpoint(ctx context.Context, r nexus.CheckpointRequest, state *nexus.CheckpointState, hashes *taskHashes) (*nexus.Checkpoint, error) {
	p, err := newCheckpoint(r, state, tx.Tasks.now())
	if err != nil {
		return nil, err
	}
	if err := tx.Checkpoints.Create(ctx, p); err != nil {
		return nil, err
	}
	return p, hashes.save(ctx, tx.conn)
}

// describe describes the state of a project as it is now. It also returns the hashes of
// its tasks, to be saved with it.
func describe(ctx context.Context, c driver.Conn, r nexus.CheckpointRequest) (*nexus.CheckpointState, *taskHashes, error) {
	if project, err := projects.get(ctx, c, r.ProjectID); err != nil {
		return nil, nil, err
	} else if project == nil {
		return nil, nil, &nexus.Error{
			Code: nexus.CodeReference, Kind: nexus.KindCheckpoint, ID: r.ID,
			Message: fmt.Sprintf("its project %s does not exist", r.ProjectID), Hint: "create that first, or correct the id",
		}
	}
	catalog, err := c.Catalog(ctx)
	if err != nil {
		return nil, nil, err
	}
	last, err := lastRecord(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	now, err := stateOf(ctx, c, r.ProjectID, last)
	if err != nil {
		return nil, nil, err
	}
	hashes, err := loadTaskHashes(ctx, c, r.ProjectID)
	if err != nil {
		return nil, nil, err
	}
	d, err := now.digestWith(nexus.CheckpointFormat, nil, hashes.hasher(now))
	if err != nil {
		return nil, nil, err
	}
	return &nexus.CheckpointState{
		Format: nexus.CheckpointFormat, Seq: last, SHA256: d.sum(), SchemaVersion: catalog.Version,
		Columns: columnCounts(), Counts: d.counts, Git: r.Git, KeptIn: "history",
	}, hashes, nil
}

func newCheckpoint(r nexus.CheckpointRequest, state *nexus.CheckpointState, now time.Time) (*nexus.Checkpoint, error) {
	text, err := json.Marshal(state)
	if err != nil {
		return nil, err
	}
	p := &nexus.Checkpoint{ID: r.ID, ProjectID: r.ProjectID, Name: r.Name, Reason: r.Reason, State: nexus.JSON(text)}
	if r.Git != nil {
		p.GitCommit = r.Git.Commit
	}
	p.SetDefaults(now)
	return p, nil
}

// VerifyCheckpoint makes the state of a checkpoint from the history and compares its
// hash with the one that the checkpoint has. That they differ is no error, but in the
// result. Codes: CodeNotFound; those of [nexus.Checkpoint.Details].
func (db *DB) VerifyCheckpoint(ctx context.Context, id string) (v *nexus.Verification, err error) {
	err = db.snapshot(ctx, func(c driver.Conn) error {
		p, state, err := checkpointToUse(ctx, c, id)
		if err != nil {
			return err
		}
		then, err := stateOf(ctx, c, p.ProjectID, state.Seq)
		if err != nil {
			return err
		}
		d, err := then.digest(state.Format, state.Columns)
		if err != nil {
			return err
		}
		v = &nexus.Verification{CheckpointID: id, Recorded: state.SHA256, Found: d.sum(), Counts: d.counts}
		v.OK = v.Found == v.Recorded
		return nil
	})
	if err != nil {
		return nil, err
	}
	return v, nil
}

// checkpointToUse reads a checkpoint and its state, which the history must have.
func checkpointToUse(ctx context.Context, c driver.Conn, id string) (*nexus.Checkpoint, *nexus.CheckpointState, error) {
	p, err := checkpoints.mustGet(ctx, c, id)
	if err != nil {
		return nil, nil, err
	}
	state, err := p.Details()
	if err != nil {
		return nil, nil, err
	}
	switch err := checkMoment(ctx, c, state.Seq); {
	case nexus.CodeOf(err) == nexus.CodeNotFound:
		return nil, nil, &nexus.Error{
			Code: nexus.CodeNotFound, Kind: nexus.KindCheckpoint, ID: id,
			Message: fmt.Sprintf("is of change number %d, which the history does not have", state.Seq),
			Hint:    "nothing was changed; it was deleted when the history was compacted, or altered; restore another one, or a backup",
		}
	case err != nil:
		return nil, nil, err
	}
	for _, kind := range stateKinds() {
		if n := state.Columns[kind.Table()]; n > len(layouts[kind].columns) {
			return nil, nil, &nexus.Error{
				Code: nexus.CodeNewer, Kind: nexus.KindCheckpoint, ID: id,
				Message: fmt.Sprintf("was made with %d columns of %s; this version knows %d", n, kind.Table(), len(layouts[kind].columns)),
				Hint:    "use the newer version of Nexus; nothing was changed",
			}
		}
	}
	return p, state, nil
}

// checkpointMoment returns the change after which a checkpoint's state was so.
func checkpointMoment(ctx context.Context, c driver.Conn, prefix string) (int64, error) {
	found, err := ids(ctx, c, `SELECT id FROM checkpoints WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2`, prefix, prefix+lastOfAll)
	if err != nil {
		return 0, err
	}
	switch {
	case len(found) == 0 || prefix == "":
		return 0, &nexus.Error{
			Code: nexus.CodeNotFound, Message: fmt.Sprintf("%q is no change, time or checkpoint", prefix),
			Hint: "give the number of a change, a time such as 2026-01-31T08:00:00Z, how long ago, such as 90m, or the id of a checkpoint",
		}
	case len(found) > 1 && found[0] != prefix:
		return 0, &nexus.Error{
			Code: nexus.CodeAmbiguous, Kind: nexus.KindCheckpoint, ID: prefix,
			Message: fmt.Sprintf("fits several, among them %s and %s", found[0], found[1]), Hint: "give more of the id",
		}
	}
	_, state, err := checkpointToUse(ctx, c, found[0])
	if err != nil {
		return 0, err
	}
	return state.Seq, nil
}

// checkpointSeqs returns the changes of which checkpoints are kept, in their order.
func checkpointSeqs(ctx context.Context, c driver.Conn) (kept []int64, err error) {
	err = c.Query(ctx, `SELECT state FROM checkpoints WHERE state IS NOT NULL`, nil, func(r driver.Row) error {
		p := nexus.Checkpoint{State: nexus.JSON(r.Text(0))}
		if state, err := p.Details(); err == nil { // another program's is not kept here
			kept = append(kept, state.Seq)
		}
		return nil
	})
	slices.Sort(kept)
	return slices.Compact(kept), err
}
