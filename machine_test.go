package nexus_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
)

// status is what the five types of status have in common.
type status[S any] interface {
	~string
	Known() bool
	CanBecome(next S) bool
	Next() []S
}

// The vocabularies of the contract with other programs. The first is where a new
// entity begins; ends are where its work is over.
func TestStateMachines(t *testing.T) {
	t.Parallel()
	t.Run("task", func(t *testing.T) {
		t.Parallel()
		checkMachine(t, nexus.TaskStatuses,
			[]nexus.TaskStatus{"pending", "assigned", "in_progress", "blocked", "completed", "failed", "skipped", "escalated"},
			[]nexus.TaskStatus{"completed", "skipped"},
			[]nexus.TaskStatus{"queued", "qa_loop", "review", "approved", "merging", "cancelled"})
	})
	t.Run("project", func(t *testing.T) {
		t.Parallel()
		checkMachine(t, nexus.ProjectStatuses,
			[]nexus.ProjectStatus{"pending", "planning", "executing", "paused", "completed", "failed"},
			[]nexus.ProjectStatus{"completed", "failed"},
			[]nexus.ProjectStatus{"initializing", "interview", "interviewing", "created", "researching"})
	})
	t.Run("feature", func(t *testing.T) {
		t.Parallel()
		checkMachine(t, nexus.FeatureStatuses,
			[]nexus.FeatureStatus{"backlog", "planning", "in_progress", "ai_review", "human_review", "done"},
			[]nexus.FeatureStatus{"done"},
			[]nexus.FeatureStatus{"pending", "decomposing", "ready", "completed", "failed"})
	})
	t.Run("agent", func(t *testing.T) {
		t.Parallel()
		checkMachine(t, nexus.AgentStatuses,
			[]nexus.AgentStatus{"idle", "assigned", "working", "waiting", "error", "terminated"},
			[]nexus.AgentStatus{"terminated"},
			[]nexus.AgentStatus{"busy", "IDLE"})
	})
	t.Run("session", func(t *testing.T) {
		t.Parallel()
		checkMachine(t, nexus.SessionStatuses,
			[]nexus.SessionStatus{"active", "paused", "completed", "abandoned"},
			[]nexus.SessionStatus{"completed", "abandoned"},
			[]nexus.SessionStatus{"pending", "approved", "rejected", "in_progress", "cancelled"})
		for _, ended := range []nexus.SessionStatus{nexus.SessionCompleted, nexus.SessionAbandoned} {
			if next := ended.Next(); len(next) != 0 {
				t.Errorf("a session that is %s can become %v; a new one should be begun", ended, next)
			}
		}
	})
}

func checkMachine[S status[S]](t *testing.T, statuses func() []S, vocabulary, ends, others []S) {
	t.Helper()
	slices.Sort(vocabulary[1:])
	start := vocabulary[0]
	vocabulary = slices.Sorted(slices.Values(vocabulary))
	if got := statuses(); !slices.Equal(got, vocabulary) {
		t.Errorf("the statuses are %v, the contract has %v", got, vocabulary)
	}
	slices.Reverse(statuses()) // must not reach into the machine
	slices.Reverse(start.Next())

	others = append(others, "", "unheard-of")
	unknown := rapid.OneOf(rapid.SampledFrom(others), rapid.Map(rapid.String(), func(s string) S { return S("x" + s) }))
	known := rapid.SampledFrom(vocabulary)
	rapid.Check(t, func(t *rapid.T) {
		from, to, other := known.Draw(t, "from"), known.Draw(t, "to"), unknown.Draw(t, "other")
		if !from.Known() || other.Known() {
			t.Fatalf("known: %q %v, %q %v", from, from.Known(), other, other.Known())
		}
		if from.CanBecome(other) || other.CanBecome(unknown.Draw(t, "another")) {
			t.Fatalf("%q may become %q, which Nexus does not write", from, other)
		}
		if !other.CanBecome(to) || !slices.Equal(other.Next(), vocabulary) {
			t.Fatalf("%q cannot become %q, or not all: %v", other, to, other.Next())
		}
		if !from.CanBecome(from) {
			t.Fatalf("%q cannot stay as it is", from)
		}
		next := from.Next()
		if slices.Contains(next, to) != (from != to && from.CanBecome(to)) {
			t.Fatalf("Next of %q is %v, CanBecome(%q) is %v", from, next, to, from.CanBecome(to))
		}
		if !slices.IsSortedFunc(next, func(a, b S) int { return cmp.Compare(a, b) }) || len(slices.Compact(next)) != len(from.Next()) {
			t.Fatalf("Next of %q is %v: not sorted, or not distinct", from, next)
		}
	})

	// No state is a trap and none is out of reach.
	for _, s := range vocabulary {
		if !slices.Contains(reachable(start), s) {
			t.Errorf("%s cannot be reached from %s", s, start)
		}
		if !slices.ContainsFunc(reachable(s), func(end S) bool { return slices.Contains(ends, end) }) {
			t.Errorf("from %s no end can be reached", s)
		}
	}
}

// reachable returns the states that some walk from s comes to, s among them.
func reachable[S status[S]](s S) []S {
	found := []S{s}
	for i := 0; i < len(found); i++ {
		for _, next := range found[i].Next() {
			if !slices.Contains(found, next) {
				found = append(found, next)
			}
		}
	}
	return found
}

// TestTaskRules states in the words of the work what its machine must allow and
// must not.
func TestTaskRules(t *testing.T) {
	t.Parallel()
	for _, rule := range []struct {
		why      string
		from, to nexus.TaskStatus
		allowed  bool
	}{
		{"an agent takes it", nexus.TaskPending, nexus.TaskAssigned, true},
		{"the agent died", nexus.TaskInProgress, nexus.TaskPending, true},
		{"done", nexus.TaskInProgress, nexus.TaskCompleted, true},
		{"a person reopens it", nexus.TaskCompleted, nexus.TaskPending, true},
		{"it is tried again", nexus.TaskFailed, nexus.TaskPending, true},
		{"a person settles it", nexus.TaskEscalated, nexus.TaskCompleted, true},
		{"what nobody did cannot fail", nexus.TaskPending, nexus.TaskFailed, false},
		{"what is done does not fail later", nexus.TaskCompleted, nexus.TaskFailed, false},
		{"what is done is not worked on unless reopened", nexus.TaskCompleted, nexus.TaskInProgress, false},
		{"what is blocked is not done", nexus.TaskBlocked, nexus.TaskCompleted, false},
	} {
		if rule.from.CanBecome(rule.to) != rule.allowed {
			t.Errorf("%s: %s to %s allowed is %v", rule.why, rule.from, rule.to, !rule.allowed)
		}
	}
	for _, s := range nexus.TaskStatuses() {
		if want := s == nexus.TaskCompleted || s == nexus.TaskSkipped; s.Ended() != want {
			t.Errorf("%s: Ended is %v", s, !want)
		}
	}
}

func TestTransitionError(t *testing.T) {
	t.Parallel()
	task := nexus.Task{ID: "t", ProjectID: "p", Name: "n"}
	task.SetDefaults(clock)
	after := task
	task.Status, after.Status = nexus.TaskBlocked, nexus.TaskCompleted
	err := wantCode(t, after.ValidateUpdate(&task), nexus.CodeTransition)
	want := "task t: status cannot go from blocked to completed"
	if err.Error() != want || err.Hint != "from blocked it can become escalated, failed, pending, skipped" {
		t.Errorf("got %q, hint %q", err, err.Hint)
	}
	session := nexus.Session{ID: "s", ProjectID: "p", Status: nexus.SessionCompleted}
	session.SetDefaults(clock)
	again := session
	again.Status = nexus.SessionActive
	if err := wantCode(t, again.ValidateUpdate(&session), nexus.CodeTransition); err.Hint != "completed is final" {
		t.Errorf("the hint is %q", err.Hint)
	}
	if got := fmt.Sprint(again.ValidateUpdate(&again)); got != "<nil>" {
		t.Errorf("no step at all: %s", got)
	}
}
