package sqlite_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

// Another program, which may or may not have foreign keys on, deletes, replaces or
// renames a task that an agent holds. Whatever it does, claims go on, an attempt
// holds only a task that is there and in progress, and the agent is told.
func TestTakeoverInFlight(t *testing.T) {
	t.Parallel()
	const row = " INTO tasks (id, project_id, name, created_at, updated_at, status, assigned_agent) VALUES "
	for name, sql := range map[string]string{
		"delete":               "DELETE FROM tasks WHERE id = 'it'",
		"delete and insert":    "DELETE FROM tasks WHERE id = 'it'; INSERT" + row + "('it', 'p', 'n', 1, 2, 'pending', NULL)",
		"delete the project":   "DELETE FROM projects",
		"replace the project":  "REPLACE INTO projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('p', 'n', 'genesis', 'executing', '/', 1, 2)",
		"replace by pending":   "INSERT OR REPLACE" + row + "('it', 'p', 'n', 1, 2, 'pending', NULL)",
		"replace by completed": "INSERT OR REPLACE" + row + "('it', 'p', 'n', 1, 2, 'completed', 'a')",
		"replace by another's": "INSERT OR REPLACE" + row + "('it', 'p', 'n', 1, 2, 'in_progress', 'z')",
		"replace by the same":  "INSERT OR REPLACE" + row + "('it', 'p', 'n', 1, 2, 'in_progress', 'a')",
		"replace by a stage":   "INSERT OR REPLACE" + row + "('it', 'p', 'n', 1, 2, 'qa_loop', 'a')",
		"replace itself":       "INSERT OR REPLACE INTO tasks SELECT * FROM tasks WHERE id = 'it'",
		"replace all":          "INSERT OR REPLACE INTO tasks SELECT * FROM tasks",
		"upsert":               "INSERT" + row + "('it', 'p', 'n', 1, 2, 'pending', NULL) ON CONFLICT DO UPDATE SET status = 'pending', assigned_agent = NULL",
		"rename":               "UPDATE OR IGNORE tasks SET id = 'new' WHERE id = 'it'",
		"rename over it":       "UPDATE OR REPLACE tasks SET id = 'it' WHERE id = 'other'",
		"stage, then pending":  "UPDATE tasks SET status = 'qa_loop' WHERE id = 'it'; UPDATE tasks SET status = 'pending' WHERE id = 'it'",
		"status NULL":          "UPDATE OR IGNORE tasks SET status = NULL WHERE id = 'it'",
		"move":                 "UPDATE tasks SET project_id = 'q' WHERE id = 'it'",
		"delete the agent":     "DELETE FROM agents",
		"rename the agent":     "UPDATE agents SET id = 'z'; UPDATE tasks SET assigned_agent = 'z' WHERE id = 'it'",
	} {
		for _, keys := range []string{"ON", "OFF"} {
			t.Run(name+", keys "+keys, func(t *testing.T) {
				t.Parallel()
				clock := storetest.NewClock()
				path := newPath(t)
				db := open(t, path, &sqlite.Options{NoSync: true, Now: clock.Now})
				create(t, db, "p")
				create(t, db, "q")
				mustSucceed(t, db.Tasks.CreateMany(background, []*nexus.Task{
					{ID: "it", ProjectID: "p", Name: "n", MaxAttempts: 9, Priority: nexus.PriorityHigh}, {ID: "other", ProjectID: "q", Name: "n", MaxAttempts: 9},
				}))
				c := mustClaim(t, db, nexus.ClaimRequest{AgentID: "a", TaskID: "it", Lease: time.Minute})
				script(t, path, "PRAGMA foreign_keys = "+keys+"; "+sql)
				mustSucceed(t, storetest.CheckAttempts(background, db))
				explanationsAreRight(t, db)

				// Others find work: while it is held, and when the lease is over.
				for range 3 {
					claims, err := db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: "b", Count: 10, Lease: time.Second})
					mustSucceed(t, err)
					for _, claim := range claims {
						if claim.TaskID == "it" {
							_, err := db.Tasks.Complete(background, "it", c.Epoch, nexus.Evidence{})
							wantCode(t, err, nexus.CodeFenced)
						}
					}
					mustSucceed(t, storetest.CheckAttempts(background, db))
					clock.Move(time.Minute)
				}
				_, err := db.Tasks.Heartbeat(background, "it", c.Epoch, 0)
				if code := nexus.CodeOf(err); code != nexus.CodeFenced && code != nexus.CodeNotFound {
					t.Errorf("the old agent gets %v", err)
				}
				for _, r := range []nexus.RecoverRequest{{}, {AgentIDs: []string{"a"}}, {All: true}} {
					_, err := db.Recover(background, r)
					mustSucceed(t, err)
				}
				mustSucceed(t, storetest.CheckAttempts(background, db))
				if _, err := db.Agents.Terminate(background, "a", ""); err != nil {
					wantCode(t, err, nexus.CodeNotFound)
				}
				if keys == "ON" {
					h, err := db.Health(background, true)
					if err != nil || !h.OK() {
						t.Errorf("health = %+v, %v", h, err)
					}
				}
			})
		}
	}
}

// explanationsAreRight fails the test if Explain calls a task ready that Ready does
// not list, or the other way round.
func explanationsAreRight(t *testing.T, db *store.DB) {
	t.Helper()
	ready, err := db.Tasks.Ready(background, nexus.ReadyFilter{})
	mustSucceed(t, err)
	all, err := db.Tasks.List(background, nexus.TaskFilter{})
	mustSucceed(t, err)
	for _, task := range all {
		x, err := db.Tasks.Explain(background, task.ID)
		mustSucceed(t, err)
		listed := slices.ContainsFunc(ready, func(r nexus.Task) bool { return r.ID == task.ID })
		if x.Ready != listed || x.Ready != (len(x.RootCauses) == 0) {
			t.Errorf("%s is listed as ready: %v; Explain says %+v", task.ID, listed, x)
		}
	}
}

func mustSucceed(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustClaim makes a request that yields one claim.
func mustClaim(t testing.TB, db *store.DB, r nexus.ClaimRequest) nexus.Claim {
	t.Helper()
	claims, err := db.Tasks.Claim(background, r)
	if err != nil || len(claims) != 1 {
		t.Fatalf("%d claims, %v", len(claims), err)
	}
	return claims[0]
}
