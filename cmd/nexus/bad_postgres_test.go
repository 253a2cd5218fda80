package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus/internal/pgtest"
)

// TestBadPostgres gives the program URLs of servers, databases and schemas with which
// something is wrong. Each gets its line and exit code; a password is nowhere in what
// is printed; and the database is as it was.
func TestBadPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	admin := server.URL()
	for _, sql := range []string{
		"CREATE ROLE team LOGIN PASSWORD 'Secret-1'", "CREATE ROLE reader LOGIN PASSWORD 'Secret-1'",
		"CREATE ROLE crowd LOGIN PASSWORD 'Secret-1' CONNECTION LIMIT 0",
		"CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'",
		"CREATE SCHEMA theirs; CREATE TABLE theirs.invoices (id INT)",
	} {
		pgtest.Exec(t, admin, sql)
	}
	ofTeam := strings.Replace(admin, "postgres@", "team:Secret-1@", 1)
	made := func(schema string, sql ...string) string {
		at := pgtest.With(admin, "schema", schema)
		if out, err := runNexus(at, "project", "create", "Shop", "--id", "p1"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, statement := range sql {
			pgtest.Exec(t, at, statement)
		}
		return at
	}
	older := pgtest.NewProxy(t, admin, func(fromServer bool, piece []byte) ([]byte, bool) {
		return bytes.ReplaceAll(piece, []byte("server_version\x0015."), []byte("server_version\x0014.")), true
	})
	for name, c := range map[string]struct {
		url  string
		args []string
		exit int
		line string
	}{
		"no server": {
			"postgres://team:Secret-1@127.0.0.1:1/nexus", nil, 27,
			"nexus: the server of postgres://team@127.0.0.1:1/nexus does not answer: …; nothing was changed; check that it runs and that it can be reached, and try again",
		},
		"no such URL": {
			"postgres://team:Secret-1@host:http/nexus", nil, 6,
			"nexus: database URL: it must be like postgres://user@host:5432/database?schema=name; see docs/postgres.md",
		},
		"no such setting": {
			pgtest.With(ofTeam, "pool_max_conns", "many"), nil, 6,
			"nexus: database URL: …; see docs/postgres.md",
		},
		"no such schema": {
			pgtest.With(ofTeam, "schema", "pg_mine"), nil, 6,
			`nexus: schema: "pg_mine" is PostgreSQL's own`,
		},
		"wrong password": {
			strings.Replace(admin, "postgres@", "team:Secret-2@", 1), nil, 26,
			"nexus: the server of postgres://team@/postgres refuses the user or the password: …; nothing was changed; check both, and pg_hba.conf",
		},
		"no such database": {
			strings.Replace(ofTeam, "/postgres", "/nothing", 1), nil, 3,
			"nexus: there is no such database: postgres://team@/nothing: …; create it with createdb, or correct its name in the URL",
		},
		"no right to create": {
			pgtest.With(ofTeam, "schema", "new"), nil, 26,
			"nexus: the user may not create the schema new in postgres://team@/postgres?schema=new: …; nothing was changed; have its owner run CREATE SCHEMA … AUTHORIZATION; see docs/postgres.md",
		},
		"no right to write": {
			strings.Replace(made("reading", "GRANT USAGE ON SCHEMA reading TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA reading TO reader"),
				"postgres@", "reader:Secret-1@", 1),
			[]string{"project", "create", "Another", "--id", "p2"},
			26,
			"nexus: the user may not do that: …; nothing was changed; docs/postgres.md lists the rights that suffice",
		},
		"another program's schema": {
			pgtest.With(admin, "schema", "theirs"), nil, 16,
			"nexus: schema theirs of postgres://postgres@/postgres?schema=theirs is another program's: it has a table invoices, and none of Nexus's migrations; it was left untouched; give Nexus a schema of its own, with schema=NAME in the URL",
		},
		"a newer schema": {
			made("newer", "INSERT INTO nexus_migrations (version_id, name, checksum, applied_at) VALUES (99999, '99999_later.sql', 'x', 1)"), nil, 17,
			"nexus: schema newer of postgres://postgres@/postgres?schema=newer has version 99999, from a newer Nexus; this program knows version …; update nexus, or open the database read-only; it was left untouched",
		},
		"a half-migrated schema": {
			made("half", "DELETE FROM nexus_migrations WHERE version_id = 3"), nil, 18,
			"nexus: schema half of postgres://postgres@/postgres?schema=half is half migrated: version … has run, and 00003_dependencies.sql has not; nothing was changed; somebody has changed nexus_migrations by hand: bring back a backup",
		},
		"tables without migrations": {
			made("lost", "DROP TABLE nexus_migrations"), nil, 16,
			"nexus: schema lost of postgres://postgres@/postgres?schema=lost is another program's: it has a table agents, and none of Nexus's migrations; it was left untouched; give Nexus a schema of its own, with schema=NAME in the URL",
		},
		"another encoding": {
			strings.Replace(admin, "/postgres?", "/latin?", 1), nil, 6,
			"nexus: the database of postgres://postgres@/latin has the encoding LATIN1; it must be UTF8; nothing was changed; create another with createdb --encoding=UTF8 --template=template0",
		},
		"an old server": {
			older.URL(admin), nil, 6,
			"nexus: the server is PostgreSQL 14…; 15 is the oldest that is supported; nothing was changed; upgrade the server",
		},
		"too many connections": {
			strings.Replace(admin, "postgres@", "crowd:Secret-1@", 1), nil, 11,
			"nexus: the server has no connection left: …; nothing was changed; try again, or put a pooler before it; see docs/postgres.md",
		},
		"a backup": {
			made("kept"),
			[]string{"backup", filepath.Join(t.TempDir(), "copy")},
			6,
			"nexus: a PostgreSQL database is backed up by PostgreSQL's own programs; run pg_dump --format=custom --schema=kept --file=FILE with the same URL; pg_restore puts it back",
		},
		"a repair without a backup": {
			made("broken", "DROP INDEX idx_tasks_ready"),
			[]string{"doctor", "--fix"},
			6,
			"nexus: a PostgreSQL database is backed up by PostgreSQL's own programs; nothing was changed; run pg_dump --format=custom --schema=broken --file=FILE with the same URL; pg_restore puts it back; then run nexus doctor --fix --no-backup",
		},
		"a repair by another than the owner": {
			strings.Replace(made("hers", "DROP INDEX idx_tasks_ready; GRANT USAGE ON SCHEMA hers TO team; "+
				"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA hers TO team"), "postgres@", "team:Secret-1@", 1),
			[]string{"doctor", "--fix", "--no-backup"},
			26,
			"nexus: making index idx_tasks_ready of tasks again: the user may not do that: …; nothing was changed; docs/postgres.md lists the rights that suffice",
		},
		"a restore": {
			made("back"),
			[]string{"restore", "copy"},
			6,
			"nexus: a PostgreSQL database is restored by PostgreSQL's own programs; nothing was changed; run pg_restore with what pg_dump has written, or nexus import with an export",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.args == nil {
				c.args = []string{"project", "list"}
			}
			wantUnchanged(t, admin, c.url, c.args, c.exit, c.line)
		})
	}
}

// TestPostgresStandby has a server that only reads: reading goes on, and a change is
// refused.
func TestPostgresStandby(t *testing.T) {
	t.Parallel()
	server := pgtest.Own(t)
	if out, err := runNexus(server.URL(), "project", "create", "Shop", "--id", "p1"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := server.Halt(false); err != nil {
		t.Fatal(err)
	}
	// A standby whose primary is away.
	if err := os.WriteFile(filepath.Join(server.Folder(), "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	if out, err := runNexus(server.URL(), "project", "get", "p1"); err != nil {
		t.Errorf("reading: %v: %s", err, out)
	}
	wantUnchanged(t, server.URL(), server.URL(), []string{"project", "create", "Another"}, 12,
		"nexus: the transaction or the server is read-only: …; nothing was changed; if the server is a standby, name the primary, or add target_session_attrs=read-write to the URL")

	// It can be moved from, but not to.
	file := filepath.Join(t.TempDir(), "a.db")
	if out, err := runNexus("", "move", "--from", server.URL(), "--to", file); err != nil {
		t.Errorf("moving from it: %v: %s", err, out)
	}
	wantUnchanged(t, server.URL(), server.URL(), []string{"move", "--from", file, "--to", server.URL()}, 12,
		"nexus: the transaction or the server is read-only: …; nothing was changed; if the server is a standby, name the primary, or add target_session_attrs=read-write to the URL")

	// Of several servers, one of which is down and one is this, the one that can be
	// written is found.
	primary := pgtest.Own(t)
	all := pgtest.With(server.URL(), "host", strings.Join([]string{t.TempDir(), server.Folder(), primary.Folder()}, ","))
	all = pgtest.With(all, "target_session_attrs", "read-write")
	if out, err := runNexus(all, "project", "create", "Another", "--id", "p2"); err != nil {
		t.Errorf("with several hosts: %v: %s", err, out)
	}
	if out, err := runNexus(primary.URL(), "project", "get", "p2"); err != nil {
		t.Errorf("on the primary: %v: %s", err, out)
	}
}

// TestPostgresDoctor breaks what is derived and a part of the schema, and has it mended.
func TestPostgresDoctor(t *testing.T) {
	t.Parallel()
	url := pgtest.Schema(t)
	run := func(exit int, want string, args ...string) {
		t.Helper()
		cmd := nexusOn(url, args...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code != exit || !strings.Contains(string(out), want) {
			t.Errorf("%v: exit code %d, want %d, and %q in\n%s", args, code, exit, want, out)
		}
	}
	run(0, "", "project", "create", "Shop", "--id", "p1")
	run(0, "", "task", "create", "One", "--id", "t1", "--project", "p1")
	run(0, "All is well.", "doctor", "--deep")
	run(0, "All is well.", "doctor", "--fix") // which needs no backup for nothing
	pgtest.Exec(t, url, "UPDATE tasks SET open_dependencies = 7; ALTER TABLE tasks DISABLE TRIGGER USER")
	run(15, "nexus doctor --fix makes it again", "doctor")
	run(0, "No backup was made.", "doctor", "--fix", "--no-backup")
	run(0, "All is well.", "doctor", "--deep")
}

// wantUnchanged runs the program, which fails in this way and changes nothing.
func wantUnchanged(t *testing.T, admin, database string, args []string, exit int, line string) {
	t.Helper()
	before := relations(t, admin)
	out, err := runNexus(database, args...)
	var failed *exec.ExitError
	if !errors.As(err, &failed) || failed.ExitCode() != exit {
		t.Errorf("got %v, want exit code %d", err, exit)
	}
	if got := strings.TrimSuffix(out, "\n"); !pattern(line, true).MatchString(got) {
		t.Errorf("it says\n%s\nwant\n%s", got, line)
	}
	if strings.Contains(out, "Secret") {
		t.Errorf("it tells the password: %s", out)
	}
	if diff := cmp.Diff(before, relations(t, admin)); diff != "" {
		t.Errorf("the database was changed (-before +after):\n%s", diff)
	}
}

// runNexus runs the program on a database, and returns what it prints on standard
// error.
func runNexus(database string, args ...string) (string, error) {
	cmd := nexusOn(database, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	return stderr.String(), err
}

func nexusOn(database string, args ...string) *exec.Cmd {
	cmd := exec.Command("nexus", args...)
	cmd.Env = append(os.Environ(), "DATABASE_PATH=", "DATABASE_URL="+database, "NEXUS_MIGRATIONS=")
	return cmd
}

// relations are the tables of all of the databases' schemas with what they count.
func relations(t *testing.T, admin string) (list []string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgtest.Connect(ctx, admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
		SELECT n.nspname || '.' || c.relname || ' ' || CASE WHEN c.relkind = 'r' THEN
			(xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I.%I', n.nspname, c.relname), false, true, '')))[1]::text
			ELSE '' END
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		list = append(list, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}
