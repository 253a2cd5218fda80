package postgres_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/storetest"
)

// TestPooler works through PgBouncer in transaction mode: two projects, in schemas of
// their own, share two sessions of the server with all their workers.
func TestPooler(t *testing.T) {
	t.Parallel()
	pooler := pgtest.Own(t).Pooler(t)
	const tasks, workers = 30, 6
	var wg sync.WaitGroup
	for _, schema := range []string{"one", "two"} {
		db := openSchema(t, pgtest.With(pooler, "schema", schema), nil)
		fatal(t, newProject(t.Context(), &db.Services, schema))
		for i := range tasks {
			fatal(t, db.Tasks.Create(t.Context(), &nexus.Task{ID: fmt.Sprintf("%s-%02d", schema, i), ProjectID: schema, Name: "n"}))
		}
		for w := range workers {
			wg.Go(func() {
				for {
					claims, err := db.Tasks.Claim(background, nexus.ClaimRequest{AgentID: fmt.Sprint(w)})
					if err != nil {
						t.Error(err)
					}
					if len(claims) == 0 {
						return
					}
					err = db.InTx(background, func(tx *store.Tx) error {
						_, err := tx.Tasks.Complete(background, claims[0].TaskID, claims[0].Epoch, nexus.Evidence{})
						return err
					})
					if err != nil {
						t.Error(err)
					}
					if _, err := db.Overview(background, schema); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	for _, schema := range []string{"one", "two"} {
		db := openSchema(t, pgtest.With(pooler, "schema", schema), func(o *postgres.Options) { o.NoSync = true })
		n, err := db.Tasks.CountByStatus(t.Context(), nexus.TaskFilter{})
		fatal(t, err)
		if n[nexus.TaskCompleted] != tasks || len(n) != 1 || len(projectIDs(t, db)) != 1 {
			t.Errorf("in schema %s there are %v", schema, n)
		}
		fatal(t, storetest.CheckDerived(t.Context(), db))
		err = db.View(t.Context(), func(tx *store.Tx) error { return newProject(t.Context(), &tx.Services, "late") })
		wantCode(t, err, nexus.CodeReadOnly)
		file, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "a.db"), nil)
		fatal(t, err)
		_, err = store.Move(t.Context(), db, file, nil)
		fatal(t, err)
		_, err = store.Move(t.Context(), file, openSchema(t, pgtest.With(pooler, "schema", "moved "+schema), nil), nil)
		fatal(t, errors.Join(err, file.Close()))
		_, err = postgres.MigrateDown(t.Context(), pgtest.With(pooler, "schema", schema), nil, true)
		fatal(t, err)
	}
}
