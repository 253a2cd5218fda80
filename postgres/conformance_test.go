package postgres_test

import (
	"os"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestConformance(t *testing.T) {
	t.Parallel()
	pgtest.URL(t)
	storetest.Run(t, func(t *testing.T, now func() time.Time) *store.DB {
		return openSchema(t, pgtest.Schema(t), func(o *postgres.Options) { o.Now = now })
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
