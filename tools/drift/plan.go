package drift

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
	atlas "ariga.io/atlas/sql/sqlite"
)

// script is a migration.
type script struct {
	up, down []string // SQL statements
	rebuilt  []string // tables
}

// plan returns the statements that make the changes, and those that take them
// back.
func plan(ctx context.Context, s *snapshot, changes []change) (*script, error) {
	var all script
	for _, c := range changes {
		if err := c.possible(); err != nil {
			return nil, err
		}
		one, err := c.alter(ctx)
		if one == nil && err == nil {
			one, err = c.rebuild(ctx, s)
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", c.from.Name, err)
		}
		all.up = append(all.up, one.up...)
		all.down = append(one.down, all.down...)
		all.rebuilt = append(all.rebuilt, one.rebuilt...)
	}
	return &all, nil
}

// possible refuses what works as long as a table is empty, and fails on the
// first database with rows in it.
func (c *change) possible() error {
	needsValue := func(c *schema.Column) bool { return !c.Type.Null && c.Default == nil }
	for _, one := range c.up {
		switch one := one.(type) {
		case *schema.AddColumn:
			if needsValue(one.C) {
				return fmt.Errorf("%s.%s is NOT NULL and has no default: the rows that are there, and the programs that do not know it, have no value for it",
					c.from.Name, one.C.Name)
			}
		case *schema.ModifyColumn:
			if one.From.Type.Null && needsValue(one.To) {
				return fmt.Errorf("%s.%s becomes NOT NULL and has no default: rows that are NULL there have no value for it",
					c.from.Name, one.To.Name)
			}
		case *schema.DropColumn:
			if needsValue(one.C) {
				return fmt.Errorf("%s.%s is NOT NULL and has no default: once dropped, it cannot be brought back; write this migration by hand",
					c.from.Name, one.C.Name)
			}
		}
	}
	return nil
}

// alter plans ADD COLUMN and DROP COLUMN. It returns nil if the change takes
// more than these.
//
// Atlas would rebuild the table for a dropped column. But each is the reverse of
// the other, so a dropped column is planned as an added one, with up and down
// exchanged.
func (c *change) alter(ctx context.Context) (*script, error) {
	var script script
	for _, one := range c.up {
		column, dropped := (*schema.Column)(nil), false
		switch one := one.(type) {
		case *schema.AddColumn:
			column = one.C
		case *schema.DropColumn:
			column, dropped = one.C, true
		default:
			return nil, nil
		}
		add, err := atlas.DefaultPlan.PlanChanges(ctx, "", []schema.Change{
			&schema.ModifyTable{T: c.to, Changes: []schema.Change{&schema.AddColumn{C: column}}},
		})
		if err != nil {
			return nil, err
		}
		if len(add.Changes) != 1 || !add.Reversible {
			return nil, nil
		}
		up, down := tidy(add.Changes[0].Cmd), tidy(add.Changes[0].Reverse.(string))
		if dropped {
			up, down = down, up
		}
		script.up = append(script.up, up)
		script.down = append([]string{down}, script.down...)
	}
	return &script, nil
}

// rebuild plans a new table with the rows of the old one.
func (c *change) rebuild(ctx context.Context, s *snapshot) (_ *script, err error) {
	script := script{rebuilt: []string{c.from.Name}}
	if script.up, err = rebuild(ctx, s, c.to, c.up); err != nil {
		return nil, err
	}
	back, err := atlas.DefaultDiff.TableDiff(c.to, c.from)
	if err != nil {
		return nil, err
	}
	script.down, err = rebuild(ctx, s, c.from, back)
	return &script, err
}

// rebuild makes a table what it is to be. Everything that hangs on it is created
// again, with the text that it has: what is attached to a table is dropped with
// it, and while it is gone, SQLite renames no table if a trigger or a view
// speaks of it.
func rebuild(ctx context.Context, s *snapshot, to *schema.Table, changes []schema.Change) ([]string, error) {
	bare := *to
	bare.Indexes, bare.ForeignKeys = nil, nil
	for _, key := range to.ForeignKeys {
		unnamed := *key
		if strings.Trim(key.Symbol, "0123456789") == "" {
			unnamed.Symbol = "" // SQLite has none; Atlas counts them
		}
		bare.ForeignKeys = append(bare.ForeignKeys, &unnamed)
	}
	plan, err := atlas.DefaultPlan.PlanChanges(ctx, "", []schema.Change{&schema.ModifyTable{T: &bare, Changes: changes}},
		func(o *migrate.PlanOptions) { o.Indent = "    " })
	if err != nil {
		return nil, err
	}
	var drops, creates, statements []string
	for _, d := range s.hangingOn(to.Name) {
		if d.kind != "index" {
			drops = append(drops, fmt.Sprintf("DROP %s `%s`", strings.ToUpper(d.kind), d.name))
		}
		creates = append(creates, d.sql)
	}
	slices.Reverse(drops)
	for _, one := range plan.Changes {
		// Migrations run with foreign keys off, and in a transaction, where
		// this would do nothing.
		if !strings.HasPrefix(one.Cmd, "PRAGMA foreign_keys") {
			statements = append(statements, tidy(one.Cmd))
		}
	}
	return slices.Concat(drops, statements, creates), nil
}

// hangingOn returns the indexes of a table and the triggers and views that speak
// of it, in the order of their creation.
func (s *snapshot) hangingOn(table string) (list []dependent) {
	speaksOf := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(table) + `\b`)
	for _, d := range s.dependents {
		if d.table == table || d.kind != "index" && speaksOf.MatchString(d.sql) {
			list = append(list, d)
		}
	}
	return list
}

var atlasType = regexp.MustCompile("` (text|integer|real) (NOT )?NULL")

// tidy writes columns as the migrations do: types in capitals, and no word about
// NULL where it is allowed.
func tidy(sql string) string {
	return atlasType.ReplaceAllStringFunc(sql, func(s string) string {
		s = strings.ToUpper(s)
		if !strings.HasSuffix(s, " NOT NULL") {
			s = strings.TrimSuffix(s, " NULL")
		}
		return s
	})
}
