package sqlite_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// deed is one operation of a process of the torture, with everything that decides
// what it asks for. Whatever it stores carries its ID, so that its traces can be
// told from those of others.
type deed struct {
	ID      string           `json:"id"`
	Kind    string           `json:"kind"`
	Way     string           `json:"way,omitempty"`
	Agent   string           `json:"agent,omitempty"`
	Process string           `json:"process,omitempty"`
	Task    string           `json:"task,omitempty"`
	Epoch   int64            `json:"epoch,omitempty"`
	Count   int              `json:"count,omitempty"`
	Lease   time.Duration    `json:"lease,omitempty"`
	Status  nexus.TaskStatus `json:"status,omitempty"`
	Feature string           `json:"feature,omitempty"`
	Rows    []planned        `json:"rows,omitempty"`
	Size    int              `json:"size,omitempty"` // of each of them, in bytes, besides its own
	Mode    string           `json:"mode,omitempty"`
}

// planned is a task that a deed creates, with what it depends on.
type planned struct {
	ID string   `json:"id"`
	On []string `json:"on,omitempty"`
}

// The ways to call the store.
const (
	wayCall  = ""      // the method of the DB
	wayTx    = "in tx" // in InTx, with a metric named after the deed in the same transaction
	wayKeyed = "keyed" // in Once; the key is the deed's ID
)

// result is what a deed was told when it succeeded.
type result struct {
	Tasks  []seen    `json:"tasks,omitempty"`  // after it
	Claims []claimed `json:"claims,omitempty"` // new attempts
	Ended  int64     `json:"ended,omitempty"`  // the attempt that another program's update has ended
	Lease  int64     `json:"lease,omitempty"`  // until when, in microseconds
	Taken  []taken   `json:"taken,omitempty"`  // by a recovery
}

type seen struct {
	ID       string           `json:"id"`
	Revision int64            `json:"revision"`
	Status   nexus.TaskStatus `json:"status"`
}

type claimed struct {
	Task  string `json:"task"`
	Epoch int64  `json:"epoch"`
}

type taken struct {
	Epoch  int64  `json:"epoch"`
	Reason string `json:"reason"`
}

// endings are the kinds of deeds that end an attempt, and its outcome then.
var endings = map[string]nexus.Outcome{
	"complete": nexus.OutcomeCompleted, "turn": nexus.OutcomeCompleted, "fail": nexus.OutcomeFailed,
	"release": nexus.OutcomeReleased, "block": nexus.OutcomeBlocked, "skip": nexus.OutcomeSkipped,
	"reopen": nexus.OutcomeReopened,
}

// run does the deed.
func (d *deed) run(s *store.Services) (r result, err error) {
	var t *nexus.Task
	var held *nexus.Attempt
	switch d.Kind {
	case "claim":
		return d.claim(s)
	case "turn": // one is done, the next begins
		if t, err = s.Tasks.Complete(background, d.Task, d.Epoch, nexus.Evidence{Commit: d.ID}); err == nil {
			r, err = d.claim(s)
			r.Tasks = slices.Insert(r.Tasks, 0, seen{t.ID, t.Revision, t.Status})
		}
		return r, err
	case "heartbeat":
		held, err = s.Tasks.Heartbeat(background, d.Task, d.Epoch, 0)
	case "progress":
		held, err = s.Tasks.Progress(background, d.Task, d.Epoch, nexus.Progress{Note: d.ID})
	case "complete":
		t, err = s.Tasks.Complete(background, d.Task, d.Epoch, nexus.Evidence{Commit: d.ID})
	case "fail":
		t, err = s.Tasks.Fail(background, d.Task, d.Epoch, store.Failure{Reason: d.ID})
	case "release":
		t, err = s.Tasks.Release(background, d.Task, d.Epoch, d.ID)
	case "block":
		t, err = s.Tasks.Block(background, d.Task, d.Epoch, d.ID)
	case "skip":
		t, err = s.Tasks.Skip(background, d.Task, d.Epoch, d.ID)
	case "qa":
		t, err = s.Tasks.QA(background, d.Task, d.Epoch, "")
	case "reopen":
		t, err = s.Tasks.Reopen(background, d.Task, d.ID)
	case "unblock":
		t, err = s.Tasks.Unblock(background, d.Task)
	case "link":
		t, err = s.Tasks.Update(background, d.Task, nexus.TaskUpdate{AddDependsOn: d.Rows[0].On})
	case "create", "plan":
		return result{}, d.create(s)
	case "delete":
		return result{}, s.Tasks.Delete(background, d.Task)
	case "delete plan":
		return result{}, d.deletePlan(s)
	case "metric":
		return result{}, d.leaveMetric(s)
	default:
		return result{}, fmt.Errorf("there is no deed %q", d.Kind)
	}
	if err != nil {
		return result{}, err
	}
	if t != nil {
		r.Tasks = []seen{{t.ID, t.Revision, t.Status}}
	}
	if held != nil {
		r.Lease = held.LeaseUntil.UnixMicro()
	}
	return r, nil
}

func (d *deed) claim(s *store.Services) (r result, err error) {
	request := nexus.ClaimRequest{AgentID: d.Agent, Count: d.Count, Lease: d.Lease, Process: d.Process}
	if d.Kind == "claim" {
		request.TaskID = d.Task
	}
	claims, err := s.Tasks.Claim(background, request)
	for _, c := range claims {
		r.Claims = append(r.Claims, claimed{c.TaskID, c.Epoch})
		r.Tasks = append(r.Tasks, seen{c.TaskID, c.Task.Revision, c.Task.Status})
	}
	return r, err
}

// create stores tasks, for a plan with their feature.
func (d *deed) create(s *store.Services) error {
	sub := ""
	if d.Kind == "plan" {
		sub = "s-" + d.Feature
		if err := s.Features.Create(background, &nexus.Feature{ID: d.Feature, ProjectID: "p", Name: d.ID}); err != nil {
			return err
		}
		if err := s.SubFeatures.Create(background, &nexus.SubFeature{ID: sub, FeatureID: d.Feature, Name: d.ID}); err != nil {
			return err
		}
	}
	tasks := make([]*nexus.Task, len(d.Rows))
	for i, row := range d.Rows {
		tasks[i] = &nexus.Task{
			ID: row.ID, ProjectID: "p", FeatureID: d.Feature, SubFeatureID: sub, Name: d.ID, DependsOn: row.On,
			Priority: nexus.TaskPriorities()[i%4], Metadata: nexus.JSON(`"` + strings.Repeat("x", d.Size+i*37%700) + `"`),
		}
	}
	if d.Kind == "create" {
		return s.Tasks.Create(background, tasks[0])
	}
	return s.Tasks.CreateMany(background, tasks)
}

func (d *deed) deletePlan(s *store.Services) error {
	list, err := s.Tasks.List(background, nexus.TaskFilter{FeatureID: d.Feature})
	for i := 0; i < len(list) && err == nil; i++ {
		err = s.Tasks.Delete(background, list[i].ID)
	}
	if err == nil {
		err = s.Features.Delete(background, d.Feature)
	}
	return err
}

func (d *deed) leaveMetric(s *store.Services) error {
	return s.Metrics.Create(background, &nexus.Metric{ID: d.ID, ProjectID: "p", Type: "torture", Value: 1})
}

// perform does the deed in its way. It calls at with every stage that it comes to.
func (d *deed) perform(db *store.DB, at func(stage)) (r result, again bool, err error) {
	switch d.Way {
	case wayKeyed:
		return store.Once(background, db, d.ID, d, func(tx *store.Tx) (result, error) {
			at(inside)
			defer at(ending)
			return d.run(&tx.Services)
		})
	case wayTx:
		err = db.InTx(background, func(tx *store.Tx) error {
			at(inside)
			if r, err = d.run(&tx.Services); err != nil {
				return err
			}
			defer at(ending)
			return d.leaveMetric(&tx.Services)
		})
		return r, false, err
	default:
		r, err = d.run(&db.Services)
		return r, false, err
	}
}

// foreign does the deed as a program that knows only the contract.
func (d *deed) foreign(c *zombiezen.Conn, at func(stage)) (r result, err error) {
	if d.Kind == "checkpoint" {
		return r, sqlitex.ExecuteTransient(c, "PRAGMA wal_checkpoint("+d.Mode+")", nil)
	}
	end, err := sqlitex.ImmediateTransaction(c)
	if err != nil {
		return r, err
	}
	defer end(&err)
	at(inside)
	defer at(ending)
	if d.Kind == "insert" {
		on := nexus.EncodeIDs(d.Rows[0].On)
		err = sqlitex.Execute(c, `
			INSERT INTO tasks (id, project_id, feature_id, name, description, depends_on, created_at, updated_at)
			SELECT ?, project_id, feature_id, 'Foreign', ?, ?, unixepoch(), unixepoch() FROM tasks WHERE id = ?`,
			&sqlitex.ExecOptions{Args: []any{d.Rows[0].ID, d.ID, string(on), d.Task}})
		if err == nil && c.Changes() == 0 {
			err = errNoSuchTask
		}
		return r, err
	}
	held := d.one(c, "SELECT coalesce(max(epoch), 0) FROM task_attempts WHERE ended_us IS NULL AND task_id = ?", &err)
	agent := any(nil)
	if d.Status == nexus.TaskInProgress {
		agent = foreignAgent
	}
	if err == nil {
		err = sqlitex.Execute(c, "UPDATE tasks SET status = ?, assigned_agent = ?, description = ?, updated_at = unixepoch() WHERE id = ?",
			&sqlitex.ExecOptions{Args: []any{string(d.Status), agent, d.ID, d.Task}})
	}
	if err == nil && c.Changes() == 0 {
		return r, errNoSuchTask
	}
	after := d.one(c, "SELECT coalesce(max(epoch), 0) FROM task_attempts WHERE ended_us IS NULL AND task_id = ?", &err)
	if held != after {
		r.Ended = held
	}
	r.Tasks = []seen{{d.Task, d.one(c, "SELECT revision FROM tasks WHERE id = ?", &err), d.Status}}
	return r, err
}

const foreignAgent = "drizzle"

var errNoSuchTask = &nexus.Error{Code: nexus.CodeNotFound, Message: "there is no such task"}

func (d *deed) one(c *zombiezen.Conn, sql string, err *error) (n int64) {
	if *err == nil {
		*err = sqlitex.Execute(c, sql, &sqlitex.ExecOptions{Args: []any{d.Task}, ResultFunc: func(s *zombiezen.Stmt) error {
			n = s.ColumnInt64(0)
			return nil
		}})
	}
	return n
}

// refusal returns the code of an error that says that nothing was changed, for a
// reason that the others are: they were faster.
func (d *deed) refusal(err error) (nexus.Code, bool) {
	var e *nexus.Error
	if !errors.As(err, &e) {
		return nexus.CodeBusy, zombiezen.ErrCode(err).ToPrimary() == zombiezen.ResultBusy // of another program
	}
	switch e.Code {
	case nexus.CodeFenced, nexus.CodeNotFound, nexus.CodeTransition, nexus.CodeNotReady, nexus.CodeInUse, nexus.CodeReference:
		return e.Code, true
	default:
		return e.Code, e.Code == nexus.CodeInvalid && d.Kind == "link" // a cycle
	}
}

// stage is how far a deed has come that has begun and not ended.
type stage string

const (
	waiting stage = "" // or, of one method's call, anything
	inside  stage = "in the transaction"
	ending  stage = "in the commit" // or before it, with all the rest done
)

// entry is a line of a journal. A process writes one before a deed, one after it,
// and one for each stage in between. What write has taken is in the kernel's hands:
// a kill does not lose it.
type entry struct {
	Begin   *deed      `json:"begin,omitempty"`
	ID      string     `json:"of,omitempty"`
	Stage   stage      `json:"stage,omitempty"`
	Done    *result    `json:"done,omitempty"`
	Refused nexus.Code `json:"refused,omitempty"`
}

type journal struct{ file *os.File }

func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return &journal{file}, err
}

func (j *journal) write(e entry) error {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	return err
}

// act is a deed with what is known of its end.
type act struct {
	*deed
	state   state
	result  result
	stage   stage
	doubted bool // it was doubtful when its process died
}

type state int

const (
	doubtful state = iota // begun; whether it has happened is not known
	happened              // it has, as its traces show; what it would have been told is not known
	done                  // acknowledged
	refused               // nothing was changed
)

// do writes down that a deed begins, does it, and writes down how it ended. It
// returns the error of a deed that was not merely refused.
func (j *journal) do(d *deed, perform func(at func(stage)) (result, error)) (*act, error) {
	a := &act{deed: d}
	if err := j.write(entry{Begin: d}); err != nil {
		return a, err
	}
	r, err := perform(func(s stage) { _ = j.write(entry{ID: d.ID, Stage: s}) })
	if err != nil {
		code, ok := d.refusal(err)
		if !ok {
			return a, fmt.Errorf("%s %s: %w", d.Kind, d.ID, err)
		}
		a.state = refused
		return a, j.write(entry{ID: d.ID, Refused: code})
	}
	a.state, a.result = done, r
	return a, j.write(entry{ID: d.ID, Done: &r})
}

// readJournal returns what has begun in a journal after offset bytes, and where it
// ends. A line that is cut off was cut off by the kill.
func readJournal(path string, offset int) (acts []*act, end int, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	text = text[offset:]
	byID := make(map[string]*act)
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		offset += len(line)
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return nil, 0, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		if e.Begin != nil {
			a := &act{deed: e.Begin}
			acts, byID[a.ID] = append(acts, a), a
			continue
		}
		a := byID[e.ID]
		if a == nil {
			return nil, 0, fmt.Errorf("%s: %q ends what has not begun", path, line)
		}
		switch {
		case e.Stage != waiting:
			a.stage = e.Stage
		case e.Done != nil:
			a.state, a.result = done, *e.Done
		default:
			a.state = refused
		}
	}
	return acts, offset, nil
}
