package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/bench/peer"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// Values that stand out, so that they are known again among the arguments of the
// statements, and can be replaced with those of the task in hand.
const (
	standInID       = "t-stand-in"
	standInBranch   = "task/stand-in"
	standInMinutes  = 54_321
	standInRevision = 987_654
	standInEpoch    = 876_543
)

// record has the store do each piece of work once, and takes its statements down
// from the debug log.
func record(ctx context.Context, path string) (scripts, error) {
	r := &recorder{ctx: ctx, now: time.Now(), found: scripts{}}
	db, err := sqlite.Open(ctx, path, &sqlite.Options{
		Debug: true, Logger: slog.New(&r.log), NoSync: true, Now: func() time.Time { return r.now },
	})
	if err != nil {
		return nil, err
	}
	r.db = db
	r.err = fillProject(ctx, db)
	r.reads()
	r.writes()
	r.work()
	return r.found, errors.Join(r.err, db.Close())
}

type recorder struct {
	ctx   context.Context
	db    *store.DB
	log   statementLog
	now   time.Time
	found scripts
	err   error // the first
}

// take does something, and adds the statements of that to a script.
func (r *recorder) take(name string, do func() error) {
	if r.err != nil {
		return
	}
	r.log.take()
	if err := do(); err != nil {
		r.err = fmt.Errorf("recording %s: %w", name, err)
	}
	r.found[name] = append(r.found[name], r.log.take()...)
}

// aside does something that is not recorded.
func (r *recorder) aside(do func() error) {
	if r.err == nil {
		r.err = do()
	}
}

func (r *recorder) reads() {
	r.take("get", func() error {
		_, err := r.db.Tasks.Get(r.ctx, standInID)
		if nexus.CodeOf(err) == nexus.CodeNotFound {
			err = nil
		}
		return err
	})
	r.take("list", func() error {
		_, err := r.db.Tasks.List(r.ctx, nexus.TaskFilter{ProjectID: peer.Project})
		return err
	})
	r.take("each", func() error {
		for _, err := range r.db.Tasks.All(r.ctx, nexus.TaskFilter{}) {
			return err
		}
		return nil
	})
	r.take("load", func() error {
		_, err := r.db.Projects.Load(r.ctx, peer.Project)
		return err
	})
	r.take("ready", func() error {
		_, err := r.db.Tasks.Ready(r.ctx, nexus.ReadyFilter{Limit: peer.ReadyLimit})
		return err
	})
}

func (r *recorder) writes() {
	task := func() *nexus.Task {
		t := someTasks(0, 1)[0]
		t.ID = standInID
		return t
	}
	branch, minutes, other := standInBranch, standInMinutes, "another"
	change := nexus.TaskUpdate{BranchName: &branch, EstimatedMinutes: &minutes}
	changeBack := nexus.TaskUpdate{BranchName: &other, EstimatedMinutes: new(1)}

	r.take("insert", func() error { return r.db.Tasks.Create(r.ctx, task()) })
	r.aside(func() error { return r.db.Tasks.Delete(r.ctx, standInID) })
	r.take("insertmany", func() error { return r.db.Tasks.CreateMany(r.ctx, []*nexus.Task{task()}) })
	r.aside(r.standOut)
	r.take("update", func() error {
		_, err := r.db.Tasks.Update(r.ctx, standInID, change)
		return err
	})
	r.aside(func() error {
		_, err := r.db.Tasks.Update(r.ctx, standInID, changeBack)
		return err
	})
	r.aside(r.standOut)
	r.take("updatemany", func() error {
		return r.db.InTx(r.ctx, func(tx *store.Tx) error {
			_, err := tx.Tasks.Update(r.ctx, standInID, change)
			return err
		})
	})
}

// work records a claim and a completion as one script. An earlier claim has
// registered the agent.
func (r *recorder) work() {
	var claims []nexus.Claim
	claim := func() (err error) {
		claims, err = r.db.Tasks.Claim(r.ctx, nexus.ClaimRequest{AgentID: "agent"})
		if err == nil && len(claims) != 1 {
			err = fmt.Errorf("%d claims", len(claims))
		}
		return err
	}
	r.aside(claim)
	r.aside(func() error {
		_, err := r.db.Tasks.Release(r.ctx, claims[0].TaskID, claims[0].Epoch, "")
		return err
	})
	r.aside(func() error {
		return r.exec("UPDATE task_attempts SET epoch = $1", standInEpoch-1) // the next is the one after
	})
	r.take("work", claim)
	r.aside(r.standOut)
	r.take("work", func() error {
		_, err := r.db.Tasks.Complete(r.ctx, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{})
		return err
	})
}

// standOut gives the task a revision that stands out, and lets a minute pass, so
// that updates set the time as well.
func (r *recorder) standOut() error {
	r.now = r.now.Add(time.Minute)
	return r.exec("UPDATE tasks SET revision = $1 WHERE id = $2", standInRevision, standInID)
}

func (r *recorder) exec(sql string, args ...any) error {
	return r.db.InTx(r.ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(r.ctx, sql, args...)
		return err
	})
}

// statementLog is a slog handler that keeps statements as lines of a script, but
// for pragmas, which are about connections.
type statementLog struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (l *statementLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *statementLog) Handle(_ context.Context, r slog.Record) error {
	var line string
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "sql":
			line = a.Value.String()
		case "args":
			for _, value := range a.Value.Any().([]any) {
				line += "\t" + scriptArgument(value)
			}
		}
		return true
	})
	if line != "" && !strings.HasPrefix(line, "PRAGMA") {
		l.mu.Lock()
		l.lines = append(l.lines, line)
		l.mu.Unlock()
	}
	return nil
}

func (l *statementLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

func scriptArgument(value any) string {
	switch value {
	case standInID:
		return "=id"
	case standInBranch:
		return "=branch"
	case int64(standInMinutes):
		return "=minutes"
	case int64(standInRevision):
		return "=revision"
	case int64(standInEpoch):
		return "=epoch"
	}
	switch v := value.(type) {
	case string:
		return "t" + v
	case int64:
		return "i" + strconv.FormatInt(v, 10)
	case float64:
		return "f" + strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return "n"
	}
}
