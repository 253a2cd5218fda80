package nexus_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
)

// clock is a moment that the database could hold.
var clock = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// wantCode fails the test unless err is a *nexus.Error with the code, and
// returns it.
func wantCode(t *testing.T, err error, code nexus.Code) *nexus.Error {
	t.Helper()
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got %v, want code %s", err, code)
	}
	return e
}

// valid are nine entities that nothing is wrong with.
type valid struct {
	project     nexus.Project
	feature     nexus.Feature
	subFeature  nexus.SubFeature
	task        nexus.Task
	agent       nexus.Agent
	checkpoint  nexus.Checkpoint
	requirement nexus.Requirement
	metric      nexus.Metric
	session     nexus.Session
}

func newValid() *valid {
	v := &valid{
		project: nexus.Project{Name: "n", RootPath: "/"}, feature: nexus.Feature{ProjectID: "p", Name: "n"},
		subFeature: nexus.SubFeature{FeatureID: "f", Name: "n"}, task: nexus.Task{ProjectID: "p", Name: "n"},
		checkpoint: nexus.Checkpoint{ProjectID: "p"}, requirement: nexus.Requirement{ProjectID: "p", Description: "d"},
		metric: nexus.Metric{ProjectID: "p", Type: "t"}, session: nexus.Session{ProjectID: "p"},
	}
	for _, e := range v.all() {
		e.SetDefaults(clock)
	}
	return v
}

type entity interface {
	SetDefaults(time.Time)
	Validate() error
}

func (v *valid) all() map[nexus.Kind]entity {
	return map[nexus.Kind]entity{
		nexus.KindProject: &v.project, nexus.KindFeature: &v.feature, nexus.KindSubFeature: &v.subFeature,
		nexus.KindTask: &v.task, nexus.KindAgent: &v.agent, nexus.KindCheckpoint: &v.checkpoint,
		nexus.KindRequirement: &v.requirement, nexus.KindMetric: &v.metric, nexus.KindSession: &v.session,
	}
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	for kind, e := range newValid().all() {
		if err := e.Validate(); err != nil {
			t.Errorf("a new %s: %v", kind, err)
		}
	}
}

// TestDefaultsKeep checks that what was given is not overwritten.
func TestDefaultsKeep(t *testing.T) {
	t.Parallel()
	v := newValid()
	before := *v
	before.task.DependsOn = nil
	for _, e := range v.all() {
		e.SetDefaults(clock.Add(time.Hour))
	}
	if fmt.Sprint(*v) != fmt.Sprint(before) {
		t.Errorf("defaults replaced what was there:\n%v\n%v", before, *v)
	}
	// A time of creation that was given is that of the first update, too.
	task := nexus.Task{CreatedAt: clock.Add(-time.Hour)}
	task.SetDefaults(clock)
	if !task.UpdatedAt.Equal(task.CreatedAt) {
		t.Errorf("created %v, but updated %v", task.CreatedAt, task.UpdatedAt)
	}
	fraction := nexus.Task{}
	fraction.SetDefaults(clock.Add(999 * time.Millisecond).In(time.FixedZone("", 3600)))
	if fraction.CreatedAt != clock {
		t.Errorf("the time of creation is %v, want %v", fraction.CreatedAt, clock)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	longID := strings.Repeat("i", nexus.MaxID)
	longText := strings.Repeat("x", nexus.MaxText)
	for name, c := range map[string]struct {
		change func(*valid)
		want   string // the fields with problems, or "" if it is valid
	}{
		"id as long as may be":  {func(v *valid) { v.task.ID = longID }, ""},
		"id too long":           {func(v *valid) { v.task.ID = longID + "i" }, "id"},
		"id with any letters":   {func(v *valid) { v.task.ID = "A b/c:1 ü🦀" }, ""},
		"id with line break":    {func(v *valid) { v.task.ID = "a\nb" }, "id"},
		"id with DEL":           {func(v *valid) { v.task.ID = "a\x7f" }, "id"},
		"id of nothing":         {func(v *valid) { v.agent.ID = "" }, "id"},
		"no project":            {func(v *valid) { v.feature.ProjectID = "" }, "project_id"},
		"no feature":            {func(v *valid) { v.subFeature.FeatureID = "" }, "feature_id"},
		"name of blanks":        {func(v *valid) { v.project.Name = " \t\n\u00a0" }, "name"},
		"name with line break":  {func(v *valid) { v.project.Name = "a\nb" }, ""},
		"text as long":          {func(v *valid) { v.task.Description = longText }, ""},
		"text too long":         {func(v *valid) { v.task.Description = longText + "x" }, "description"},
		"text with NUL":         {func(v *valid) { v.task.BlockedBy = "\x00" }, "blocked_by"},
		"text not UTF-8":        {func(v *valid) { v.task.WorktreePath = "/\xff" }, "worktree_path"},
		"mode":                  {func(v *valid) { v.project.Mode = "Genesis" }, "mode"},
		"status unknown":        {func(v *valid) { v.task.Status = "qa_loop" }, "status"},
		"status of another":     {func(v *valid) { v.feature.Status = "completed" }, "status"},
		"priority of another":   {func(v *valid) { v.task.Priority = "must" }, "priority"},
		"size":                  {func(v *valid) { v.task.Size = "large" }, "size"},
		"session type":          {func(v *valid) { v.session.Type = "chat" }, "type"},
		"agent type":            {func(v *valid) { v.agent.Type = "" }, "type"},
		"category of one's own": {func(v *valid) { v.requirement.Category = "smell" }, ""},
		"metric of one's own":   {func(v *valid) { v.metric.Type = "coffee" }, ""},
		"reason of one's own":   {func(v *valid) { v.checkpoint.Reason = "just so" }, ""},
		"negative":              {func(v *valid) { v.task.QAIterations, v.task.EstimatedMinutes = -1, -2 }, "qa_iterations estimated_minutes"},
		"negative actual":       {func(v *valid) { v.task.ActualMinutes = -1 }, "actual_minutes"},
		"zero actual":           {func(v *valid) { v.task.ActualMinutes = 0 }, ""},
		"depends on itself":     {func(v *valid) { v.task.DependsOn = []string{"x", v.task.ID} }, "depends_on"},
		"depends on one twice":  {func(v *valid) { v.task.DependsOn = []string{"x", "y", "x"} }, "depends_on"},
		"depends on nothing":    {func(v *valid) { v.task.DependsOn = []string{"x", ""} }, "depends_on[1]"},
		"linked twice":          {func(v *valid) { v.requirement.LinkedFeatures = []string{"x", "x"} }, "linked_features"},
		"metadata":              {func(v *valid) { v.task.Metadata = `{"a":1` }, "metadata"},
		"metadata of blanks":    {func(v *valid) { v.task.Metadata = " " }, "metadata"},
		"metadata scalar":       {func(v *valid) { v.task.Metadata = "1" }, ""},
		"NaN":                   {func(v *valid) { v.metric.Value = math.NaN() }, "value"},
		"infinite":              {func(v *valid) { v.metric.Value = math.Inf(-1) }, "value"},
		"budgets": {func(v *valid) {
			v.project.BudgetTokens, v.project.BudgetUSD, v.task.BudgetTokens, v.task.BudgetUSD = math.MaxInt64, math.MaxFloat64, 1, 0.01
		}, ""},
		"negative budgets":    {func(v *valid) { v.task.BudgetTokens, v.task.BudgetUSD = -1, -0.01 }, "budget_tokens budget_usd"},
		"negative, the whole": {func(v *valid) { v.project.BudgetTokens, v.project.BudgetUSD = -1, -0.01 }, "budget_tokens budget_usd"},
		"NaN as a budget":     {func(v *valid) { v.task.BudgetUSD = math.NaN() }, "budget_usd"},
		"infinite budget":     {func(v *valid) { v.project.BudgetUSD = math.Inf(1) }, "budget_usd"},
		"budget below all":    {func(v *valid) { v.project.BudgetUSD = math.Inf(-1) }, "budget_usd"},
		"negative metric":     {func(v *valid) { v.metric.Value = -1 }, ""},
		"year 9999":           {func(v *valid) { v.task.StartedAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }, ""},
		"year 10000":          {func(v *valid) { v.task.StartedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "started_at"},
		"year -1":             {func(v *valid) { v.session.EndedAt = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }, "ended_at"},
		"all at once": {
			func(v *valid) { v.feature = nexus.Feature{EstimatedTasks: -1} },
			"id project_id name priority status estimated_tasks created_at updated_at",
		},
	} {
		v := newValid()
		c.change(v)
		var got []string
		for kind, e := range v.all() {
			if err := e.Validate(); err != nil {
				e := wantCode(t, err, nexus.CodeInvalid)
				if e.Kind != kind {
					t.Errorf("%s: the error is about a %s, want %s", name, e.Kind, kind)
				}
				for _, p := range e.Problems {
					got = append(got, p.Field)
				}
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: problems with %q, want %q", name, got, c.want)
		}
	}
}

// TestValidateUpdateKeeps starts from rows of another program: what is wrong
// with them stands in nobody's way, until somebody sets that field.
func TestValidateUpdateKeeps(t *testing.T) {
	t.Parallel()
	before := newValid().task
	before.Status, before.Size, before.Name, before.Metadata = "qa_loop", "epic", "", "{oops"
	before.QAIterations, before.DependsOn = -3, []string{before.ID, "", ""}

	after := before
	after.Description = "new"
	if err := after.ValidateUpdate(&before); err != nil {
		t.Errorf("another field: %v", err)
	}
	after = before
	after.Status, after.Size, after.Name = nexus.TaskPending, nexus.SizeSmall, "n"
	if err := after.ValidateUpdate(&before); err != nil {
		t.Errorf("put right: %v", err)
	}
	after = before
	after.Size, after.QAIterations, after.BranchName = "huge", -4, "\x00"
	e := wantCode(t, after.ValidateUpdate(&before), nexus.CodeInvalid)
	var fields []string
	for _, p := range e.Problems {
		fields = append(fields, p.Field)
	}
	slices.Sort(fields)
	if want := []string{"branch_name", "qa_iterations", "size"}; !slices.Equal(fields, want) {
		t.Errorf("problems with %q, want %q", fields, want)
	}
}

// TestProblemIsShort shows values that somebody could send to flood a log.
func TestProblemIsShort(t *testing.T) {
	t.Parallel()
	for _, value := range []string{strings.Repeat("x", 1<<20), strings.Repeat("🦀", 1<<18), "a\n\x1b[2J\x00b", strings.Repeat("\xff", 1000)} {
		task := newValid().task
		task.Size = nexus.TaskSize(value)
		task.DependsOn = []string{value, value}
		e := wantCode(t, task.Validate(), nexus.CodeInvalid)
		for _, p := range e.Problems {
			const longest = 400
			if s := p.String(); len(s) > longest || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\ufffd' }) {
				t.Errorf("the problem is told as %q", s)
			}
		}
	}
}
