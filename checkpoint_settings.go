package nexus

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// CheckpointTriggers returns the reasons for which checkpoints are made by themselves,
// if a project's [CheckpointSettings] say so: its status changes, a feature is done, a
// task is escalated or fails for good, or its QA iterations are used up.
func CheckpointTriggers() []string {
	return []string{"phase_complete", "feature_complete", "task_failed", "qa_exhausted"}
}

// CheckpointSettings say which checkpoints of a project are made by themselves. None
// are, unless somebody wants it.
type CheckpointSettings struct {
	ProjectID string   `json:"project_id"`
	On        []string `json:"on"` // of CheckpointTriggers, in their order

	// Those with the reason scheduled are made with the first change after so many
	// minutes, and after so many completed tasks; 0 is never.
	EveryMinutes int `json:"every_minutes"`
	EveryTasks   int `json:"every_tasks"`
}

// CheckpointSettingsUpdate changes settings; what it does not give is left as it is.
type CheckpointSettingsUpdate struct {
	On, Off      []string // of CheckpointTriggers
	EveryMinutes *int
	EveryTasks   *int
}

// Apply makes the changes.
func (u CheckpointSettingsUpdate) Apply(s *CheckpointSettings) {
	on := []string{}
	for _, trigger := range CheckpointTriggers() {
		if slices.Contains(u.On, trigger) || slices.Contains(s.On, trigger) && !slices.Contains(u.Off, trigger) {
			on = append(on, trigger)
		}
	}
	s.On = on
	set(&s.EveryMinutes, u.EveryMinutes)
	set(&s.EveryTasks, u.EveryTasks)
}

// Validate returns an [Error] with CodeInvalid that lists everything that is wrong
// with u, or nil.
func (u CheckpointSettingsUpdate) Validate() error {
	var problems []Problem
	refuse := func(field, format string, args ...any) {
		problems = append(problems, Problem{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	triggers := CheckpointTriggers()
	for field, names := range map[string][]string{"on": u.On, "off": u.Off} {
		for _, name := range names {
			if !slices.Contains(triggers, name) {
				refuse(field, "is %q; it must be one of %s", name, strings.Join(triggers, ", "))
			} else if field == "on" && slices.Contains(u.Off, name) {
				refuse(field, "%s cannot be both on and off", name)
			}
		}
	}
	for field, n := range map[string]*int{"every_minutes": u.EveryMinutes, "every_tasks": u.EveryTasks} {
		if n != nil && (*n < 0 || *n > math.MaxInt32) {
			refuse(field, "is %d; it must be from 0, which is never, to %d", *n, math.MaxInt32)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.String(), b.String()) })
	return &Error{Code: CodeInvalid, Kind: KindCheckpoint, Problems: problems, Hint: "nothing was changed"}
}
