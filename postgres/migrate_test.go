package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest"
)

// TestOpenTogether opens a database that does not exist yet from everywhere at once.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	url := pgtest.With(pgtest.Schema(t), "pool_max_conns", "2")
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			<-start
			db, err := postgres.Open(background, url, nil)
			if err == nil {
				err = errors.Join(newProject(background, &db.Services, fmt.Sprint(i)), db.Close())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if got := len(projectIDs(t, openSchema(t, url, nil))); got != 16 {
		t.Errorf("there are %d projects", got)
	}
}

// TestColumns compares the columns that Nexus reads and writes with those that the
// migrations make.
func TestColumns(t *testing.T) {
	t.Parallel()
	db := openSchema(t, pgtest.Schema(t), nil)
	types := map[string]string{"TEXT": "TEXT", "INTEGER": "BIGINT", "REAL": "DOUBLE PRECISION"}
	var catalog driver.Catalog
	fatal(t, db.View(t.Context(), func(tx *store.Tx) (err error) {
		catalog, err = tx.Catalog(t.Context())
		return err
	}))
	for _, kind := range nexus.Kinds() {
		i := slices.IndexFunc(catalog.Tables, func(table driver.Table) bool { return table.Name == kind.Table() })
		if i < 0 {
			t.Fatalf("there is no table %s", kind.Table())
		}
		want := make(map[string]driver.Column)
		for _, c := range slices.Concat(store.Columns(kind), store.DerivedColumns(kind)) {
			want[c.Name] = driver.Column{Name: c.Name, Type: types[c.Type], NotNull: !c.Nullable, Default: c.Default}
		}
		got := make(map[string]driver.Column)
		for _, c := range catalog.Tables[i].Columns {
			got[c.Name] = c
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("columns of %s (-want +got):\n%s", kind.Table(), diff)
		}
	}
}

// TestSameMigrations has both databases go the same way: a number and a name mean the
// same in both.
func TestSameMigrations(t *testing.T) {
	t.Parallel()
	ours, err := filepath.Glob("migrations/*.sql")
	fatal(t, err)
	for i, path := range ours {
		name := filepath.Base(path)
		if !strings.HasPrefix(name, fmt.Sprintf("%05d_", i+1)) {
			t.Errorf("%s is not number %d", name, i+1)
		}
		if _, err := os.Stat(filepath.Join("../sqlite/migrations", name)); err != nil {
			t.Errorf("SQLite has no migration %s", name)
		}
	}
}

// TestMigrateDown goes all the way down, which leaves nothing, and up again.
// TestMigrateMends upgrades a database whose older triggers have put the change of a feature
// at the end of time.
func TestMigrateMends(t *testing.T) {
	t.Parallel()
	url := pgtest.Schema(t)
	openSchema(t, url, nil)
	for mends := false; !mends; {
		reverted, err := postgres.MigrateDown(t.Context(), url, nil, false)
		fatal(t, err)
		mends = reverted[0].Name == "00011_project_parts.sql"
	}
	const tasks = `INSERT INTO tasks (id, project_id, feature_id, name, status, created_at, updated_at) VALUES `
	for _, sql := range []string{
		`INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('p', 'n', 'genesis', 'pending', '/', 1, 1)`,
		`INSERT INTO features (id, project_id, name, priority, status, created_at, updated_at) VALUES ('f', 'p', 'n', 'must', 'backlog', 1, 1), ('g', 'p', 'n', 'must', 'backlog', 1, 1)`,
		tasks + `('a', 'p', 'f', 'n', 'skipped', 1, 7), ('b', 'p', 'f', 'n', 'pending', 1, 1), ('c', 'p', 'g', 'n', 'pending', 1, 1)`,
		`DELETE FROM tasks WHERE id IN ('b', 'c')`,
	} {
		pgtest.Exec(t, url, sql)
	}
	db := openSchema(t, url, nil)
	for id, want := range map[string]string{"f": "done 7", "g": "backlog 1"} {
		f, err := db.Features.Get(t.Context(), id)
		fatal(t, err)
		if got := fmt.Sprint(f.Status, " ", f.UpdatedAt.Unix()); got != want {
			t.Errorf("feature %s is %s, want %s", id, got, want)
		}
	}
	found, err := db.Diagnose(t.Context())
	fatal(t, err)
	if len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

func TestMigrateDown(t *testing.T) {
	t.Parallel()
	url := pgtest.Schema(t)
	_, err := postgres.Migrations(t.Context(), url, nil)
	fatal(t, err)
	if reverted, err := postgres.MigrateDown(t.Context(), url, nil, true); err != nil || len(reverted) > 0 {
		t.Errorf("reverted %v, %v", reverted, err)
	}
	db := openSchema(t, url, nil)
	before, err := db.Schema(t.Context())
	fatal(t, err)
	fatal(t, newProject(t.Context(), &db.Services, "a"))
	list, err := postgres.Migrations(t.Context(), url, nil)
	fatal(t, err)
	for step := range len(list) {
		reverted, err := postgres.MigrateDown(t.Context(), url, nil, false)
		fatal(t, err)
		if len(reverted) != 1 || reverted[0].Name != list[len(list)-1-step].Name {
			t.Fatalf("step %d reverted %v", step, reverted)
		}
	}
	list, err = postgres.Migrations(t.Context(), url, nil)
	fatal(t, err)
	for _, m := range list {
		if m.Applied {
			t.Errorf("%s has run", m.Name)
		}
	}
	again := openSchema(t, url, nil)
	after, err := again.Schema(t.Context())
	fatal(t, err)
	slices.Sort(before) // dropped and made again, they are in another order
	slices.Sort(after)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("down and up again makes another schema:\n%s", diff)
	}
	_, err = postgres.MigrateDown(t.Context(), url, nil, true)
	fatal(t, err)
	left, err := pgtest.Connect(t.Context(), url)
	fatal(t, err)
	defer left.Close(t.Context())
	var objects string
	fatal(t, left.QueryRow(t.Context(), `
		SELECT coalesce(string_agg(name, ', '), '') FROM (
			SELECT relname AS name FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind <> 'i'
			UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace) AS what`).Scan(&objects))
	if objects != "nexus_migrations" {
		t.Errorf("what is left is %s", objects)
	}
}

// TestUserMigrations runs a folder of the caller's own, one of which fails: that
// leaves nothing.
func TestUserMigrations(t *testing.T) {
	t.Parallel()
	url, folder := pgtest.Schema(t), t.TempDir()
	write := func(name, sql string) {
		fatal(t, os.WriteFile(filepath.Join(folder, name), []byte("-- +goose Up\n"+sql+"\n"), 0o600))
	}
	own := func(o *postgres.Options) { o.Migrations = folder }
	write("00001_reviews.sql", "CREATE TABLE reviews (id TEXT PRIMARY KEY, task_id TEXT REFERENCES tasks (id));")
	db := openSchema(t, url, own)
	_, added, err := db.Tables(t.Context())
	fatal(t, err)
	if !slices.Contains(added, "reviews") {
		t.Errorf("there are %v", added)
	}
	fatal(t, newProject(t.Context(), &db.Services, "a"))
	write("00002_more.sql", "CREATE TABLE more (id TEXT);\nDELETE FROM projects;")
	_, err = postgres.Open(t.Context(), url, &postgres.Options{Migrations: folder})
	wantCode(t, err, nexus.CodeMigration)
	write("00002_more.sql", "CREATE TABLE more (id TEXT);\nDROP TABLE nothing;")
	_, err = postgres.Open(t.Context(), url, &postgres.Options{Migrations: folder})
	wantCode(t, err, nexus.CodeMigration)
	_, added, err = db.Tables(t.Context())
	fatal(t, err)
	if slices.Contains(added, "more") || !projectIDs(t, db)["a"] {
		t.Errorf("a migration that failed has left something: %v", added)
	}
}

// TestOtherProgram writes as a program does that has never heard of Nexus, whose
// session has another search_path: what follows is right all the same.
func TestOtherProgram(t *testing.T) {
	t.Parallel()
	url := pgtest.Schema(t)
	db := openSchema(t, url, nil)
	schema := pgtest.Param(url, "schema")
	conn, err := pgtest.Connect(t.Context(), pgtest.With(url, "schema", "public"))
	fatal(t, err)
	defer conn.Close(t.Context())
	for _, sql := range []string{
		"INSERT INTO %s.projects (id, name, mode, status, root_path, created_at, updated_at) VALUES ('p', 'n', 'genesis', 'executing', '/', 1, 2)",
		"INSERT INTO %s.features (id, project_id, name, created_at, updated_at) VALUES ('f', 'p', 'n', 1, 2)",
		"INSERT INTO %s.tasks (id, project_id, feature_id, name, created_at, updated_at) VALUES ('a', 'p', 'f', 'n', 1, 2)",
		`INSERT INTO %s.tasks (id, project_id, name, depends_on, created_at, updated_at) VALUES ('b', 'p', 'n', '["a"]', 1, 2)`,
		"UPDATE %s.tasks SET status = 'completed' WHERE id = 'a'",
	} {
		_, err := conn.Exec(t.Context(), fmt.Sprintf(sql, schema))
		fatal(t, err)
	}
	fatal(t, storetest.CheckDerived(t.Context(), db))
	ready, err := db.Tasks.Ready(t.Context(), nexus.ReadyFilter{})
	fatal(t, err)
	if len(ready) != 1 || ready[0].ID != "b" {
		t.Errorf("ready is %v", ready)
	}
	claims, err := db.Tasks.Claim(t.Context(), nexus.ClaimRequest{AgentID: "x"})
	fatal(t, err)
	_, err = conn.Exec(t.Context(), "UPDATE "+schema+".tasks SET status = 'skipped' WHERE id = 'b'")
	fatal(t, err)
	_, err = db.Tasks.Heartbeat(t.Context(), "b", claims[0].Epoch, 0)
	wantCode(t, err, nexus.CodeFenced)
}

// TestSchemas keeps two projects apart in one database, however their schemas are
// named.
func TestSchemas(t *testing.T) {
	t.Parallel()
	server := pgtest.URL(t)
	one, two := pgtest.Param(pgtest.Schema(t), "schema"), pgtest.Param(pgtest.Schema(t), "schema")
	a := openSchema(t, pgtest.With(server, "search_path", one), nil)
	b := openSchema(t, pgtest.With(server, "schema", "not this"), func(o *postgres.Options) { o.Schema = two })
	fatal(t, newProject(t.Context(), &a.Services, "a"))
	fatal(t, newProject(t.Context(), &b.Services, "b"))
	again := openSchema(t, pgtest.With(server, "schema", one), nil)
	if got := projectIDs(t, again); len(got) != 1 || !got["a"] {
		t.Errorf("there are %v", got)
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"postgres://me:secret@host:5432/db?schema=x":                   "postgres://me@host:5432/db?schema=x",
		"postgres://host/db?user=me&password=secret":                   "postgres://host/db",
		"postgresql://me:se%20cret@host/db?sslpassword=secret#secret":  "postgresql://me@host/db",
		"postgres://me:secret@[/db":                                    "the database URL",
		"postgres://me@a,b/db?target_session_attrs=primary&sslkey=key": "postgres://me@a,b/db?target_session_attrs=primary",
	} {
		if got := postgres.Redacted(url); got != want {
			t.Errorf("%s is shown as %s, want %s", url, got, want)
		}
	}
}
