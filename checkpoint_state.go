package nexus

import (
	"encoding/json"
	"fmt"
)

// CheckpointFormat is the newest format of a checkpoint's state that this version
// knows.
const CheckpointFormat = 2

// CheckpointState is what a checkpoint's state says of the state of its project. The
// rows themselves are in the history: those that have changed since, as they were.
type CheckpointState struct {
	Format        int              `json:"format"`
	Seq           int64            `json:"seq"`            // the change of the history after which it was so
	SHA256        string           `json:"sha256"`         // of the canonical state; see docs/checkpoints.md
	SchemaVersion int64            `json:"schema_version"` // of the database at that time
	Columns       map[string]int   `json:"columns"`        // how many columns of each table are in the hash
	Counts        map[string]int64 `json:"counts"`         // rows by table
	Git           *GitState        `json:"git,omitempty"`  // of the project's root_path, if it is a repository
	KeptIn        string           `json:"kept_in"`        // where the rows are: "history"
}

// GitState is where a repository is.
type GitState struct {
	Commit string `json:"commit"`           // empty before the first
	Branch string `json:"branch,omitempty"` // empty if none is checked out
	Dirty  bool   `json:"dirty"`            // there are changes that are not committed
}

// Details reads the checkpoint's state.
//
// Codes: CodeNewer if a newer version has written it; CodeInvalid if another program
// has, or if it was changed so that it cannot be read.
func (p *Checkpoint) Details() (*CheckpointState, error) {
	var state CheckpointState
	err := json.Unmarshal([]byte(p.State), &state)
	switch {
	case err == nil && state.Format > CheckpointFormat:
		return nil, &Error{
			Code: CodeNewer, Kind: KindCheckpoint, ID: p.ID,
			Message: fmt.Sprintf("is of format %d; this version knows %d", state.Format, CheckpointFormat),
			Hint:    "use the newer version of Nexus; nothing was changed",
		}
	case err != nil || !state.sound():
		return nil, &Error{
			Code: CodeInvalid, Kind: KindCheckpoint, ID: p.ID, Message: "its state is not one that Nexus has written",
			Hint: "it cannot be verified or restored by Nexus; nothing was changed", Err: err,
		}
	}
	return &state, nil
}

// sound reports whether a state can have been written by Nexus.
func (s *CheckpointState) sound() bool {
	for _, n := range s.Columns {
		if n < 1 {
			return false
		}
	}
	return s.Format >= 1 && s.SHA256 != "" && s.KeptIn == "history"
}

// CheckpointRequest asks for a checkpoint.
type CheckpointRequest struct {
	ID        string // made if empty
	ProjectID string
	Name      string
	Reason    string
	Git       *GitState // if it is known
}

// Verification is what looking at a checkpoint again has found.
type Verification struct {
	CheckpointID string           `json:"checkpoint_id"`
	OK           bool             `json:"ok"`
	Recorded     string           `json:"recorded"` // the SHA-256 that the checkpoint has
	Found        string           `json:"found"`    // that of the state that the history gives
	Counts       map[string]int64 `json:"counts"`   // rows by table, found
}

// Restoration says what going back to a checkpoint has done.
type Restoration struct {
	CheckpointID string           `json:"checkpoint_id"`
	Before       string           `json:"before"` // the checkpoint of the state before; empty in a dry run
	Seq          int64            `json:"seq"`    // the change whose state is there again
	SHA256       string           `json:"sha256"`
	Inserted     map[string]int64 `json:"inserted"` // rows by table
	Updated      map[string]int64 `json:"updated"`
	Deleted      map[string]int64 `json:"deleted"`
	Requeued     []string         `json:"requeued"` // tasks that were in flight then, and are pending now
	DryRun       bool             `json:"dry_run,omitempty"`
}

// PruneRequest says which checkpoints of a project to keep: of all, whatever their
// reason, the newest, and besides the last of each of the last days.
type PruneRequest struct {
	ProjectID string // empty is each project by itself
	Keep      int    // how many of the newest
	Daily     int    // for how many days, in UTC, the last of each; today is the first
	DryRun    bool   // find out what would be deleted
}

// Validate returns an [Error] with CodeInvalid, or nil.
func (r PruneRequest) Validate() error {
	var problems []Problem
	if r.Keep < 0 {
		problems = append(problems, Problem{Field: "keep", Message: "cannot be negative"})
	}
	if r.Daily < 0 {
		problems = append(problems, Problem{Field: "daily", Message: "cannot be negative"})
	}
	if len(problems) == 0 {
		return nil
	}
	return &Error{Code: CodeInvalid, Kind: KindCheckpoint, Problems: problems, Hint: "nothing was changed"}
}

// Pruned says what pruning has done, or would do.
type Pruned struct {
	Deleted []string `json:"deleted"` // ids, project by project, newest first
	Kept    int      `json:"kept"`
	DryRun  bool     `json:"dry_run,omitempty"`
}
