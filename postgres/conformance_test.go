package postgres_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus/internal/childtest"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

// children are what other processes do in these tests.
var children = childtest.Children{}

func TestMain(m *testing.M) {
	// A step of a walk is many round trips. What the store does in between is the same on
	// SQLite, where walks have their full number.
	if err := flag.Set("rapid.checks", "50"); err != nil {
		panic(err)
	}
	childtest.Main(children)
	os.Exit(pgtest.Main(m))
}

func TestConformance(t *testing.T) {
	t.Parallel()
	// Migrating is most of the work of a short test, and tested elsewhere: it is done
	// once. What Schema says makes the rest, which shows that it leaves nothing out.
	template := pgtest.Schema(t)
	statements, err := openSchema(t, template, nil).Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name := pgtest.Param(template, "schema")
	create := strings.Join(statements, ";\n")
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
		url := pgtest.Schema(t)
		schema := pgtest.Param(url, "schema")
		pgtest.Exec(t, url, fmt.Sprintf("CREATE SCHEMA %[1]s;\n%[2]s;\nINSERT INTO nexus_migrations SELECT * FROM %[3]s.nexus_migrations",
			schema, strings.ReplaceAll(create, name, schema), name))
		return openSchema(t, url, func(o *postgres.Options) { o.Now = now })
	})
}

// openSchema opens a database that is closed when the test ends.
func openSchema(t *testing.T, url string, change func(*postgres.Options)) *store.DB {
	t.Helper()
	options := &postgres.Options{Now: storetest.Now}
	if change != nil {
		change(options)
	}
	db, err := postgres.Open(t.Context(), url, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}
