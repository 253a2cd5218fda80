//go:build unix

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus/internal/pgtest"
)

// movable makes a database of some tasks that have been worked on, with a checkpoint.
func movable(t *testing.T, folder string, tasks int) {
	t.Helper()
	var plan strings.Builder
	for i := range tasks {
		fmt.Fprintf(&plan, `%s{"key": "k%d", "name": "Task %d", "description": "what is to be done"}`, strings.Repeat(",", min(i, 1)), i, i)
	}
	apply := program(t, folder, "--db", "a.db", "plan", "apply", "-")
	apply.Stdin = strings.NewReader(`{"project": {"key": "p", "name": "Shop"}, "tasks": [` + plan.String() + `]}`)
	succeed(t, apply)
	succeed(t, program(t, folder, "--db", "a.db", "claim", "--agent", "coder-1"))
	project := strings.TrimSpace(succeed(t, program(t, folder, "--db", "a.db", "project", "list", "--ids")))
	succeed(t, program(t, folder, "--db", "a.db", "checkpoint", "create", "--project", project, "--id", "c1"))
	succeed(t, program(t, folder, "--db", "a.db", "claim", "--agent", "coder-2"))
}

// exportOf is all that a database holds.
func exportOf(t *testing.T, folder, database string) string {
	t.Helper()
	return succeed(t, program(t, folder, "--db", database, "export"))
}

// TestMovePostgres moves a database from SQLite to PostgreSQL and back, and finds there
// what was here, by whatever command.
func TestMovePostgres(t *testing.T) {
	t.Parallel()
	server, folder := pgtest.Schema(t), t.TempDir()
	movable(t, folder, 5)
	was := exportOf(t, folder, "a.db")
	dry := succeed(t, program(t, folder, "move", "--from", "a.db", "--to", server, "--dry-run"))
	if !strings.Contains(dry, "Would move") {
		t.Errorf("a dry run says %s", dry)
	}
	succeed(t, program(t, folder, "move", "--from", "a.db", "--to", server))
	succeed(t, program(t, folder, "move", "--from", server, "--to", "b.db"))
	if exportOf(t, folder, "b.db") != was || exportOf(t, folder, "a.db") != was {
		t.Error("there and back it is another")
	}
	for _, command := range [][]string{
		{"history", "--json"},
		{"task", "list", "--as-of", "c1", "--json"},
		{"checkpoint", "verify", "c1", "--json"},
		{"agent", "holdings", "--json"},
		{"undo", "--actor", "coder-2", "--since", "2h", "--dry-run", "--json"},
		{"diff", "c1", "--json"},
	} {
		here := succeed(t, program(t, folder, append([]string{"--db", "a.db"}, command...)...))
		there := succeed(t, program(t, folder, append([]string{"--db", server}, command...)...))
		if here != there {
			t.Errorf("%v prints\n%s\nbefore it was moved\n%s", command, there, here)
		}
	}
	succeed(t, program(t, folder, "--db", server, "undo", "--actor", "coder-2", "--since", "2h", "--yes"))
	succeed(t, program(t, folder, "--db", server, "checkpoint", "restore", "c1", "--yes"))
	if health := end(t, program(t, folder, "--db", server, "doctor", "--deep")); health.code != 0 {
		t.Errorf("it is not well: %s", health.stdout)
	}
}

// TestMoveKilled kills moves at any moment. The target is empty or whole, the source is as
// it was, and a second move does what the first did not.
func TestMoveKilled(t *testing.T) {
	t.Parallel()
	server, folder := pgtest.URL(t), t.TempDir()
	movable(t, folder, 3000)
	was := exportOf(t, folder, "a.db")
	source := pgtest.SchemaOf(t, server)
	began := time.Now()
	succeed(t, program(t, folder, "move", "--from", "a.db", "--to", source))
	longest := time.Since(began)
	killed := 0
	for i := range 12 {
		from, to := "a.db", pgtest.SchemaOf(t, server)
		if i%2 == 1 {
			from, to = source, fmt.Sprintf("b%d.db", i)
		}
		cmd := program(t, folder, "move", "--from", from, "--to", to)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(longest*time.Duration(i+1)/12, func() { _ = cmd.Process.Kill() }) // or it has ended
		_ = cmd.Wait()                                                                            // the state says it
		timer.Stop()
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			killed++
		}
		again := end(t, program(t, folder, "move", "--from", from, "--to", to))
		switch {
		case again.code == 0:
		case again.code == 4 && strings.HasPrefix(again.stderr, "nexus: the target is not empty: it has rows of projects (1), tasks (3000), "):
		default:
			t.Errorf("after a kill: exit code %d: %s", again.code, again.stderr)
		}
		if from == "a.db" {
			back := fmt.Sprintf("c%d.db", i)
			succeed(t, program(t, folder, "move", "--from", to, "--to", back))
			to = back
		}
		if exportOf(t, folder, to) != was {
			t.Error("what was moved after a kill is not what was there")
		}
	}
	if exportOf(t, folder, "a.db") != was {
		t.Error("the source has changed")
	}
	if killed == 0 {
		t.Error("no move was killed")
	}
}

// TestBadMove moves what cannot be moved. Each gets its line and exit code, and neither
// database is changed.
func TestBadMove(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	admin, folder := server.URL(), t.TempDir()
	movable(t, folder, 3)
	at := func(schema string) string { return pgtest.With(admin, "schema", schema) }
	for _, sql := range []string{
		"CREATE ROLE agent LOGIN PASSWORD 'Secret-1'",
	} {
		pgtest.Exec(t, admin, sql)
	}
	as := func(role, url string) string { return strings.Replace(url, "postgres@", role+":Secret-1@", 1) }
	for _, schema := range []string{"empty", "newer"} {
		succeed(t, program(t, folder, "--db", at(schema), "migrate"))
	}
	for _, sql := range []string{
		"GRANT USAGE ON SCHEMA empty TO agent", "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA empty TO agent",
		"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA empty TO agent",
		"INSERT INTO newer.nexus_migrations (version_id, name, checksum, applied_at) VALUES (99999, '99999_later.sql', 'x', 1)",
	} {
		pgtest.Exec(t, admin, sql)
	}
	succeed(t, program(t, folder, "move", "--from", "a.db", "--to", at("full")))
	pgtest.Exec(t, admin, `GRANT USAGE ON SCHEMA "full" TO agent`)
	odd := func(name, sql string) string {
		succeed(t, program(t, folder, "move", "--from", "a.db", "--to", name))
		change(t, filepath.Join(folder, name), sql)
		return name
	}
	for name, c := range map[string]struct {
		from, to string
		exit     int
		line     string
	}{
		"a target that is not empty": {
			"a.db", at("full"), 4,
			"nexus: the target is not empty: it has rows of projects (1), tasks (3), …; nothing was changed; name a new database",
		},
		"the source as the target, with another spelling": {
			at("full"), strings.Replace(at("full"), "postgres://postgres@", "postgresql://postgres:Secret-1@", 1), 6,
			"nexus: the source and the target are the same database; nothing was changed; name another target",
		},
		"a newer target": {
			"a.db", at("newer"), 17,
			"nexus: schema newer of postgres://postgres@/postgres?schema=newer has version 99999, from a newer Nexus; …",
		},
		"a newer source": {
			at("newer"), "new.db", 17,
			"nexus: the source has schema version 99999, from a newer Nexus; this program knows version …; update nexus; nothing was moved",
		},
		"a source that is not there": {
			at("nothing"), "new2.db", 12,
			"nexus: schema nothing of postgres://postgres@/postgres?schema=nothing has version 0 and needs version …, but was opened read-only; open it once without read-only",
		},
		"a target whose tables are another user's": {
			"a.db", as("agent", at("empty")), 26,
			"nexus: the user may not do that: …; nothing was changed; docs/postgres.md lists the rights that suffice",
		},
		"a source that the user may not read": {
			as("agent", at("full")), "new3.db", 26,
			"nexus: the user may not do that: …; nothing was changed; docs/postgres.md lists the rights that suffice",
		},
		"no server": {
			"a.db", "postgres://team:Secret-1@127.0.0.1:1/nexus", 27,
			"nexus: the server of postgres://team@127.0.0.1:1/nexus does not answer: …; nothing was changed; check that it runs and that it can be reached, and try again",
		},
		"bytes in a text": {
			odd("blob.db", "UPDATE tasks SET description = x'00ff' WHERE name = 'Task 1'"), at("empty"), 6,
			"nexus: description of the row … of tasks is bytes, which the target cannot keep; nothing was moved; …",
		},
		"a text that is no UTF-8": {
			odd("latin.db", "UPDATE tasks SET description = CAST(x'61ff' AS TEXT) WHERE name = 'Task 1'"), at("empty"), 6,
			"nexus: description of the row … of tasks is a text with bytes in it that are no UTF-8, or are zero, which the target cannot keep; nothing was moved; …",
		},
		"a text in place of a number": {
			odd("word.db", "UPDATE tasks SET estimated_minutes = 'many' WHERE name = 'Task 1'"), at("empty"), 6,
			"nexus: estimated_minutes of the row … of tasks is no whole number, which the target cannot keep; nothing was moved; …",
		},
		"a row that refers to nothing": {
			odd("orphan.db", "PRAGMA foreign_keys = OFF; UPDATE tasks SET project_id = 'p9' WHERE name = 'Task 1'"), at("empty"), 6,
			"nexus: the target cannot hold a row of tasks: …; nothing was moved; nexus doctor says what is wrong with the source",
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := relations(t, admin)
			r := end(t, program(t, folder, "move", "--from", c.from, "--to", c.to))
			wantFailure(t, r, c.exit, c.line)
			if strings.Contains(r.stderr+r.stdout, "Secret") {
				t.Errorf("it tells the password: %s", r.stderr)
			}
			if after := relations(t, admin); strings.Join(before, "\n") != strings.Join(after, "\n") {
				t.Errorf("the server has changed: %v, was %v", after, before)
			}
		})
	}
}

// change has another program change a file.
func change(t *testing.T, path, sql string) {
	t.Helper()
	db, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(db, sql, nil), db.Close()); err != nil {
		t.Fatal(err)
	}
}
