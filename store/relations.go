package store

import (
	"context"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Load returns a project with what belongs to it, all of one moment: features,
// sub-features, tasks, checkpoints, requirements, metrics and sessions, or only
// those of the kinds given. It takes one query per kind. Code: CodeNotFound.
func (s *Projects) Load(ctx context.Context, id string, kinds ...nexus.Kind) (p *nexus.Project, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		if p, err = projects.mustGet(ctx, c, id); err != nil {
			return err
		}
		l := loader{ctx, c, kinds, nil}
		loadList(&l, features, nexus.FeatureFilter{ProjectID: id}, &p.Features)
		loadList(&l, subFeatures, nexus.SubFeatureFilter{ProjectID: id}, &p.SubFeatures)
		loadList(&l, tasks, nexus.TaskFilter{ProjectID: id}, &p.Tasks)
		loadList(&l, checkpoints, nexus.CheckpointFilter{ProjectID: id}, &p.Checkpoints)
		loadList(&l, requirements, nexus.RequirementFilter{ProjectID: id}, &p.Requirements)
		loadList(&l, metrics, nexus.MetricFilter{ProjectID: id}, &p.Metrics)
		loadList(&l, sessions, nexus.SessionFilter{ProjectID: id}, &p.Sessions)
		return l.err
	})
	return p, err
}

// Load returns a feature with its project, sub-features and tasks, or only those
// of the kinds given, all of one moment. Code: CodeNotFound.
func (s *Features) Load(ctx context.Context, id string, kinds ...nexus.Kind) (f *nexus.Feature, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		if f, err = features.mustGet(ctx, c, id); err != nil {
			return err
		}
		l := loader{ctx, c, kinds, nil}
		loadOne(&l, projects, f.ProjectID, &f.Project)
		loadList(&l, subFeatures, nexus.SubFeatureFilter{FeatureID: id}, &f.SubFeatures)
		loadList(&l, tasks, nexus.TaskFilter{FeatureID: id}, &f.Tasks)
		return l.err
	})
	return f, err
}

// Load returns a sub-feature with its feature and tasks, or only those of the
// kinds given, all of one moment. Code: CodeNotFound.
func (s *SubFeatures) Load(ctx context.Context, id string, kinds ...nexus.Kind) (sub *nexus.SubFeature, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		if sub, err = subFeatures.mustGet(ctx, c, id); err != nil {
			return err
		}
		l := loader{ctx, c, kinds, nil}
		loadOne(&l, features, sub.FeatureID, &sub.Feature)
		loadList(&l, tasks, nexus.TaskFilter{SubFeatureID: id}, &sub.Tasks)
		return l.err
	})
	return sub, err
}

// Load returns a task with its project, feature and sub-feature, or only those
// of the kinds given, all of one moment. Code: CodeNotFound.
func (s *Tasks) Load(ctx context.Context, id string, kinds ...nexus.Kind) (t *nexus.Task, err error) {
	err = s.run.snapshot(ctx, func(c driver.Conn) error {
		if t, err = tasks.mustGet(ctx, c, id); err != nil {
			return err
		}
		l := loader{ctx, c, kinds, nil}
		loadOne(&l, projects, t.ProjectID, &t.Project)
		loadOne(&l, features, t.FeatureID, &t.Feature)
		loadOne(&l, subFeatures, t.SubFeatureID, &t.SubFeature)
		return l.err
	})
	return t, err
}

// loader reads the relations of one entity; after an error it does nothing more.
type loader struct {
	ctx   context.Context
	conn  driver.Conn
	kinds []nexus.Kind // those to load; none is all
	err   error
}

func (l *loader) wants(kind nexus.Kind) bool {
	return l.err == nil && (len(l.kinds) == 0 || slices.Contains(l.kinds, kind))
}

func loadList[E, F, U any](l *loader, t *table[E, F, U], filter F, into *[]E) {
	if l.wants(t.kind) {
		*into, l.err = t.list(l.ctx, l.conn, filter)
	}
}

func loadOne[E, F, U any](l *loader, t *table[E, F, U], id string, into **E) {
	if id != "" && l.wants(t.kind) {
		*into, l.err = t.get(l.ctx, l.conn, id)
	}
}
