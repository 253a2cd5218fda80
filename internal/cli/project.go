package cli

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var projectEntity = entity[nexus.Project, nexus.ProjectFilter, nexus.ProjectUpdate]{
	kind: nexus.KindProject, use: "project",
	what:    "A project is a piece of software that the agents build or change.",
	example: `project create "Web shop" --root-path .`,
	change:  `--status executing`,

	service: func(db *store.Services) *store.Service[nexus.Project, nexus.ProjectFilter, nexus.ProjectUpdate] {
		return &db.Projects.Service
	},
	id:       func(p *nexus.Project) string { return p.ID },
	page:     func(f *nexus.ProjectFilter) *nexus.Page { return &f.Page },
	revision: func(u *nexus.ProjectUpdate) *int64 { return &u.Revision },
	orders:   "name, created_at, updated_at",

	argument: "NAME",
	setArg:   func(p *nexus.Project, arg string) { p.Name = arg },
	fields: []field[nexus.Project, nexus.ProjectUpdate]{
		ownID[nexus.Project, nexus.ProjectUpdate](func(p *nexus.Project) *string { return &p.ID }),
		both("name", "its name", texts[string](),
			func(p *nexus.Project) *string { return &p.Name },
			func(u *nexus.ProjectUpdate) **string { return &u.Name }),
		both("description", "what it is", texts[string](),
			func(p *nexus.Project) *string { return &p.Description },
			func(u *nexus.ProjectUpdate) **string { return &u.Description }),
		both("mode", "genesis (new software, the default) or evolution", words[nexus.ProjectMode](),
			func(p *nexus.Project) *nexus.ProjectMode { return &p.Mode },
			func(u *nexus.ProjectUpdate) **nexus.ProjectMode { return &u.Mode }),
		both("status", "pending, planning, executing, paused, completed or failed", words[nexus.ProjectStatus](),
			func(p *nexus.Project) *nexus.ProjectStatus { return &p.Status },
			func(u *nexus.ProjectUpdate) **nexus.ProjectStatus { return &u.Status }),
		rootPath,
		both("repository-url", "where its repository is", texts[string](),
			func(p *nexus.Project) *string { return &p.RepositoryURL },
			func(u *nexus.ProjectUpdate) **string { return &u.RepositoryURL }),
		both("budget-tokens", "how many tokens all its tasks may use (default: any number)", numbers[int64](),
			func(p *nexus.Project) *int64 { return &p.BudgetTokens },
			func(u *nexus.ProjectUpdate) **int64 { return &u.BudgetTokens }),
		both("budget-usd", "how many US dollars they may cost (default: any number)", decimals,
			func(p *nexus.Project) *float64 { return &p.BudgetUSD },
			func(u *nexus.ProjectUpdate) **float64 { return &u.BudgetUSD }),
		changed[nexus.Project]("completed-at", "when it was completed", times,
			func(u *nexus.ProjectUpdate) **time.Time { return &u.CompletedAt }),
		both("plan-key", "its name in plan documents", words[string](),
			func(p *nexus.Project) *string { return &p.PlanKey },
			func(u *nexus.ProjectUpdate) **string { return &u.PlanKey }),
	},
	filters: func(b *binder, f *nexus.ProjectFilter) {
		known(b, "status", "in one of these", nexus.ProjectStatuses(), func(v []nexus.ProjectStatus) { f.Status = v })
		knownOne(b, "mode", "of this mode", nexus.ProjectModes(), func(v nexus.ProjectMode) { f.Mode = v })
		flag(b, "plan-key", "with this name in plan documents", choice[string](), func(v string) { f.PlanKey = v })
	},

	header: []string{"ID", "STATUS", "MODE", "UPDATED", "NAME"},
	row: func(p *nexus.Project) []string {
		return []string{p.ID, string(p.Status), string(p.Mode), date(p.UpdatedAt), p.Name}
	},

	load: func(ctx context.Context, db *store.Services, id string, kinds []nexus.Kind) (*nexus.Project, error) {
		return db.Projects.Load(ctx, id, kinds...)
	},
	related: []nexus.Kind{
		nexus.KindFeature, nexus.KindSubFeature, nexus.KindTask, nexus.KindCheckpoint,
		nexus.KindRequirement, nexus.KindMetric, nexus.KindSession,
	},
	count: counter(func(db *store.Services) func(context.Context, nexus.ProjectFilter) (map[nexus.ProjectStatus]int64, error) {
		return db.Projects.CountByStatus
	}),
	protect: protectProject,
}

func (a *app) projectCommand() *cobra.Command { return projectEntity.command(a) }

// protectProject refuses to delete a project with all that belongs to it, unless
// that is what the user wants.
func protectProject(ctx context.Context, db *store.Services, id string, cascade bool) error {
	if cascade {
		return nil
	}
	var parts []string
	for _, part := range []struct {
		noun  string
		count func() (int64, error)
	}{
		{"feature", func() (int64, error) { return db.Features.Count(ctx, nexus.FeatureFilter{ProjectID: id}) }},
		{"task", func() (int64, error) { return db.Tasks.Count(ctx, nexus.TaskFilter{ProjectID: id}) }},
		{"checkpoint", func() (int64, error) { return db.Checkpoints.Count(ctx, nexus.CheckpointFilter{ProjectID: id}) }},
		{"requirement", func() (int64, error) { return db.Requirements.Count(ctx, nexus.RequirementFilter{ProjectID: id}) }},
		{"metric", func() (int64, error) { return db.Metrics.Count(ctx, nexus.MetricFilter{ProjectID: id}) }},
		{"session", func() (int64, error) { return db.Sessions.Count(ctx, nexus.SessionFilter{ProjectID: id}) }},
	} {
		n, err := part.count()
		if err != nil {
			return err
		}
		if n > 0 {
			parts = append(parts, counted(n, part.noun))
		}
	}
	return wouldDelete(nexus.KindProject, id, parts)
}

// wouldDelete is the refusal to delete a row with its parts; without parts it is
// nil.
func wouldDelete(kind nexus.Kind, id string, parts []string) error {
	if len(parts) == 0 {
		return nil
	}
	return &nexus.Error{
		Code: nexus.CodeInUse, Kind: kind, ID: id,
		Message: "has " + strings.Join(parts, ", ") + ", which would be deleted with it",
		Hint:    "nothing was deleted; to delete all of it, add --cascade",
	}
}

var rootPath = field[nexus.Project, nexus.ProjectUpdate]{
	create: func(b *binder, p *nexus.Project) {
		rootPathFlag(b, "the folder of its source", p)
	},
	update: func(b *binder, u *nexus.ProjectUpdate) {
		flag(b, "root-path", "the folder of its source", folders, func(path string) { u.RootPath = &path })
	},
}

// rootPathFlag is the flag for the root path of a new project. It is kept as an absolute
// path: commands run in many folders, and look there for the project's repository.
func rootPathFlag(b *binder, usage string, p *nexus.Project) {
	flag(b, "root-path", usage+" (default: this folder)", folders, func(path string) { p.RootPath = path })
	if here, err := filepath.Abs("."); err == nil { // or else it is the store's default
		p.RootPath = here
	}
}
