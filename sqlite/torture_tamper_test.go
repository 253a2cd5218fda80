package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	zombiezen "zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/handle"
	"github.com/seed-c8812374/nexus/store"
)

// rehearsal is a history of deeds of every kind, in every way, with the image after
// each.
type rehearsal struct {
	*testing.T
	path    string
	db      *store.DB
	conn    *zombiezen.Conn
	journal *journal
	acts    []*act
	images  []*image // before the first, and after each
}

func rehearse(t *testing.T) *rehearsal {
	t.Helper()
	x := &rehearsal{T: t, path: newPath(t)}
	x.db = open(t, x.path, nil)
	create(t, x.db, "p")
	x.conn = otherProgram(t, x.path)
	var err error
	if x.journal, err = openJournal(filepath.Join(t.TempDir(), "journal")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.journal.file.Close() })
	x.look()
	for i, way := range []string{wayCall, wayTx, wayKeyed} {
		x.way(way, fmt.Sprint(i))
	}
	return x
}

func (x *rehearsal) look() {
	x.Helper()
	now, err := readImage(x.db)
	mustSucceed(x, err)
	x.images = append(x.images, now)
}

func (x *rehearsal) do(d deed) result {
	x.Helper()
	d.ID = fmt.Sprintf("d%d", len(x.acts))
	d.Agent, d.Process, d.Lease = "a", "process", nexus.DefaultLease
	a, err := x.journal.do(&d, func(at func(stage)) (r result, err error) {
		switch d.Kind {
		case "status", "insert":
			return d.foreign(x.conn, at)
		case "recover":
			report, err := x.db.Recover(background, nexus.RecoverRequest{Dead: func(process string) bool { return process == "process" }})
			if err == nil {
				for _, t := range report.Tasks {
					r.Taken = append(r.Taken, taken{t.Epoch, t.Reason})
				}
			}
			return r, err
		}
		r, _, err = d.perform(x.db, at)
		return r, err
	})
	if err != nil || a.state != done {
		x.Fatalf("%v: %v, %v", a, a.state, err)
	}
	x.acts = append(x.acts, a)
	x.look()
	return a.result
}

// way does a deed of every kind in a way.
func (x *rehearsal) way(way, n string) {
	x.Helper()
	whole := way // of what is more than one call
	if whole == wayCall {
		whole = wayTx
	}
	id := func(letter string) string { return letter + n }
	feature := "f" + n
	plan := func(feature string, letters string) {
		var rows []planned
		for _, letter := range strings.Split(letters, "") {
			rows = append(rows, planned{ID: id(letter)})
		}
		rows[1].On = []string{rows[0].ID}
		x.do(deed{Kind: "plan", Way: whole, Feature: feature, Rows: rows})
	}
	plan(feature, "abcde")
	plan("g"+n, "uv")
	x.do(deed{Kind: "delete plan", Way: whole, Feature: "g" + n})
	x.do(deed{Kind: "create", Way: way, Feature: feature, Rows: []planned{{ID: id("x"), On: []string{id("e")}}}})
	x.do(deed{Kind: "link", Way: way, Task: id("c"), Rows: []planned{{ID: id("c"), On: []string{id("d")}}}})
	x.do(deed{Kind: "metric"})
	claim := func(letter string) int64 {
		return x.do(deed{Kind: "claim", Way: way, Count: 1, Task: id(letter)}).Claims[0].Epoch
	}
	step := func(kind, letter string, epoch int64) {
		x.do(deed{Kind: kind, Way: way, Task: id(letter), Epoch: epoch})
	}
	a := claim("a")
	for _, kind := range []string{"heartbeat", "progress", "qa", "progress", "complete"} {
		step(kind, "a", a)
	}
	for _, kind := range []string{"fail", "release", "skip"} {
		step("reopen", "a", 0)
		step(kind, "a", claim("a"))
		if kind != "skip" {
			step("skip", "a", nexus.AnyEpoch)
		}
	}
	step("block", "d", claim("d"))
	step("unblock", "d", 0)
	held := x.do(deed{Kind: "claim", Way: way, Count: 2}).Claims
	x.do(deed{Kind: "turn", Way: whole, Count: 1, Task: held[0].Task, Epoch: held[0].Epoch})
	x.do(deed{Kind: "release", Way: way, Task: held[1].Task, Epoch: nexus.AnyEpoch})
	x.do(deed{Kind: "insert", Task: id("a"), Feature: feature, Rows: []planned{{ID: id("y"), On: []string{id("a")}}}})
	claim("y")
	x.do(deed{Kind: "status", Task: id("y"), Status: nexus.TaskCompleted})
	x.do(deed{Kind: "status", Task: id("y"), Status: nexus.TaskBlocked})
	x.do(deed{Kind: "delete", Way: way, Task: id("x")})
	x.do(deed{Kind: "create", Way: way, Feature: feature, Rows: []planned{{ID: id("z")}}})
	claim("z")
	x.do(deed{Kind: "recover"})
	claim("z") // and holds it until the next recovery
}

// since are the acts from one to another, with the last in a state.
func (x *rehearsal) since(from, to int, last state) []*act {
	var acts []*act
	for _, a := range x.acts[from:to] {
		again := *a
		d := *a.deed
		again.deed = &d
		again.result.Claims = slices.Clone(a.result.Claims)
		acts = append(acts, &again)
	}
	if a := acts[len(acts)-1]; last != done {
		a.state, a.result = last, result{}
	}
	return acts
}

// Of a history that is as it was acknowledged nothing is reported; nor when the last
// deed is in doubt, whether or not it has happened. Whatever it was, it is missed when
// it was acknowledged and has not happened, and noticed when it was refused and has.
func TestTortureFindsWhatIsLost(t *testing.T) {
	t.Parallel()
	x := rehearse(t)
	for i, a := range x.acts {
		for _, from := range []int{0, max(0, i-5), i} {
			name := fmt.Sprintf("%v (%s), from %d to %d", a, a.Way, from, i)
			verify := func(what string, last state, after *image, silent bool) {
				t.Helper()
				if found := check(x.images[from], x.since(from, i+1, last), after); silent != (len(found) == 0) {
					t.Errorf("%s: it was %s; found: %s", name, what, strings.Join(found, "\n"))
				}
			}
			verify("acknowledged", done, x.images[i+1], true)
			verify("lost", done, x.images[i], false)
			if a.Kind != "recover" { // of which there is no doubt, because the parent is not killed
				verify("in doubt, and has happened", doubtful, x.images[i+1], true)
				verify("in doubt, and has not happened", doubtful, x.images[i], true)
			}
			if a.Kind != "heartbeat" || from == i { // the lease of a new attempt is anything
				verify("refused, and has happened", refused, x.images[i+1], false)
			}
		}
	}
	for _, problem := range soundness(x.db) {
		t.Error(problem)
	}
}

// Changes that no deed has made are found, each for what it is.
func TestTortureFindsTampering(t *testing.T) {
	t.Parallel()
	x := rehearse(t)
	mustSucceed(t, handle.Close(x.conn))
	mustClose(t, x.db)
	file := content(t, x.path)
	for name, test := range map[string]struct{ sql, want string }{
		"nothing":                 {"", ""},
		"an attempt":              {"DELETE FROM task_attempts WHERE epoch = 1", "lost: attempt 1 at a0"},
		"a held attempt":          {"DELETE FROM task_attempts WHERE ended_us IS NULL", "and nobody holds it"},
		"another's attempt":       {"UPDATE task_attempts SET agent_id = 'b' WHERE epoch = 1", "attempt 1 is {"},
		"an outcome":              {"UPDATE task_attempts SET outcome = 'failed' WHERE epoch = 1", "lost: complete"},
		"evidence":                {"UPDATE task_attempts SET evidence = NULL WHERE epoch = 1", "nobody has ended attempt 1"},
		"progress":                {"UPDATE task_attempts SET progress = NULL WHERE epoch = 1", "lost: the progress"},
		"a lease":                 {"UPDATE task_attempts SET lease_until_us = 1 WHERE epoch = 1", "lost: heartbeat"},
		"an invented attempt":     {"INSERT INTO task_attempts (task_id, agent_id, claimed_us, lease_us, lease_until_us, ended_us, outcome, reason) VALUES ('a0', 'a', 1, 1, 1, 1, 'released', 'd3')", "nobody has begun"},
		"two hold a task":         {"DROP INDEX idx_task_attempts_task; INSERT INTO task_attempts (task_id, agent_id, claimed_us, lease_us, lease_until_us) SELECT task_id, 'a', 1, 1, 1 FROM task_attempts WHERE ended_us IS NULL", "; so does "},
		"epochs begin again":      {"DELETE FROM task_attempts WHERE epoch > 3", "the last one is 3"},
		"a status":                {"DROP TRIGGER tasks_revision; UPDATE tasks SET status = 'pending' WHERE id = 'a0'", "with the same revision"},
		"a lost update":           {"UPDATE tasks SET revision = revision - 1 WHERE id = 'a0'", "lost: revision"},
		"an unknown update":       {"UPDATE tasks SET name = 'x' WHERE id = 'a0'", "at most"},
		"failed attempts":         {"UPDATE tasks SET failed_attempts = 9, revision = revision WHERE id = 'b0'", "has 9 failed attempts"},
		"a foreign update":        {"UPDATE tasks SET description = 'd1' WHERE id = 'y0'", "lost: the last foreign change"},
		"a row of a plan":         {"DELETE FROM tasks WHERE id = 'c1'", "lost: task c1"},
		"a feature":               {"DELETE FROM features WHERE id = 'f1'", "lost: feature f1"},
		"a task comes back":       {"INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('x0', 'p', 'n', 1, 1)", "and the task is there"},
		"a task out of nothing":   {"INSERT INTO tasks (id, project_id, name, created_at, updated_at) VALUES ('z', 'p', 'n', 1, 1)", "nobody has created task z"},
		"a feature comes back":    {"INSERT INTO features (id, project_id, name, created_at, updated_at) VALUES ('g0', 'p', 'n', 1, 1)", "and feature g0 is there"},
		"a dependency":            {"UPDATE tasks SET depends_on = NULL WHERE id = 'c0'", "lost: that c0 depends on d0"},
		"another dependency":      {`UPDATE tasks SET depends_on = '["a0"]' WHERE id = 'e0'`, "nobody has made e0 depend on a0"},
		"a metric":                {"DELETE FROM metrics WHERE id IN (SELECT min(id) FROM metrics)", "lost: "},
		"a key":                   {"DELETE FROM idempotency_keys WHERE key IN (SELECT min(key) FROM idempotency_keys)", "lost: "},
		"the result of a key":     {"UPDATE idempotency_keys SET result = '{}'", "the key's result is {}"},
		"tasks_completed":         {"UPDATE agents SET tasks_completed = tasks_completed + 10", "agent a is"},
		"tasks_failed":            {"UPDATE agents SET tasks_failed = tasks_failed - 1", "agent a is"},
		"current_task_id":         {"UPDATE agents SET current_task_id = NULL", "agent a is"},
		"an agent":                {"DELETE FROM agents", "lost: agent a"},
		"open_task_count":         {"UPDATE features SET open_task_count = open_task_count + 1 WHERE id = 'f0'", "derived data"},
		"completed_tasks":         {"DROP TRIGGER features_update_counted; UPDATE features SET completed_tasks = 40 WHERE id = 'f0'", "derived data"},
		"the status of a feature": {"UPDATE features SET status = 'done' WHERE id = 'f0'", "feature f0 is done"},
		"of a sub-feature":        {"UPDATE sub_features SET status = 'backlog' WHERE id = 's-f0'", "sub_feature s-f0 is backlog"},
		"open_dependencies":       {"UPDATE tasks SET open_dependencies = 7 WHERE id = 'e0'", "derived data"},
		"task_dependencies":       {"DELETE FROM task_dependencies", "derived data"},
		"an orphan":               {"UPDATE metrics SET project_id = 'nowhere'", "refer to rows of projects that do not exist"},
		"a broken rule":           {"PRAGMA ignore_check_constraints = ON; UPDATE projects SET mode = 'x'", "CHECK constraint failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			mustSucceed(t, os.WriteFile(path, file, 0o600))
			script(t, path, test.sql)
			db := open(t, path, nil)
			now, err := readImage(db)
			mustSucceed(t, err)
			found := append(check(x.images[0], x.since(0, len(x.acts), done), now), soundness(db)...)
			if name == "nothing" != (len(found) == 0) || test.want != "" && !strings.Contains(strings.Join(found, "\n"), test.want) {
				t.Errorf("found: %s\nwant: %s", strings.Join(found, "\n"), test.want)
			}
		})
	}
}
