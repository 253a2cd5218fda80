package store

import (
	"fmt"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// child is a column that holds ids of another table.
type child struct {
	kind   nexus.Kind
	column string
}

// contained is what refers to a row, and goes with it or keeps it from going.
var contained = map[nexus.Kind][]child{
	nexus.KindProject: {
		{nexus.KindFeature, "project_id"},
		{nexus.KindTask, "project_id"},
		{nexus.KindCheckpoint, "project_id"},
		{nexus.KindRequirement, "project_id"},
		{nexus.KindSession, "project_id"},
	},
	nexus.KindFeature:    {{nexus.KindSubFeature, "feature_id"}, {nexus.KindTask, "feature_id"}},
	nexus.KindSubFeature: {{nexus.KindTask, "sub_feature_id"}},
}

// contents looks for what others have put into rows that are to go. With force it
// goes with a project, and with a feature its sub-features; tasks leave a feature.
func (u *undoing) contents(force bool) error {
	for _, kind := range []nexus.Kind{nexus.KindProject, nexus.KindFeature, nexus.KindSubFeature} {
		for _, key := range u.keysOf(kind) {
			if row := u.rows[key]; row.now == nil || row.then != nil {
				continue
			}
			for _, c := range contained[kind] {
				if err := u.content(key, c, force); err != nil {
					return err
				}
			}
			if kind == nexus.KindProject {
				if err := u.metrics(key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (u *undoing) content(container rowKey, c child, force bool) error {
	inside, err := ids(u.ctx, u.conn, "SELECT id FROM "+c.kind.Table()+" WHERE "+c.column+" = $1 ORDER BY id", container.id)
	if err != nil {
		return err
	}
	l := layouts[c.kind]
	column := l.column(c.column)
	for _, id := range inside {
		row := u.rows[rowKey{c.kind, id}]
		if row != nil && (row.then == nil || row.then[column].Text != container.id) {
			continue // it goes, or leaves
		}
		if row != nil && row.stays {
			continue // of which there is a conflict already
		}
		u.report.Conflicts = append(u.report.Conflicts, nexus.Conflict{
			Kind: c.kind, ID: id, Reason: fmt.Sprintf("others have put it into %s %s, which would go", container.kind, container.id),
		})
		if !force {
			continue
		}
		if row == nil {
			now, err := l.current(u.ctx, u.conn, id)
			if err != nil {
				return err
			}
			row = &undoneRow{now: now, then: append(image(nil), now...)}
			u.rows[rowKey{c.kind, id}] = row
		}
		if c.kind == nexus.KindTask && container.kind != nexus.KindProject {
			row.then[column] = driver.Null()
		} else {
			row.then = nil
		}
	}
	return nil
}

// metrics tells of those of a project that goes. They are in no history while it is
// there, so who recorded them is not known: it may have been others.
func (u *undoing) metrics(project rowKey) error {
	const sql = `SELECT count(*) FROM metrics WHERE project_id = $1`
	return u.conn.Query(u.ctx, sql, []driver.Arg{driver.Text(project.id)}, func(r driver.Row) error {
		if n := r.Int(0); n > 0 {
			u.report.Conflicts = append(u.report.Conflicts, nexus.Conflict{
				Kind: project.kind, ID: project.id, Reason: fmt.Sprintf("its metrics would go with it: there are %d", n),
			})
		}
		return nil
	})
}
