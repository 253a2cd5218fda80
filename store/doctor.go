package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// mostIDs is how many ids a finding names.
const mostIDs = 10

// skew is how far in the future a time may be before a clock is to blame.
const skew = 5 * time.Minute

// Diagnose looks for what is not as it should be: damage, what is missing of the
// schema, rows that refer to nothing, derived data that does not follow, cycles,
// text that is no JSON, times in the future, a history that does not fit together,
// checkpoints that have lost their state; whether those have the right one, only
// [DB.DiagnoseCheckpoints] tells. It only reads, in time in proportion
// to the data. What it finds is ordered: first what has to be put right first.
func (db *DB) Diagnose(ctx context.Context) (list []nexus.Finding, err error) {
	if list, err = db.diagnoseSchema(ctx); err != nil || len(list) > 0 {
		return list, err // without a part of it nothing else can be told
	}
	damage, err := db.damage(ctx)
	if err != nil {
		return nil, err
	}
	if len(damage) > 0 {
		return []nexus.Finding{{Check: "pages", Message: "the file is damaged: " + damage[0], Count: len(damage), Hint: damageHint}}, nil
	}
	err = db.snapshot(ctx, func(c driver.Conn) error {
		list, err = diagnose(ctx, c, db.now())
		return err
	})
	return list, err
}

const damageHint = "copy the file, then restore a backup; nothing is mended in a damaged file"

// damage says what is damaged in the file; nothing if it is not.
func (db *DB) damage(ctx context.Context) ([]string, error) {
	health, err := db.Health(ctx, true)
	switch {
	case nexus.CodeOf(err) == nexus.CodeCorrupt: // so much that it could not be looked at
		return []string{err.Error()}, nil
	case err != nil || health.Integrity:
		return nil, err
	}
	return health.Problems, nil
}

func (db *DB) diagnoseSchema(ctx context.Context) ([]nexus.Finding, error) {
	remaker, ok := db.driver.(driver.Remaker)
	if !ok {
		return nil, nil
	}
	missing, err := remaker.Missing(ctx)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	return []nexus.Finding{{
		Check: "schema", Message: "a part of the schema is missing or was changed", Count: len(missing), IDs: missing[:min(len(missing), mostIDs)],
		Mendable: true, Hint: "nexus doctor --fix makes it again; what a dropped column held is lost",
	}}, nil
}

// Mend puts right what [DB.Diagnose] calls mendable: first the schema, then the
// data, each all or nothing. It returns what it found before that. Doing it again
// changes nothing. What it changes follows from the rest of the data; but make a
// backup first.
//
// Codes: CodeCorrupt if the file is damaged; CodeReadOnly, CodeFull, CodeIO.
func (db *DB) Mend(ctx context.Context) (found []nexus.Finding, err error) {
	schema, err := db.diagnoseSchema(ctx)
	if err != nil {
		return nil, err
	}
	if len(schema) > 0 {
		if err := db.driver.(driver.Remaker).Remake(ctx); err != nil {
			return nil, err
		}
	}
	damage, err := db.damage(ctx)
	if err != nil {
		return nil, err
	}
	if len(damage) > 0 {
		return nil, &nexus.Error{Code: nexus.CodeCorrupt, Message: "the file is damaged: " + damage[0], Hint: damageHint}
	}
	err = db.write(ctx, func(c driver.Conn, end *settlement) error {
		end.did("doctor", "")
		now := db.now()
		if found, err = diagnose(ctx, c, now); err != nil {
			return err
		}
		for _, d := range slices.Concat(diagnoses, historyDiagnosesFor(c)) {
			for _, sql := range d.mend {
				if _, err := c.Exec(ctx, sql); err != nil {
					return err
				}
			}
		}
		if !followsItself(c) {
			if _, err := c.Exec(ctx, tidy); err != nil {
				return err
			}
		}
		_, err := mendLeases(ctx, c, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return append(schema, found...), nil
}

// diagnosis is something that can be wrong, as SQL.
type diagnosis struct {
	check   string
	message string
	find    string   // selects the ids of what is wrong
	mend    []string // statements that put it right; none if a person has to
	hint    string   // of one that a person has to put right
	indexed bool     // it is about history_rows where that is a table
	derived bool     // it is about what follows from the rows of an empty database that was filled
}

const fixHint = "nexus doctor --fix puts it right; nothing is lost by that"

// SQL of the diagnoses.
const (
	countOpen = `(
		SELECT count(*) FROM task_dependencies e
		WHERE e.task_id = tasks.id AND NOT EXISTS (
			SELECT 1 FROM tasks d WHERE d.id = e.depends_on AND d.status IN ('completed', 'skipped')))`

	// countTasks is what features and sub-features should count.
	countTasks = `
		SELECT count(*), coalesce(sum(CASE WHEN status IN ('completed', 'skipped') THEN 0 ELSE 1 END), 0),
			coalesce(sum(CASE WHEN status = 'completed' THEN 1 ELSE 0 END), 0)
		FROM tasks`
	featureCounts    = `(` + countTasks + ` WHERE feature_id = features.id)`
	subFeatureCounts = `(` + countTasks + ` WHERE sub_feature_id = sub_features.id)`
	keptCounts       = `(task_count, open_task_count, completed_task_count)`
)

// diagnoses are in the order in which they are mended.
var diagnoses = []diagnosis{
	{
		check: "orphans", message: "tasks are of a feature that does not exist",
		find: `SELECT id FROM tasks WHERE feature_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM features f WHERE f.id = tasks.feature_id)`,
		mend: []string{`UPDATE tasks SET feature_id = NULL WHERE feature_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM features f WHERE f.id = tasks.feature_id)`},
	},
	{
		check: "orphans", message: "tasks are of a sub-feature that does not exist",
		find: `SELECT id FROM tasks WHERE sub_feature_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM sub_features f WHERE f.id = tasks.sub_feature_id)`,
		mend: []string{`UPDATE tasks SET sub_feature_id = NULL WHERE sub_feature_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM sub_features f WHERE f.id = tasks.sub_feature_id)`},
	},
	{
		check: "places", message: "tasks are in a feature of another project",
		find: `SELECT t.id FROM features f JOIN tasks t ON t.feature_id = f.id WHERE t.project_id <> f.project_id ORDER BY t.id`,
		hint: "nexus task update ID --feature moves them to one of their own project",
	},
	{
		check: "places", message: "tasks are in a sub-feature of another project",
		find: `
			SELECT t.id FROM features f JOIN sub_features s ON s.feature_id = f.id JOIN tasks t ON t.sub_feature_id = s.id
			WHERE t.project_id <> f.project_id ORDER BY t.id`,
		hint: "nexus task update ID --sub-feature moves them to one of their own project",
	},
	orphansOf(nexus.KindFeature, "project_id", nexus.KindProject),
	orphansOf(nexus.KindSubFeature, "feature_id", nexus.KindFeature),
	orphansOf(nexus.KindTask, "project_id", nexus.KindProject),
	orphansOf(nexus.KindCheckpoint, "project_id", nexus.KindProject),
	orphansOf(nexus.KindRequirement, "project_id", nexus.KindProject),
	orphansOf(nexus.KindMetric, "project_id", nexus.KindProject),
	orphansOf(nexus.KindSession, "project_id", nexus.KindProject),
	{
		check: "edges", message: "task_dependencies is not what depends_on says", derived: true,
		find: `
			SELECT task_id FROM (SELECT task_id, depends_on FROM task_dependency_lists EXCEPT SELECT task_id, depends_on FROM task_dependencies) AS missing
			UNION
			SELECT task_id FROM (SELECT task_id, depends_on FROM task_dependencies EXCEPT SELECT task_id, depends_on FROM task_dependency_lists) AS extra`,
		mend: []string{
			`DELETE FROM task_dependencies WHERE (task_id, depends_on) NOT IN (SELECT task_id, depends_on FROM task_dependency_lists)`,
			`INSERT INTO task_dependencies (task_id, depends_on) SELECT DISTINCT task_id, depends_on FROM task_dependency_lists WHERE true ON CONFLICT DO NOTHING`,
		},
	},
	{
		check: "open_dependencies", message: "tasks wait for another number of tasks than is open", derived: true,
		find: `SELECT id FROM tasks WHERE open_dependencies <> ` + countOpen,
		mend: []string{`UPDATE tasks SET open_dependencies = ` + countOpen + ` WHERE open_dependencies <> ` + countOpen},
	},
	{
		check: "counts", message: "features count other tasks than they have", derived: true,
		find: `SELECT id FROM features WHERE ` + keptCounts + ` <> ` + featureCounts,
		mend: []string{`UPDATE features SET ` + keptCounts + ` = ` + featureCounts + ` WHERE ` + keptCounts + ` <> ` + featureCounts},
	},
	{
		check: "counts", message: "sub-features count other tasks than they have", derived: true,
		find: `SELECT id FROM sub_features WHERE ` + keptCounts + ` <> ` + subFeatureCounts,
		mend: []string{`UPDATE sub_features SET ` + keptCounts + ` = ` + subFeatureCounts + ` WHERE ` + keptCounts + ` <> ` + subFeatureCounts},
	},
	{
		check: "counts", message: "features with another completed_tasks than they have",
		find: `SELECT id FROM features WHERE task_count > 0 AND coalesce(completed_tasks, -1) <> completed_task_count`,
		mend: []string{`UPDATE features SET completed_tasks = completed_task_count WHERE task_count > 0 AND coalesce(completed_tasks, -1) <> completed_task_count`},
	},
	{
		check: "totals", message: "metric_totals is not what the metrics of a project or task come to", derived: true,
		find: `
			SELECT id FROM (SELECT * FROM metric_sums EXCEPT SELECT scope, id, type, metrics, amount FROM metric_totals) AS missing
			UNION
			SELECT id FROM (SELECT scope, id, type, metrics, amount FROM metric_totals EXCEPT SELECT * FROM metric_sums) AS extra`,
		mend: []string{
			`DELETE FROM metric_totals WHERE (scope, id, type, metrics, amount) NOT IN (SELECT scope, id, type, metrics, amount FROM metric_sums)`,
			`INSERT INTO metric_totals (scope, id, type, metrics, amount)
			SELECT scope, id, type, metrics, amount FROM metric_sums WHERE true ON CONFLICT DO NOTHING`,
		},
	},
	{
		check: "attempts", message: "tasks that do not exist are held",
		find: `SELECT a.task_id FROM task_attempts a WHERE a.held = 1 AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = a.task_id)`,
		mend: []string{`
			UPDATE task_attempts SET ended_us = claimed_us, outcome = 'released', reason = 'its task was deleted'
			WHERE held = 1 AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = task_attempts.task_id)`},
	},
	{
		check: "dependencies", message: "tasks wait for tasks that do not exist",
		find: `SELECT DISTINCT e.task_id FROM task_dependencies e WHERE NOT EXISTS (SELECT 1 FROM tasks t WHERE t.id = e.depends_on)`,
		hint: "nexus ready --explain ID names them; nexus task update ID --remove-depends-on takes them away",
	},
}

// orphansOf looks for rows of a table that refer to rows of another that do not
// exist, which they must.
func orphansOf(kind nexus.Kind, column string, parent nexus.Kind) diagnosis {
	return diagnosis{
		check: "orphans", message: fmt.Sprintf("%s are of a %s that does not exist", kind.Table(), parent),
		find: "SELECT id FROM " + kind.Table() + " WHERE NOT EXISTS (SELECT 1 FROM " + parent.Table() + " p WHERE p.id = " + kind.Table() + "." + column + ")",
		hint: fmt.Sprintf("create the %s again, with --id, or delete them", parent),
	}
}

// jsonColumns are the columns that hold JSON.
var jsonColumns = []struct {
	kind   nexus.Kind
	column string
}{
	{nexus.KindTask, "depends_on"},
	{nexus.KindTask, "metadata"},
	{nexus.KindRequirement, "linked_features"},
	{nexus.KindMetric, "metadata"},
	{nexus.KindSession, "data"},
	{nexus.KindCheckpoint, "state"},
}

// times are the columns that say when something happened.
var times = []struct {
	kind   nexus.Kind
	column string
}{
	{nexus.KindProject, "updated_at"},
	{nexus.KindFeature, "updated_at"},
	{nexus.KindTask, "updated_at"},
	{nexus.KindAgent, "last_activity_at"},
	{nexus.KindMetric, "timestamp"},
	{nexus.KindSession, "started_at"},
}

func diagnose(ctx context.Context, c driver.Conn, now time.Time) (list []nexus.Finding, err error) {
	// found adds what a query for ids finds.
	found := func(f nexus.Finding, sql string, args ...driver.Arg) error {
		err := c.Query(ctx, sql, args, func(r driver.Row) error {
			add(&f, r.Text(0))
			return nil
		})
		if err == nil && f.Count > 0 {
			list = append(list, f)
		}
		return err
	}
	for _, d := range slices.Concat(diagnoses, historyDiagnosesFor(c)) {
		f := nexus.Finding{Check: d.check, Message: d.message, Mendable: len(d.mend) > 0, Hint: d.hint}
		if f.Mendable {
			f.Hint = fixHint
		}
		if err := found(f, d.find); err != nil {
			return nil, err
		}
	}
	if err := diagnoseCycles(ctx, c, &list); err != nil {
		return nil, err
	}
	if err := diagnoseCheckpoints(ctx, c, &list); err != nil {
		return nil, err
	}
	err = found(nexus.Finding{
		Check: "agents", Message: "agents call themselves busy, hold no task, and give no sign of life",
		Hint: "nexus recover --agent ID ends one that is dead; one that is alive need not do anything",
	}, selectSilent, driver.Int(now.Add(-nexus.DefaultLease).Unix()))
	if err != nil {
		return nil, err
	}
	for _, j := range jsonColumns {
		if err := diagnoseJSON(ctx, c, j.kind, j.column, &list); err != nil {
			return nil, err
		}
	}
	for _, t := range times {
		err := found(nexus.Finding{
			Check: "clock", Message: fmt.Sprintf("%s have a %s in the future", t.kind.Table(), t.column),
			Hint: "check the clocks of the machines that write; it will pass",
		}, "SELECT id FROM "+t.kind.Table()+" WHERE "+t.column+" > $1", driver.Int(now.Add(skew).Unix()))
		if err != nil {
			return nil, err
		}
	}
	err = found(nexus.Finding{
		Check: "clock", Message: "operations of the history are older than those before them",
		Hint: "check the clocks of the machines that write; name a moment there by its number, not by a time",
	}, selectBackwards, driver.Int(skew.Microseconds()))
	if err != nil {
		return nil, err
	}
	err = found(nexus.Finding{
		Check: "clock", Message: "tasks are held for longer than a lease is, by a clock that was ahead", Mendable: true, Hint: fixHint,
	}, `SELECT task_id FROM task_attempts WHERE held = 1 AND lease_until_us > lease_us + $1`, driver.Int(micros(now.Add(skew))))
	return list, err
}

func diagnoseCycles(ctx context.Context, c driver.Conn, list *[]nexus.Finding) error {
	dependents, err := ids(ctx, c, "SELECT DISTINCT task_id FROM task_dependencies ORDER BY task_id")
	if err != nil {
		return err
	}
	err = checkCycles(ctx, c, dependents)
	var cycle *nexus.Error
	if !errors.As(err, &cycle) || len(cycle.Problems) == 0 {
		return err
	}
	*list = append(*list, nexus.Finding{
		Check: "cycles", Message: "tasks wait for each other; depends_on " + cycle.Problems[0].Message, Count: 1, IDs: []string{cycle.ID},
		Hint: "nexus task update ID --remove-depends-on breaks it",
	})
	return nil
}

func diagnoseJSON(ctx context.Context, c driver.Conn, kind nexus.Kind, column string, list *[]nexus.Finding) error {
	f := nexus.Finding{
		Check: "json", Message: fmt.Sprintf("%s have a %s that is no JSON", kind.Table(), column),
		Hint: "it is kept as it is; write it anew with nexus " + string(kind) + " update",
	}
	sql := "SELECT id, " + column + " FROM " + kind.Table() + " WHERE " + column + " IS NOT NULL AND " + column + " <> ''"
	err := c.Query(ctx, sql, nil, func(r driver.Row) error {
		if !json.Valid([]byte(r.Text(1))) {
			add(&f, r.Text(0))
		}
		return nil
	})
	if err == nil && f.Count > 0 {
		*list = append(*list, f)
	}
	return err
}
