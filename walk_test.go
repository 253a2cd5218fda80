package nexus_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
)

// walk takes an entity through random updates, as the store does: what
// ValidateUpdate accepts becomes the entity, what it refuses leaves it. After
// each step that was taken, check looks at where it led.
//
// The clock jumps about, and status and other fields change together or alone.
func walk[E any, S status[S], U any](
	t *testing.T, first S, statuses []S, start func(S) E, statusOf func(*E) S,
	draw func(*rapid.T, *S) U, apply func(U, *E, time.Time), validate func(after, before *E) error,
	check func(t *rapid.T, before, after *E, now time.Time),
) {
	t.Helper()
	foreign := []S{"", "qa_loop", "approved"}
	drawStatus := rapid.Ptr(rapid.SampledFrom(append(slices.Clone(statuses), foreign...)), true)
	rapid.Check(t, func(t *rapid.T) {
		// A program of another vocabulary may have made it.
		e := start(rapid.SampledFrom([]S{first, foreign[1], foreign[2]}).Draw(t, "start"))
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now := clock.Add(time.Duration(rapid.IntRange(-1e6, 1e6).Draw(t, "seconds")) * time.Second)
			to := drawStatus.Draw(t, "to")
			before, after := e, e
			apply(draw(t, to), &after, now)
			err := validate(&after, &before)

			from := statusOf(&before)
			switch {
			case to == nil || *to == from || from.CanBecome(*to):
				if err != nil {
					t.Fatalf("from %q to %v: %v", from, to, err)
				}
			case !(*to).Known():
				if nexus.CodeOf(err) != nexus.CodeInvalid {
					t.Fatalf("from %q to %q, which is unknown: %v", from, *to, err)
				}
			default:
				if nexus.CodeOf(err) != nexus.CodeTransition {
					t.Fatalf("from %q to %q: %v", from, *to, err)
				}
			}
			if err != nil {
				continue
			}
			e = after
			if statusOf(&e).Known() {
				check(t, &before, &after, now)
			}
		}
	})
}

// isSet fails the test unless a time is set exactly when it should be.
func isSet(t *rapid.T, what string, at time.Time, want bool) {
	if at.IsZero() == want {
		t.Fatalf("%s is %v", what, at)
	}
}

// stays fails the test if a time changed though the status did not.
func stays(t *rapid.T, what string, sameStatus bool, before, after time.Time) {
	if sameStatus && !before.Equal(after) {
		t.Fatalf("%s went from %v to %v without a step", what, before, after)
	}
}

func TestTaskWalk(t *testing.T) {
	t.Parallel()
	walk(t, nexus.TaskPending, nexus.TaskStatuses(),
		func(s nexus.TaskStatus) (e nexus.Task) {
			e = nexus.Task{ProjectID: "p", Name: "n", Status: s}
			e.SetDefaults(clock)
			return e
		},
		func(e *nexus.Task) nexus.TaskStatus { return e.Status },
		func(t *rapid.T, s *nexus.TaskStatus) nexus.TaskUpdate {
			return nexus.TaskUpdate{Status: s, AssignedAgent: rapid.Ptr(rapid.SampledFrom([]string{"", "a"}), true).Draw(t, "agent")}
		},
		nexus.TaskUpdate.Apply, (*nexus.Task).ValidateUpdate,
		func(t *rapid.T, before, after *nexus.Task, now time.Time) {
			isSet(t, "completed_at of a task that is "+string(after.Status), after.CompletedAt, after.Status.Ended())
			stays(t, "completed_at", before.Status == after.Status, before.CompletedAt, after.CompletedAt)
			if after.Status == nexus.TaskInProgress {
				isSet(t, "started_at", after.StartedAt, true)
			}
			if !before.StartedAt.IsZero() && !after.StartedAt.Equal(before.StartedAt) {
				t.Fatalf("it was started at %v, and then at %v", before.StartedAt, after.StartedAt)
			}
			if !after.UpdatedAt.Equal(now) || !after.CreatedAt.Equal(before.CreatedAt) {
				t.Fatalf("created %v, updated %v at %v", after.CreatedAt, after.UpdatedAt, now)
			}
		})
}

func TestProjectWalk(t *testing.T) {
	t.Parallel()
	walk(t, nexus.ProjectPending, nexus.ProjectStatuses(),
		func(s nexus.ProjectStatus) (e nexus.Project) {
			e = nexus.Project{Name: "n", RootPath: "/", Status: s}
			e.SetDefaults(clock)
			return e
		},
		func(e *nexus.Project) nexus.ProjectStatus { return e.Status },
		func(t *rapid.T, s *nexus.ProjectStatus) nexus.ProjectUpdate {
			return nexus.ProjectUpdate{Status: s, Name: rapid.Ptr(rapid.SampledFrom([]string{"n", "m"}), true).Draw(t, "name")}
		},
		nexus.ProjectUpdate.Apply, (*nexus.Project).ValidateUpdate,
		func(t *rapid.T, before, after *nexus.Project, now time.Time) {
			isSet(t, "completed_at of a project that is "+string(after.Status), after.CompletedAt, after.Status == nexus.ProjectCompleted)
			stays(t, "completed_at", before.Status == after.Status, before.CompletedAt, after.CompletedAt)
			if !after.UpdatedAt.Equal(now) {
				t.Fatalf("updated %v at %v", after.UpdatedAt, now)
			}
		})
}

func TestFeatureWalk(t *testing.T) {
	t.Parallel()
	walk(t, nexus.FeatureBacklog, nexus.FeatureStatuses(),
		func(s nexus.FeatureStatus) (e nexus.Feature) {
			e = nexus.Feature{ProjectID: "p", Name: "n", Status: s}
			e.SetDefaults(clock)
			return e
		},
		func(e *nexus.Feature) nexus.FeatureStatus { return e.Status },
		func(t *rapid.T, s *nexus.FeatureStatus) nexus.FeatureUpdate {
			return nexus.FeatureUpdate{Status: s, EstimatedTasks: rapid.Ptr(rapid.IntRange(0, 9), true).Draw(t, "estimate")}
		},
		nexus.FeatureUpdate.Apply, (*nexus.Feature).ValidateUpdate,
		func(t *rapid.T, before, after *nexus.Feature, now time.Time) {
			if !after.UpdatedAt.Equal(now) || !after.CreatedAt.Equal(before.CreatedAt) {
				t.Fatalf("created %v, updated %v at %v", after.CreatedAt, after.UpdatedAt, now)
			}
		})
	walk(t, nexus.FeatureBacklog, nexus.FeatureStatuses(), // of a sub-feature, which has the same
		func(s nexus.FeatureStatus) (e nexus.SubFeature) {
			e = nexus.SubFeature{FeatureID: "f", Name: "n", Status: s}
			e.SetDefaults(clock)
			return e
		},
		func(e *nexus.SubFeature) nexus.FeatureStatus { return e.Status },
		func(_ *rapid.T, s *nexus.FeatureStatus) nexus.SubFeatureUpdate {
			return nexus.SubFeatureUpdate{Status: s}
		},
		nexus.SubFeatureUpdate.Apply, (*nexus.SubFeature).ValidateUpdate,
		func(*rapid.T, *nexus.SubFeature, *nexus.SubFeature, time.Time) {})
}

func TestAgentWalk(t *testing.T) {
	t.Parallel()
	walk(t, nexus.AgentIdle, nexus.AgentStatuses(),
		func(s nexus.AgentStatus) (e nexus.Agent) {
			e = nexus.Agent{Status: s}
			e.SetDefaults(clock)
			return e
		},
		func(e *nexus.Agent) nexus.AgentStatus { return e.Status },
		func(t *rapid.T, s *nexus.AgentStatus) nexus.AgentUpdate {
			u := nexus.AgentUpdate{Status: s, TokensUsed: rapid.Ptr(rapid.Int64Range(0, 9), true).Draw(t, "tokens")}
			if s != nil && *s == nexus.AgentTerminated {
				u.TerminationReason = rapid.Ptr(rapid.SampledFrom([]string{"done", "out of memory"}), true).Draw(t, "reason")
			}
			return u
		},
		nexus.AgentUpdate.Apply, (*nexus.Agent).ValidateUpdate,
		func(t *rapid.T, before, after *nexus.Agent, now time.Time) {
			terminated := after.Status == nexus.AgentTerminated
			isSet(t, "terminated_at of an agent that is "+string(after.Status), after.TerminatedAt, terminated)
			stays(t, "terminated_at", before.Status == after.Status, before.TerminatedAt, after.TerminatedAt)
			if !terminated && after.TerminationReason != "" {
				t.Fatalf("an agent that is %s keeps the reason %q", after.Status, after.TerminationReason)
			}
			if !after.LastActivityAt.Equal(now) {
				t.Fatalf("last active %v at %v", after.LastActivityAt, now)
			}
		})
}

func TestSessionWalk(t *testing.T) {
	t.Parallel()
	walk(t, nexus.SessionActive, nexus.SessionStatuses(),
		func(s nexus.SessionStatus) (e nexus.Session) {
			e = nexus.Session{ProjectID: "p", Status: s}
			e.SetDefaults(clock)
			return e
		},
		func(e *nexus.Session) nexus.SessionStatus { return e.Status },
		func(t *rapid.T, s *nexus.SessionStatus) nexus.SessionUpdate {
			return nexus.SessionUpdate{Status: s, Data: rapid.Ptr(rapid.Just(nexus.JSON("{}")), true).Draw(t, "data")}
		},
		nexus.SessionUpdate.Apply, (*nexus.Session).ValidateUpdate,
		func(t *rapid.T, before, after *nexus.Session, now time.Time) {
			ended := after.Status == nexus.SessionCompleted || after.Status == nexus.SessionAbandoned
			isSet(t, "ended_at of a session that is "+string(after.Status), after.EndedAt, ended)
			stays(t, "ended_at", before.Status == after.Status, before.EndedAt, after.EndedAt)
			if ended && before.Status != after.Status && !after.EndedAt.Equal(now) {
				t.Fatalf("ended %v at %v", after.EndedAt, now)
			}
		})
}

// TestUpdateSaysOtherwise gives times that a step would have set.
func TestUpdateSaysOtherwise(t *testing.T) {
	t.Parallel()
	when := clock.Add(-time.Hour)
	task := nexus.Task{Status: nexus.TaskInProgress, StartedAt: clock}
	nexus.TaskUpdate{Status: new(nexus.TaskCompleted), CompletedAt: &when, StartedAt: &when}.Apply(&task, clock)
	project := nexus.Project{Status: nexus.ProjectExecuting}
	nexus.ProjectUpdate{Status: new(nexus.ProjectCompleted), CompletedAt: &when}.Apply(&project, clock)
	agent := nexus.Agent{Status: nexus.AgentIdle}
	nexus.AgentUpdate{Status: new(nexus.AgentTerminated), TerminatedAt: &when, LastActivityAt: &when}.Apply(&agent, clock)
	session := nexus.Session{Status: nexus.SessionActive}
	nexus.SessionUpdate{Status: new(nexus.SessionAbandoned), EndedAt: &when}.Apply(&session, clock)
	for what, got := range map[string]time.Time{
		"task.completed_at": task.CompletedAt, "task.started_at": task.StartedAt, "project.completed_at": project.CompletedAt,
		"agent.terminated_at": agent.TerminatedAt, "agent.last_activity_at": agent.LastActivityAt, "session.ended_at": session.EndedAt,
	} {
		if !got.Equal(when) {
			t.Errorf("%s is %v, though the update says %v", what, got, when)
		}
	}
}
