package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// How many rows of each kind a briefing looks at; a budget is used up before that.
const (
	briefTried        = 10
	briefDecisions    = 30
	briefRequirements = 30
	briefTasks        = 20
)

// Resume returns what an agent that knows nothing needs to know to go on with a
// task or in a project, within a budget of tokens, all of one moment. For an agent
// that holds no task it is about the best one that is ready.
//
// Codes: CodeInvalid; CodeNotFound, also for an agent when nothing is ready.
func (db *DB) Resume(ctx context.Context, r nexus.ResumeRequest) (b *nexus.Briefing, err error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	err = db.View(ctx, func(tx *Tx) error {
		w := &briefer{ctx: ctx, tx: tx, b: &nexus.Briefing{
			At: tx.Tasks.second(), AgentID: r.AgentID, Budget: max(r.Budget, 0),
		}}
		if w.b.Budget == 0 {
			w.b.Budget = nexus.DefaultBudget
		}
		b = w.b
		return w.write(r)
	})
	if err != nil {
		return nil, err
	}
	b.Fit()
	return b, nil
}

// briefer gathers what a briefing says.
type briefer struct {
	ctx     context.Context
	tx      *Tx
	b       *nexus.Briefing
	task    *nexus.Task // nil in a briefing about a project
	project *nexus.Project
	feature *nexus.Feature // of the task; nil if it has none

	overview *nexus.Overview // its tasks only
}

func (w *briefer) write(asked nexus.ResumeRequest) (err error) {
	taskID := asked.TaskID
	if asked.AgentID != "" {
		if taskID, err = w.taskOf(asked.AgentID); err != nil {
			return err
		}
	}
	w.b.ProjectID = asked.ProjectID
	if taskID != "" {
		if w.task, err = w.tx.Tasks.Get(w.ctx, taskID); err != nil {
			return err
		}
		w.b.TaskID, w.b.ProjectID = taskID, w.task.ProjectID
	}
	if w.project, err = w.tx.Projects.Get(w.ctx, w.b.ProjectID); err != nil {
		return err
	}
	r := newOverviewReader(w.ctx, w.tx.conn, w.tx.Tasks.now(), w.b.ProjectID)
	w.overview = r.o
	sections := []func() error{r.tasks, r.ready, r.claimed, r.unclaimed, w.goal, w.state, w.inFlight, w.attention, w.next, w.decisions, w.requirements}
	if w.task != nil {
		if w.task.FeatureID != "" {
			if w.feature, err = w.tx.Features.Get(w.ctx, w.task.FeatureID); err != nil {
				return err
			}
		}
		sections = []func() error{r.tasks, r.ready, r.claimed, r.unclaimed, w.aboutTask, w.attempts, w.waitsFor, w.buildsOn, w.goal, w.decisions, w.requirements, w.state, w.inFlight}
	}
	for _, section := range sections {
		if err := section(); err != nil {
			return err
		}
	}
	return nil
}

// taskOf returns the task that an agent works on, or else the best that is ready.
func (w *briefer) taskOf(agentID string) (string, error) {
	agent, err := w.tx.Agents.Get(w.ctx, agentID)
	if err != nil {
		return "", err
	}
	if agent.CurrentTaskID != "" {
		return agent.CurrentTaskID, nil
	}
	ready, err := w.tx.Tasks.Ready(w.ctx, nexus.ReadyFilter{Limit: 1})
	if err == nil && len(ready) == 0 {
		err = &nexus.Error{
			Code: nexus.CodeNotFound, Kind: nexus.KindAgent, ID: agentID, Message: "works on no task, and none is ready",
			Hint: "ask about a project instead",
		}
	}
	if err != nil {
		return "", err
	}
	return ready[0].ID, nil
}

func (w *briefer) add(name, title string, items ...string) {
	items = slices.DeleteFunc(items, func(s string) bool { return strings.TrimSpace(s) == "" })
	if len(items) > 0 {
		w.b.Sections = append(w.b.Sections, nexus.BriefingSection{Name: name, Title: title, Items: items})
	}
}

// said is a text with what it is before it; nothing if it is empty.
func said(what, text string) string {
	if text == "" {
		return ""
	}
	return what + ": " + text
}

// called is how a task, or whatever has an id and a name, is called.
func called(id, name string) string { return fmt.Sprintf("%s “%s”", id, name) }

func (w *briefer) aboutTask() error {
	t := w.task
	held, err := openAttempt(w.ctx, w.tx.conn, t.ID)
	if err != nil {
		return err
	}
	holder := "Nobody holds it"
	if held != nil {
		holder = fmt.Sprintf("%s holds it, with epoch %d, until %s at least", held.AgentID, held.Epoch,
			held.LeaseUntil.Truncate(time.Second).Format(time.RFC3339))
	}
	counts := fmt.Sprintf("Failed attempts: %d of %d", t.FailedAttempts, t.MaxAttempts)
	if t.QAIterations > 0 {
		counts += fmt.Sprintf("; rounds of review: %d of %d", t.QAIterations, t.MaxIterations)
	}
	spent, err := taskSpending(w.ctx, w.tx.conn, t)
	if err != nil {
		return err
	}
	w.add("task", "The task",
		fmt.Sprintf("%s, %s, priority %s", called(t.ID, t.Name), t.Status, t.Priority),
		t.Description, said("Branch", t.BranchName), said("Worktree", t.WorktreePath), holder, counts, said("Budget used", spent.String()))
	return nil
}

// attempts says where the work was left, and what has gone wrong.
func (w *briefer) attempts() error {
	list, err := w.tx.Tasks.Attempts(w.ctx, w.task.ID)
	if err != nil {
		return err
	}
	slices.Reverse(list) // the newest first
	for _, a := range list {
		if p := a.Progress; p != nil {
			w.add("continue", "Where it was left", slices.Concat([]string{
				fmt.Sprintf("By %s at %s%s", a.AgentID, p.At.Format(time.RFC3339), percent(p.Percent)),
				said("Last action", p.LastAction), said("At", lineOf(p)), said("Note", p.Note),
			}, prefixed("Next", p.NextSteps))...)
			break
		}
	}
	var tried []string
	for _, a := range list {
		switch a.Outcome {
		case nexus.OutcomeFailed, nexus.OutcomeExpired, nexus.OutcomeEscalated, nexus.OutcomeReopened:
			text := string(a.Outcome)
			if a.AgentID != "" {
				text = a.AgentID + ": " + text
			}
			tried = append(tried, cmp.Or(said(text, a.Reason), text)+evidence(a.Evidence))
		}
	}
	w.add("tried", "What has gone wrong before", tried[:min(len(tried), briefTried)]...)
	return nil
}

func percent(p int) string {
	if p == 0 {
		return ""
	}
	return fmt.Sprintf(", %d %% done", p)
}

func lineOf(p *nexus.Progress) string {
	if p.Line > 0 {
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return p.File
}

func prefixed(what string, list []string) []string {
	all := make([]string, len(list))
	for i, text := range list {
		all[i] = said(what, text)
	}
	return all
}

// evidence is what an attempt left behind, as further lines.
func evidence(e *nexus.Evidence) string {
	if e.IsZero() {
		return ""
	}
	text := ""
	for _, line := range []string{
		said("commit", e.Commit), said("files", strings.Join(e.Files, ", ")), said("tests", e.Tests), said("note", e.Note), said("output", e.Output),
	} {
		if line != "" {
			text += "\n" + line
		}
	}
	return text
}

func (w *briefer) waitsFor() error {
	x := &explainer{ctx: w.ctx, conn: w.tx.conn, now: w.tx.Tasks.now()}
	if w.task.Status.Ended() {
		return nil
	}
	reasons, err := x.reasons(w.task, w.task.AssignedAgent)
	if err != nil {
		return err
	}
	var list []string
	for _, r := range reasons {
		if r.Cause != nexus.CauseClaimed { // the section before says so
			list = append(list, r.Message)
		}
	}
	w.add("waits_for", "What holds it back", list...)
	return nil
}

// buildsOn says what became of the tasks that this one depends on.
func (w *briefer) buildsOn() error {
	var list []string
	for _, id := range w.task.DependsOn {
		d, err := tasks.get(w.ctx, w.tx.conn, id)
		if err != nil {
			return err
		}
		if d == nil || !d.Status.Ended() {
			continue // it holds the task back
		}
		text := fmt.Sprintf("%s, %s", called(d.ID, d.Name), d.Status)
		last, err := readAttempt(w.ctx, w.tx.conn, selectAttempt+` WHERE a.task_id = $1 ORDER BY a.epoch DESC LIMIT 1`, driver.Text(id))
		if err != nil {
			return err
		}
		if last != nil {
			text += strings.TrimSuffix(": "+last.Reason, ": ") + evidence(last.Evidence)
		}
		list = append(list, text)
	}
	w.add("builds_on", "What it builds on", list...)
	return nil
}

func (w *briefer) goal() error {
	p := w.project
	items := []string{
		fmt.Sprintf("Project %s, %s: %s", called(p.ID, p.Name), p.Status, p.Description), said("Folder", p.RootPath), said("Repository", p.RepositoryURL),
	}
	items[0] = strings.TrimSuffix(items[0], ": ")
	if f := w.feature; f != nil {
		items = append(items, strings.TrimSuffix(fmt.Sprintf("Feature %s, %s: %s", called(f.ID, f.Name), f.Status, f.Description), ": "))
	}
	w.add("goal", "The goal", items...)
	return nil
}

func (w *briefer) decisions() error {
	list, err := w.tx.Sessions.LogOfProject(w.ctx, w.b.ProjectID, nexus.SessionLogFilter{
		Kind: []string{nexus.EntryDecision}, Last: briefDecisions,
	})
	if err != nil {
		return err
	}
	slices.Reverse(list)
	items := make([]string, len(list))
	for i, e := range list {
		items[i] = fmt.Sprintf("%s %s", e.At.Format(time.DateOnly), e.Text)
	}
	w.add("decisions", "Decisions, the newest first", items...)
	return nil
}

// requirements are those of the task's feature, and of the others those that
// matter most, until they are validated.
func (w *briefer) requirements() error {
	list, err := w.tx.Requirements.List(w.ctx, nexus.RequirementFilter{ProjectID: w.b.ProjectID})
	if err != nil {
		return err
	}
	rank := func(r *nexus.Requirement) int {
		n := slices.Index(nexus.RequirementPriorities(), r.Priority)
		if n < 0 {
			n = len(nexus.RequirementPriorities())
		}
		if w.feature == nil || !slices.Contains(r.LinkedFeatures, w.feature.ID) {
			n += 10
		}
		return n
	}
	list = slices.DeleteFunc(list, func(r nexus.Requirement) bool {
		ours := w.feature != nil && slices.Contains(r.LinkedFeatures, w.feature.ID)
		return r.Validated || !ours && len(r.LinkedFeatures) > 0 && w.task != nil
	})
	slices.SortStableFunc(list, func(a, b nexus.Requirement) int { return rank(&a) - rank(&b) })
	var items []string
	for _, r := range list[:min(len(list), briefRequirements)] {
		items = append(items, fmt.Sprintf("%s (%s): %s", r.Priority, r.Category, r.Description))
	}
	w.add("requirements", "Requirements that are not validated yet", items...)
	return nil
}

func (w *briefer) state() error {
	o := w.overview
	spent, err := projectSpending(w.ctx, w.tx.conn, w.project)
	if err != nil {
		return err
	}
	w.add("state", "Where things stand", fmt.Sprintf("%d of %d tasks are done; ready %d, in flight %d, blocked %d, escalated %d",
		o.TasksTotal-o.TasksOpen, o.TasksTotal, o.Ready, len(o.InFlight), o.TasksByStatus[nexus.TaskBlocked], o.TasksByStatus[nexus.TaskEscalated]),
		said("Budget of the project used", spent.String()))
	return nil
}

// inFlight says what others work on.
func (w *briefer) inFlight() error {
	o := w.overview
	var items []string
	for i := range o.InFlight[:min(len(o.InFlight), briefTasks)] {
		work := &o.InFlight[i]
		if work.TaskID == w.b.TaskID {
			continue
		}
		text := called(work.TaskID, work.Name)
		if work.AgentID != "" {
			text += ", by " + work.AgentID
		}
		if p := work.Progress; p != nil {
			text += percent(p.Percent) + strings.TrimSuffix("; "+p.Note, "; ")
		}
		items = append(items, text)
	}
	w.add("in_flight", "What others work on", items...)
	return nil
}

func (w *briefer) attention() error {
	waiting := []nexus.TaskStatus{nexus.TaskBlocked, nexus.TaskEscalated, nexus.TaskFailed}
	some := slices.ContainsFunc(waiting, func(s nexus.TaskStatus) bool { return w.overview.TasksByStatus[s] > 0 })
	var list []nexus.Task
	if some { // or all tasks of the project would be looked at for nothing
		var err error
		list, err = w.tx.Tasks.List(w.ctx, nexus.TaskFilter{
			ProjectID: w.b.ProjectID, Status: waiting, Page: nexus.Page{Limit: briefTasks},
		})
		if err != nil {
			return err
		}
	}
	items := make([]string, len(list))
	for i, t := range list {
		items[i] = fmt.Sprintf("%s, %s", called(t.ID, t.Name), t.Status) + strings.TrimSuffix(": "+t.BlockedBy, ": ")
	}
	w.add("attention", "What waits for people", items...)
	return nil
}

func (w *briefer) next() error {
	list, err := w.tx.Tasks.Ready(w.ctx, nexus.ReadyFilter{ProjectID: w.b.ProjectID, Limit: briefTasks})
	if err != nil {
		return err
	}
	items := make([]string, len(list))
	for i, t := range list {
		items[i] = fmt.Sprintf("%s, priority %s", called(t.ID, t.Name), t.Priority)
	}
	w.add("next", "What can be claimed now, the best first", items...)
	return nil
}
