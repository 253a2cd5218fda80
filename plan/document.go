package plan

import (
	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
)

// Document is a plan. It can come from [Parse], or be put together by a program.
type Document struct {
	Project      Project
	Features     []Feature
	SubFeatures  []SubFeature
	Tasks        []Task
	Requirements []Requirement

	source *jsontree.Document // nil unless parsed
}

// The elements of a document hold what is to be stored as an update: what is
// not given is left as it is, or gets its default when the row is created. A
// status counts only when the row is created, so that applying a plan again does
// not undo work.

// Project is the project that the plan is for.
type Project struct {
	Key    string // by default the project's name
	Fields nexus.ProjectUpdate
	node   *jsontree.Node
}

// Feature is a feature of the plan.
type Feature struct {
	Key    string
	Fields nexus.FeatureUpdate
	node   *jsontree.Node
}

// SubFeature is a sub-feature of the plan.
type SubFeature struct {
	Key     string
	Feature string // its key
	Fields  nexus.SubFeatureUpdate
	node    *jsontree.Node
}

// Task is a task of the plan.
type Task struct {
	Key        string
	Feature    string   // its key, or empty
	SubFeature string   // its key, or empty
	DependsOn  []string // keys of tasks; nil is not given
	Fields     nexus.TaskUpdate
	node       *jsontree.Node
}

// Requirement is a requirement of the plan.
type Requirement struct {
	Key            string
	LinkedFeatures []string // keys of features; nil is not given
	Fields         nexus.RequirementUpdate
	node           *jsontree.Node
}

// The names of the sections in a document.
const (
	sectionProject      = "project"
	sectionFeatures     = "features"
	sectionSubFeatures  = "sub_features"
	sectionTasks        = "tasks"
	sectionRequirements = "requirements"
)
