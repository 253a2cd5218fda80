package plan

import (
	"context"
	"errors"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Options are the choices when applying a plan.
type Options struct {
	// DryRun does everything except keep it.
	DryRun bool

	// Progress, if not nil, is called now and then with how many rows are done.
	Progress func(done, total int)

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Report says what became of a plan.
type Report struct {
	ProjectID    string `json:"project_id,omitempty"` // empty if a dry run would create it
	DryRun       bool   `json:"dry_run,omitempty"`
	Projects     Count  `json:"projects"`
	Features     Count  `json:"features"`
	SubFeatures  Count  `json:"sub_features"`
	Tasks        Count  `json:"tasks"`
	Requirements Count  `json:"requirements"`
	Dependencies int    `json:"dependencies"` // between tasks of the plan
}

// Count counts the rows of one kind.
type Count struct {
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"`
	// Kept rows are in the project under a key that the plan does not have any
	// more. They are left as they are.
	Kept int `json:"kept"`
}

// Changed reports whether anything was created or updated.
func (r *Report) Changed() bool {
	for _, c := range []Count{r.Projects, r.Features, r.SubFeatures, r.Tasks, r.Requirements} {
		if c.Created > 0 || c.Updated > 0 {
			return true
		}
	}
	return false
}

// Apply stores a plan in one transaction. What is wrong with it (keys that are
// given twice or not at all, names that lead nowhere, cycles, values out of
// vocabulary) is reported all at once, in an error of code nexus.CodeInvalid,
// and then nothing is stored.
//
// Names may also be keys of rows that an earlier plan has stored in the project.
// Applying the same plan again changes nothing, so a retry is safe.
func Apply(ctx context.Context, db *store.DB, d *Document, options Options) (report *Report, err error) {
	undo := errors.New("a dry run keeps nothing")
	err = db.InTx(ctx, func(tx *store.Tx) error {
		if report, err = ApplyIn(ctx, tx, d, options); err != nil {
			return err
		}
		if options.DryRun {
			return undo
		}
		return nil
	})
	if err != nil && !errors.Is(err, undo) {
		return nil, err
	}
	return report, nil
}

// ApplyIn is [Apply] as a part of the transaction. It ignores DryRun but in what it
// reports.
func ApplyIn(ctx context.Context, tx *store.Tx, d *Document, options Options) (*Report, error) {
	tx.Operation("plan apply")
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Progress == nil {
		options.Progress = func(int, int) {}
	}
	report := &Report{DryRun: options.DryRun}
	a := &applier{ctx: ctx, tx: tx, document: d, options: options, now: options.Now(), report: report}
	if err := a.apply(); err != nil {
		return nil, err
	}
	return report, nil
}

// applier applies one document within one transaction.
type applier struct {
	ctx      context.Context
	tx       *store.Tx
	document *Document
	options  Options
	now      time.Time
	report   *Report
	problems []nexus.Problem
	done     int // rows
}

func (a *applier) apply() error {
	project, err := a.project()
	if err != nil {
		return err
	}
	features, err := a.features(project.after.ID)
	if err != nil {
		return err
	}
	subFeatures, err := a.subFeatures(project.after.ID, features)
	if err != nil {
		return err
	}
	tasks, err := a.tasks(project.after.ID, features, subFeatures)
	if err != nil {
		return err
	}
	requirements, err := a.requirements(project.after.ID, features)
	if err != nil {
		return err
	}
	if err := invalid(a.problems); err != nil {
		return err
	}
	if project.stored != nil || !a.options.DryRun {
		a.report.ProjectID = project.after.ID
	}

	// Parents first.
	err = put(a, &a.tx.Projects.Service, []*row[nexus.Project, nexus.ProjectUpdate]{project}, &a.report.Projects)
	if err == nil {
		err = put(a, &a.tx.Features.Service, features.rows, &a.report.Features)
	}
	if err == nil {
		err = put(a, &a.tx.SubFeatures.Service, subFeatures.rows, &a.report.SubFeatures)
	}
	if err == nil {
		err = put(a, &a.tx.Tasks.Service, tasks.rows, &a.report.Tasks)
	}
	if err == nil {
		err = put(a, &a.tx.Requirements.Service, requirements.rows, &a.report.Requirements)
	}
	return err
}

func (a *applier) total() int {
	d := a.document
	return 1 + len(d.Features) + len(d.SubFeatures) + len(d.Tasks) + len(d.Requirements)
}

// put creates or updates the rows of one section.
func put[E, F, U any](a *applier, service *store.Service[E, F, U], rows []*row[E, U], count *Count) error {
	const chunk = 500 // rows between two signs of progress
	var fresh []*E
	create := func() error {
		err := service.CreateMany(a.ctx, fresh)
		a.done += len(fresh)
		a.options.Progress(a.done, a.total())
		fresh = fresh[:0]
		return err
	}
	for _, r := range rows {
		if r.stored == nil {
			count.Created++
			if fresh = append(fresh, r.after); len(fresh) == chunk {
				if err := create(); err != nil {
					return err
				}
			}
			continue
		}
		after, err := service.Update(a.ctx, r.id, r.update)
		if err != nil {
			return err
		}
		if r.revision(after) == r.revision(r.stored) {
			count.Unchanged++
		} else {
			count.Updated++
		}
		if a.done++; a.done%chunk == 0 {
			a.options.Progress(a.done, a.total())
		}
	}
	return create()
}
