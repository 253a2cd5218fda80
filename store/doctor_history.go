package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// SQL of the diagnoses of the history.
const (
	newestRecord = `(SELECT coalesce(max(seq), 0) FROM history)`

	// The rows of the index that the history has not, or that are not due yet: those
	// would be in the way when they are.
	rowsTooMany = `
		FROM history_rows WHERE ` + notIndexed + ` OR NOT EXISTS (
			SELECT 1 FROM history h
			WHERE h.seq = history_rows.seq AND h.id = history_rows.id AND h.kind = history_rows.kind AND h.large = history_rows.large)`

	rowsMissing = `
		FROM history WHERE NOT (` + notIndexed + `) AND change <> 'operation' AND id IS NOT NULL AND NOT EXISTS (
			SELECT 1 FROM history_rows r
			WHERE r.id = history.id AND r.kind = history.kind AND r.seq = history.seq AND r.large = history.large)`
)

// historyDiagnoses are in the order in which they are mended.
var historyDiagnoses = []diagnosis{
	{
		check: "history", message: "marks are beyond the newest record of the history",
		find: `SELECT name FROM history_marks WHERE seq > ` + newestRecord + ` ORDER BY name`,
		mend: []string{
			`DELETE FROM history_marks WHERE seq > ` + newestRecord + ` AND name NOT IN ('indexed', 'forgotten')`,
			`UPDATE history_marks SET seq = ` + newestRecord + ` WHERE seq > ` + newestRecord,
		},
	},
	{
		check: "history", message: "history_rows has changes that the history has not",
		find: `SELECT id` + rowsTooMany + ` ORDER BY id, seq`,
		mend: []string{`DELETE` + rowsTooMany}, indexed: true,
	},
	{
		check: "history", message: "history_rows lacks changes of the history",
		find: `SELECT id` + rowsMissing + ` ORDER BY id, seq`,
		mend: []string{`INSERT INTO history_rows (id, kind, seq, large) SELECT id, kind, seq, large` + rowsMissing}, indexed: true,
	},
	{
		check: "history", message: "operations begin after their end",
		find: `SELECT seq FROM history WHERE change = 'operation' AND (first IS NULL OR first NOT BETWEEN 1 AND seq) ORDER BY seq`,
		hint: "what they have changed counts as another program's; it passes when nexus compact forgets them",
	},
}

// followsItself reports whether history_rows is a view, as where transactions write
// side by side. The history keeps large values whole there, and a row is never replaced.
func followsItself(c driver.Conn) bool { return c.Dialect().FirstChange != "" }

// historyDiagnosesFor are those that a database can have.
func historyDiagnosesFor(c driver.Conn) []diagnosis {
	if !followsItself(c) {
		return historyDiagnoses
	}
	return slices.DeleteFunc(slices.Clone(historyDiagnoses), func(d diagnosis) bool { return d.indexed })
}

// tidy deletes what is of no use, and no harm. An upsert of another program leaves a
// row in replaced_rows each time, so that it is there is nothing to report.
const tidy = `DELETE FROM replaced_rows`

// selectBackwards finds operations that are older than those before them. Such
// times come from clocks that differ, or were set back.
const selectBackwards = `
	SELECT seq FROM (
		SELECT seq, at_us, lag(at_us) OVER (ORDER BY seq) AS before FROM history WHERE change = 'operation') AS operations
	WHERE at_us < before - $1 ORDER BY seq`

// diagnoseCheckpoints looks for checkpoints whose state cannot be told. Another
// program's state is not ours to tell.
func diagnoseCheckpoints(ctx context.Context, c driver.Conn, list *[]nexus.Finding) error {
	unreadable := nexus.Finding{
		Check: "checkpoints", Message: "checkpoints have a state of Nexus's that cannot be read",
		Hint: "they cannot be restored; nexus history --kind checkpoint says who changed them, nexus undo brings the state back",
	}
	gone := nexus.Finding{
		Check: "checkpoints", Message: "checkpoints are of a time that the history does not have",
		Hint: "they cannot be restored; nexus checkpoint delete takes them away",
	}
	var found []*nexus.Checkpoint
	err := c.Query(ctx, `SELECT id, state FROM checkpoints WHERE state IS NOT NULL ORDER BY id`, nil, func(r driver.Row) error {
		found = append(found, &nexus.Checkpoint{ID: r.Text(0), State: nexus.JSON(r.Text(1))})
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range found {
		state, err := p.Details()
		switch nexus.CodeOf(err) {
		case nexus.CodeInvalid:
			if isOurs(p) {
				add(&unreadable, p.ID)
			}
			continue
		case nexus.CodeNewer:
			continue
		}
		switch err := checkMoment(ctx, c, state.Seq); nexus.CodeOf(err) {
		case "":
		case nexus.CodeNotFound:
			add(&gone, p.ID)
		default:
			return err
		}
	}
	for _, f := range []nexus.Finding{unreadable, gone} {
		if f.Count > 0 {
			*list = append(*list, f)
		}
	}
	return nil
}

// isOurs reports whether a state that cannot be read looks like one that Nexus wrote.
func isOurs(p *nexus.Checkpoint) bool {
	var state map[string]any
	if json.Unmarshal([]byte(p.State), &state) != nil {
		return false // which is found as no JSON
	}
	_, hasFormat := state["format"]
	_, hasSum := state["sha256"]
	return hasFormat && hasSum || state["kept_in"] == "history"
}

func add(f *nexus.Finding, id string) {
	if f.Count++; f.Count <= mostIDs {
		f.IDs = append(f.IDs, id)
	}
}

// DiagnoseCheckpoints verifies all checkpoints: that the history still gives the state
// that each was made of. It takes as long as to hash a project for each of them, and
// reads while others write. progress may be nil; it is told how many are done of how
// many.
func (db *DB) DiagnoseCheckpoints(ctx context.Context, progress func(done, total int64)) (list []nexus.Finding, err error) {
	all, err := db.Checkpoints.List(ctx, nexus.CheckpointFilter{})
	if err != nil {
		return nil, err
	}
	differ := nexus.Finding{
		Check: "checkpoints", Message: "checkpoints do not have the state that they were made of",
		Hint: "they are not restored, so nothing else is lost; the history or the checkpoint was altered: restore another one, or a backup",
	}
	for i := range all {
		if progress != nil {
			progress(int64(i), int64(len(all)))
		}
		v, err := db.VerifyCheckpoint(ctx, all[i].ID)
		switch nexus.CodeOf(err) {
		case "":
			if !v.OK {
				add(&differ, all[i].ID)
			}
		case nexus.CodeCorrupt:
			add(&differ, all[i].ID)
		case nexus.CodeInvalid, nexus.CodeNewer, nexus.CodeNotFound: // another program's, deleted since, or found by Diagnose
		default:
			return nil, err
		}
	}
	if differ.Count > 0 {
		list = append(list, differ)
	}
	return list, nil
}
