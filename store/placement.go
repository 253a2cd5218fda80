package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// placement is that tasks of a project are in a feature or sub-feature. The contract lets
// that be one of another project, which then counts tasks that are not its own, and keeps
// its project from being deleted.
type placement struct {
	project, id string
	kind        nexus.Kind // of id
}

// place notes where a task is since this transaction. Where it was before may be another
// program's mistake, and must not be in the way of other changes.
func (s *settlement) place(before, after *nexus.Task) {
	if before == nil {
		before = new(nexus.Task)
	}
	note := func(kind nexus.Kind, was, is string) {
		if is == "" || is == was && after.ProjectID == before.ProjectID {
			return
		}
		if s.placed == nil {
			s.placed = make(map[placement]string)
		}
		if p := (placement{after.ProjectID, is, kind}); s.placed[p] == "" {
			s.placed[p] = after.ID
		}
	}
	note(nexus.KindFeature, before.FeatureID, after.FeatureID)
	note(nexus.KindSubFeature, before.SubFeatureID, after.SubFeatureID)
}

// checkPlaces refuses tasks in a feature or sub-feature of another project. Whether it
// exists, the database checks.
func (s *settlement) checkPlaces(ctx context.Context, c driver.Conn) error {
	byKind := func(a, b placement) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id)) }
	for _, p := range slices.SortedFunc(maps.Keys(s.placed), byKind) { // so that the same mistake gets the same answer
		sql := `SELECT project_id FROM features WHERE id = $1`
		if p.kind == nexus.KindSubFeature {
			sql = `SELECT f.project_id FROM sub_features s JOIN features f ON f.id = s.feature_id WHERE s.id = $1`
		}
		of := p.project
		err := c.Query(ctx, sql, []driver.Arg{driver.Text(p.id)}, func(r driver.Row) error {
			of = r.Text(0)
			return nil
		})
		if err != nil {
			return err
		}
		if of != p.project {
			return &nexus.Error{
				Code: nexus.CodeInvalid, Kind: nexus.KindTask, ID: s.placed[p],
				Problems: []nexus.Problem{{Field: string(p.kind) + "_id", Message: fmt.Sprintf("%s is of project %s, not of %s", p.id, of, p.project)}},
				Hint:     "nothing was changed",
			}
		}
	}
	return nil
}
