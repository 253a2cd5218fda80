package interop_test

import (
	"fmt"
	"regexp"
	"strings"
)

// contractText is the contract, word for word: what other programs rely on. It
// is not derived from the migrations, because it is what they are held against.
//
// `!` = NOT NULL, `=x` = default, `→` = foreign key.
const contractText = `
**projects** — id TEXT pk; name TEXT!; description TEXT; mode TEXT! CHECK in ('genesis','evolution'); status TEXT!; root_path TEXT!; repository_url TEXT; created_at INTEGER!; updated_at INTEGER!; completed_at INTEGER

**features** — id TEXT pk; project_id TEXT! → projects ON DELETE CASCADE; name TEXT!; description TEXT; priority TEXT! ='should' (must, should, could, wont); status TEXT! ='backlog'; estimated_tasks INTEGER =0; completed_tasks INTEGER =0; created_at INTEGER!; updated_at INTEGER!

**sub_features** — id TEXT pk; feature_id TEXT! → features ON DELETE CASCADE; name TEXT!; description TEXT; status TEXT! ='backlog'; created_at INTEGER!

**tasks** — id TEXT pk; project_id TEXT! → projects ON DELETE CASCADE; feature_id TEXT → features (no action); sub_feature_id TEXT → sub_features (no action); name TEXT!; description TEXT; status TEXT! ='pending'; size TEXT! ='small' (atomic, small); assigned_agent TEXT; worktree_path TEXT; branch_name TEXT; depends_on TEXT (JSON array of task ids); blocked_by TEXT; qa_iterations INTEGER =0; max_iterations INTEGER =50; estimated_minutes INTEGER =15; actual_minutes INTEGER; started_at INTEGER; completed_at INTEGER; created_at INTEGER!; updated_at INTEGER!

**agents** — id TEXT pk; type TEXT! (planner, coder, tester, reviewer, merger); status TEXT! ='idle'; current_task_id TEXT; worktree_path TEXT; branch_name TEXT; tokens_used INTEGER =0; tasks_completed INTEGER =0; tasks_failed INTEGER =0; spawned_at INTEGER!; last_activity_at INTEGER!; terminated_at INTEGER; termination_reason TEXT

**checkpoints** — id TEXT pk; project_id TEXT! → projects ON DELETE CASCADE; name TEXT; reason TEXT; state TEXT (JSON of the full state); git_commit TEXT; created_at INTEGER!

**requirements** — id TEXT pk; project_id TEXT! → projects ON DELETE CASCADE; category TEXT!; description TEXT!; priority TEXT! ='medium'; source TEXT; linked_features TEXT (JSON array of feature ids); validated INTEGER =0 (boolean); created_at INTEGER!

**metrics** — id TEXT pk; project_id TEXT! → projects ON DELETE CASCADE; agent_id TEXT; task_id TEXT; type TEXT! ('token_usage', 'task_duration', 'qa_iterations', …); value REAL!; metadata TEXT (JSON); timestamp INTEGER!

**sessions** — id TEXT pk; project_id TEXT! → projects ON DELETE CASCADE; type TEXT! ('interview', 'planning', 'execution', …); status TEXT! ='active'; data TEXT (JSON); started_at INTEGER!; ended_at INTEGER
`

// contractIndexes are the indexes that the contract names, with the table and
// the leading column.
var contractIndexes = map[string][2]string{
	"idx_features_project":    {"features", "project_id"},
	"idx_tasks_project":       {"tasks", "project_id"},
	"idx_tasks_status":        {"tasks", "status"},
	"idx_agents_status":       {"agents", "status"},
	"idx_checkpoints_project": {"checkpoints", "project_id"},
}

// contractTable is a table of the contract.
type contractTable struct {
	Name    string
	Columns []contractColumn
}

// contractColumn is a column of the contract.
type contractColumn struct {
	Name       string
	Type       string
	PrimaryKey bool
	NotNull    bool
	Default    string // as SQL; empty if there is none
	References string // a table; empty if there is no foreign key
	OnDelete   string // as SQLite names it
}

// required reports whether an INSERT has to name the column.
func (c contractColumn) required() bool {
	return c.PrimaryKey || c.NotNull && c.Default == ""
}

// contract is contractText as data.
var contract = parseContract(contractText)

var contractNotation = regexp.MustCompile(`^(?P<name>\w+) (?P<type>TEXT|INTEGER|REAL)(?P<notnull>!?)(?P<pk> pk)?` +
	`(?: CHECK in \([^)]*\))?(?: → (?P<table>\w+) (?P<delete>ON DELETE CASCADE|\(no action\)))?` +
	`(?: =(?P<default>'\w*'|\d+))?(?: \([^)]*\))?$`)

func parseContract(text string) (tables []contractTable) {
	for line := range strings.Lines(text) {
		name, columns, found := strings.Cut(strings.TrimSpace(line), " — ")
		if !found {
			continue
		}
		table := contractTable{Name: strings.Trim(name, "*")}
		for _, notation := range strings.Split(columns, "; ") {
			m := contractNotation.FindStringSubmatch(notation)
			if m == nil {
				panic(fmt.Sprintf("the contract of %s is not understood: %q", table.Name, notation))
			}
			part := func(name string) string { return m[contractNotation.SubexpIndex(name)] }
			column := contractColumn{
				Name: part("name"), Type: part("type"),
				PrimaryKey: part("pk") != "", NotNull: part("notnull") != "",
				Default: part("default"), References: part("table"),
			}
			switch part("delete") {
			case "ON DELETE CASCADE":
				column.OnDelete = "CASCADE"
			case "(no action)":
				column.OnDelete = "NO ACTION"
			}
			table.Columns = append(table.Columns, column)
		}
		tables = append(tables, table)
	}
	return tables
}

// columnNames returns the names of the columns that the contract has for a table.
func columnNames(table string) (names []string) {
	for _, t := range contract {
		if t.Name == table {
			for _, c := range t.Columns {
				names = append(names, c.Name)
			}
		}
	}
	return names
}
