package plan

import (
	"fmt"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/graph"
)

func (a *applier) project() (*row[nexus.Project, nexus.ProjectUpdate], error) {
	e := a.document.Project
	u := e.Fields
	if e.Key == "" && u.Name != nil {
		e.Key = *u.Name
	}
	u.PlanKey = &e.Key
	var stored []nexus.Project
	if e.Key != "" {
		var err error
		stored, err = a.tx.Projects.List(a.ctx, nexus.ProjectFilter{PlanKey: e.Key})
		if err != nil {
			return nil, err
		}
	}
	s := newSection[nexus.Project, nexus.ProjectUpdate](a, sectionProject,
		func(p *nexus.Project) string { return p.PlanKey },
		func(p *nexus.Project) string { return p.ID },
		func(p *nexus.Project) int64 { return p.Revision }, stored)
	s.declare(nexus.KindProject, e.Key, e.node)
	base := nexus.Project{ID: s.ids[e.Key]}
	if s.stored[e.Key] != nil {
		u.Status = nil
	}
	add(s, 0, e.Key, base, u)
	if len(s.rows) == 0 { // without a key; the rest is checked all the same
		return &row[nexus.Project, nexus.ProjectUpdate]{after: &base}, nil
	}
	return s.rows[0], nil
}

func (a *applier) features(project string) (*section[nexus.Feature, nexus.FeatureUpdate], error) {
	stored, err := a.tx.Features.List(a.ctx, nexus.FeatureFilter{ProjectID: project})
	if err != nil {
		return nil, err
	}
	s := newSection[nexus.Feature, nexus.FeatureUpdate](a, sectionFeatures,
		func(f *nexus.Feature) string { return f.PlanKey },
		func(f *nexus.Feature) string { return f.ID },
		func(f *nexus.Feature) int64 { return f.Revision }, stored)
	for _, e := range a.document.Features {
		s.declare(nexus.KindFeature, e.Key, e.node)
	}
	for i, e := range a.document.Features {
		u := e.Fields
		u.PlanKey = &e.Key
		if s.stored[e.Key] != nil {
			u.Status = nil
		}
		add(s, i, e.Key, nexus.Feature{ID: s.ids[e.Key], ProjectID: project}, u)
	}
	a.report.Features.Kept = s.kept()
	return s, nil
}

func (a *applier) subFeatures(project string, features *section[nexus.Feature, nexus.FeatureUpdate]) (*section[nexus.SubFeature, nexus.SubFeatureUpdate], error) {
	stored, err := a.tx.SubFeatures.List(a.ctx, nexus.SubFeatureFilter{ProjectID: project})
	if err != nil {
		return nil, err
	}
	s := newSection[nexus.SubFeature, nexus.SubFeatureUpdate](a, sectionSubFeatures,
		func(f *nexus.SubFeature) string { return f.PlanKey },
		func(f *nexus.SubFeature) string { return f.ID },
		func(f *nexus.SubFeature) int64 { return f.Revision }, stored)
	for _, e := range a.document.SubFeatures {
		s.declare(nexus.KindSubFeature, e.Key, e.node)
	}
	for i, e := range a.document.SubFeatures {
		u := e.Fields
		u.PlanKey = &e.Key
		base := nexus.SubFeature{ID: s.ids[e.Key], FeatureID: resolve(features, e.Feature, s, i, "feature")}
		switch was := s.stored[e.Key]; {
		case e.Feature == "":
			s.problem(i, "feature", "is required")
			base.FeatureID = "?" // reported; not once more
		case base.FeatureID == "":
			base.FeatureID = "?"
		case was != nil && was.FeatureID != base.FeatureID:
			s.problem(i, "feature", "is another than before; a sub-feature cannot move, give it another key")
		case was != nil:
			u.Status = nil
		}
		add(s, i, e.Key, base, u)
	}
	a.report.SubFeatures.Kept = s.kept()
	return s, nil
}

func (a *applier) tasks(project string, features *section[nexus.Feature, nexus.FeatureUpdate], subFeatures *section[nexus.SubFeature, nexus.SubFeatureUpdate]) (*section[nexus.Task, nexus.TaskUpdate], error) {
	stored, err := a.tx.Tasks.List(a.ctx, nexus.TaskFilter{ProjectID: project})
	if err != nil {
		return nil, err
	}
	s := newSection[nexus.Task, nexus.TaskUpdate](a, sectionTasks,
		func(t *nexus.Task) string { return t.PlanKey },
		func(t *nexus.Task) string { return t.ID },
		func(t *nexus.Task) int64 { return t.Revision }, stored)
	for _, e := range a.document.Tasks {
		s.declare(nexus.KindTask, e.Key, e.node)
	}
	featureOf := featuresOf(a.document, features, subFeatures)
	for i, e := range a.document.Tasks {
		u := e.Fields
		u.PlanKey = &e.Key
		was := s.stored[e.Key]
		if was != nil { // what has become of it is not the plan's
			u.Status, u.StartedAt, u.CompletedAt, u.BlockedBy = nil, nil, nil, nil
		}
		for field, n := range map[string]*int{
			"estimated_minutes": u.EstimatedMinutes, "max_iterations": u.MaxIterations, "max_attempts": u.MaxAttempts,
		} {
			if n != nil && *n == 0 {
				s.problem(i, field, "is 0; leave it out for the default")
			}
		}
		feature := resolve(features, e.Feature, s, i, "feature")
		subFeature := resolve(subFeatures, e.SubFeature, s, i, "sub_feature")
		switch own := featureOf[subFeature]; {
		case subFeature == "":
		case feature == "":
			feature = own
		case own != "" && feature != own:
			s.problem(i, "sub_feature", "%q belongs to another feature than %q", e.SubFeature, e.Feature)
		}
		if feature != "" {
			u.FeatureID = &feature
		}
		if subFeature == "" && feature != "" && was != nil && featureOf[was.SubFeatureID] != feature {
			subFeature = "" // it moves to another feature, away from its sub-feature
			u.SubFeatureID = &subFeature
		} else if subFeature != "" {
			u.SubFeatureID = &subFeature
		}
		if e.DependsOn != nil {
			ids := resolveList(s, e.DependsOn, s, i, "depends_on")
			u.DependsOn = &ids
			a.report.Dependencies += len(ids)
		}
		add(s, i, e.Key, nexus.Task{ID: s.ids[e.Key], ProjectID: project}, u)
	}
	a.report.Tasks.Kept = s.kept()
	a.refuseCycles(s, stored)
	return s, nil
}

// featuresOf maps the ids of sub-features to those of their features.
func featuresOf(d *Document, features *section[nexus.Feature, nexus.FeatureUpdate], subFeatures *section[nexus.SubFeature, nexus.SubFeatureUpdate]) map[string]string {
	featureOf := make(map[string]string)
	for _, s := range subFeatures.stored {
		featureOf[s.ID] = s.FeatureID
	}
	for _, s := range d.SubFeatures {
		featureOf[subFeatures.ids[s.Key]] = features.ids[s.Feature]
	}
	return featureOf
}

// resolveList is resolve for a field that is a list of keys.
func resolveList[E, U, E2, U2 any](to *section[E, U], keys []string, from *section[E2, U2], i int, field string) []string {
	ids := make([]string, 0, len(keys))
	seen := make(map[string]bool, len(keys))
	for j, key := range keys {
		id, known := to.ids[key]
		switch {
		case !known:
			from.itemProblem(i, field, j, "%q is not the key of any of %s", key, to.name)
		case seen[key]:
			from.itemProblem(i, field, j, "%q is named twice", key)
		default:
			ids = append(ids, id)
		}
		seen[key] = true
	}
	return ids
}

// itemProblem is problem for an item of a list.
func (s *section[E, U]) itemProblem(i int, field string, j int, format string, args ...any) {
	p := nexus.Problem{Field: s.path(i, field), Message: fmt.Sprintf(format, args...)}
	if place := s.nodes[i]; place != nil {
		// A program may have changed the list since it was parsed.
		if list := place.Member(field); list != nil && j < len(list.Items) {
			place = &list.Items[j]
		}
		p.Line, p.Column = s.a.document.source.Place(place)
	}
	s.a.problems = append(s.a.problems, p)
}

// refuseCycles looks for cycles among all tasks that the project would have.
func (a *applier) refuseCycles(s *section[nexus.Task, nexus.TaskUpdate], stored []nexus.Task) {
	all := make([]*nexus.Task, 0, len(stored)+len(s.rows))
	replaced := make(map[string]bool, len(s.rows))
	for _, r := range s.rows {
		all = append(all, r.after)
		replaced[r.id] = true
	}
	for i := range stored {
		if !replaced[stored[i].ID] {
			all = append(all, &stored[i])
		}
	}
	number := make(map[string]int, len(all))
	for n, t := range all {
		number[t.ID] = n
	}
	edges := make([][]int, len(all))
	for n, t := range all {
		for _, id := range t.DependsOn {
			if to, there := number[id]; there && to != n { // validation sees what leads to itself
				edges[n] = append(edges[n], to)
			}
		}
	}
	for _, cycle := range graph.Cycles(edges) {
		names := make([]string, 0, len(cycle)+1)
		for _, n := range append(cycle, cycle[0]) {
			name := all[n].PlanKey
			if name == "" {
				name = all[n].ID
			}
			names = append(names, name)
		}
		i, inPlan := s.index[all[cycle[0]].PlanKey]
		if !inPlan { // it was there before
			continue
		}
		s.problem(i, "depends_on", "is a cycle: %s", strings.Join(names, " → "))
	}
}

func (a *applier) requirements(project string, features *section[nexus.Feature, nexus.FeatureUpdate]) (*section[nexus.Requirement, nexus.RequirementUpdate], error) {
	stored, err := a.tx.Requirements.List(a.ctx, nexus.RequirementFilter{ProjectID: project})
	if err != nil {
		return nil, err
	}
	s := newSection[nexus.Requirement, nexus.RequirementUpdate](a, sectionRequirements,
		func(r *nexus.Requirement) string { return r.PlanKey },
		func(r *nexus.Requirement) string { return r.ID },
		func(r *nexus.Requirement) int64 { return r.Revision }, stored)
	for _, e := range a.document.Requirements {
		s.declare(nexus.KindRequirement, e.Key, e.node)
	}
	for i, e := range a.document.Requirements {
		u := e.Fields
		u.PlanKey = &e.Key
		if e.LinkedFeatures != nil {
			ids := resolveList(features, e.LinkedFeatures, s, i, "linked_features")
			u.LinkedFeatures = &ids
		}
		add(s, i, e.Key, nexus.Requirement{ID: s.ids[e.Key], ProjectID: project}, u)
	}
	a.report.Requirements.Kept = s.kept()
	return s, nil
}
