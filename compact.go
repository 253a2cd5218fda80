package nexus

import "time"

// KeepHistory is how long the history is kept whole unless somebody says otherwise.
const KeepHistory = 30 * 24 * time.Hour

// CompactRequest says what of the history may be forgotten.
type CompactRequest struct {
	// Keep is the age up to which the history stays whole; 0 keeps none of it but
	// what checkpoints need.
	Keep time.Duration

	DryRun bool // find out what would be forgotten

	// Progress, if it is not nil, is told how much is done of how much, in no
	// particular unit.
	Progress func(done, total int64)
}

// Compaction says what compacting has done, or would do.
type Compaction struct {
	// Horizon is the number of the change from which on the history is whole. Of the
	// time before it there are the states at the Checkpoints, which are numbers of
	// changes too.
	Horizon     int64   `json:"horizon"`
	Checkpoints []int64 `json:"checkpoints"`

	Forgotten int64 `json:"forgotten"` // records of the history
	Rewritten int64 `json:"rewritten"` // records that were made to stand for later ones, too
	Keys      int64 `json:"keys"`      // idempotency keys that were too old to be of use

	RecordsBefore int64 `json:"records_before"` // of the history
	RecordsAfter  int64 `json:"records_after"`
	BytesBefore   int64 `json:"bytes_before"` // of the file, or of the tables with their indexes
	BytesAfter    int64 `json:"bytes_after"`  // the same as before in a dry run

	// NotShrunk says why the database has not been rewritten, so that it may be as large
	// as before; its free pages are used for what is stored next.
	NotShrunk string `json:"not_shrunk,omitempty"`

	DryRun bool `json:"dry_run,omitempty"`
}
