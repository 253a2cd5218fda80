package storetest

import (
	"context"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// awkward is a text that a careless program changes, refuses or obeys.
const awkward = "Zoë's \"plan\" \\ \r\n\t'; DROP TABLE projects; -- $1 ?1 :a %_ <&> 🦀 \u202emirrored\u202c مرحبا \ufeff\x7f\x01"

// counts turns the count of one kind of status into one of all kinds.
func counts[S ~string](m map[S]int64, err error) (map[string]int64, error) {
	plain := make(map[string]int64)
	for status, n := range m {
		plain[string(status)] = n
	}
	return plain, err
}

var projects = entity[nexus.Project, nexus.ProjectFilter, nexus.ProjectUpdate]{
	kind: nexus.KindProject, letter: 'p',
	service: func(s *store.Services) *store.Service[nexus.Project, nexus.ProjectFilter, nexus.ProjectUpdate] {
		return &s.Projects.Service
	},
	minimal: nexus.Project{Name: "n", RootPath: "/r"},
	defaulted: nexus.Project{
		Name: "n", RootPath: "/r", Mode: nexus.ModeGenesis, Status: nexus.ProjectPending,
		CreatedAt: now, UpdatedAt: now, Revision: 1,
	},
	full: nexus.Project{
		Name: "Zoë's", Description: awkward, Mode: nexus.ModeEvolution, Status: nexus.ProjectPlanning,
		RootPath: "/srv/ä b", RepositoryURL: "https://example.com/a?b=c&d",
		CreatedAt: past, UpdatedAt: past.Add(time.Hour), CompletedAt: past.Add(2 * time.Hour),
		BudgetTokens: 1 << 50, BudgetUSD: 1e300, PlanKey: "key/1", Revision: 1,
	},
	other: nexus.Project{
		Name: "other", Description: "d", Mode: nexus.ModeGenesis, Status: nexus.ProjectExecuting,
		RootPath: "/other", RepositoryURL: "git@example.com:x",
		CreatedAt: past.Add(time.Minute), UpdatedAt: past.Add(3 * time.Hour), CompletedAt: past.Add(4 * time.Hour),
		BudgetTokens: 7, BudgetUSD: 0.25, PlanKey: "key/2",
	},
	created: "CreatedAt", touched: "UpdatedAt",
	effects:  map[string]func(*nexus.Project){"Status": func(p *nexus.Project) { p.CompletedAt = time.Time{} }},
	required: []string{"name", "mode", "status", "root_path"},
	vary: func(i int, p *nexus.Project) {
		p.Name = []string{"b", "a", "B", "ä", ""}[i%5] + "x"
		p.Status = nexus.ProjectStatuses()[i%3]
		p.Mode = nexus.ProjectModes()[i/3%2]
		p.CreatedAt = past.Add(time.Duration(i%4) * time.Second)
		p.UpdatedAt = past.Add(time.Duration(i%6) * time.Hour)
		if i%10 == 0 {
			p.PlanKey = string(rune('a' + i/10))
		}
	},
	orders: []string{"name", "created_at", "updated_at"},
	filters: []filter[nexus.Project, nexus.ProjectFilter]{
		{nexus.ProjectFilter{Mode: nexus.ModeEvolution}, func(p *nexus.Project) bool { return p.Mode == nexus.ModeEvolution }},
		{nexus.ProjectFilter{Status: nexus.ProjectStatuses()[:1]}, func(p *nexus.Project) bool { return p.Status == nexus.ProjectStatuses()[0] }},
		{nexus.ProjectFilter{Status: nexus.ProjectStatuses()[1:3]}, func(p *nexus.Project) bool { return p.Status != nexus.ProjectStatuses()[0] }},
		{nexus.ProjectFilter{Status: []nexus.ProjectStatus{"unheard-of"}}, func(*nexus.Project) bool { return false }},
		{nexus.ProjectFilter{PlanKey: "b"}, func(p *nexus.Project) bool { return p.PlanKey == "b" }},
		{
			nexus.ProjectFilter{Mode: nexus.ModeGenesis, Status: nexus.ProjectStatuses()[:1]},
			func(p *nexus.Project) bool {
				return p.Mode == nexus.ModeGenesis && p.Status == nexus.ProjectStatuses()[0]
			},
		},
	},
	refusedStep: [2]string{"planning", "completed"},
	byStatus: func(ctx context.Context, s *store.Services, f nexus.ProjectFilter) (map[string]int64, error) {
		return counts(s.Projects.CountByStatus(ctx, f))
	},
}
