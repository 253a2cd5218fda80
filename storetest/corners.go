package storetest

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// cornerTests are corner cases, each of which was once wrong.
var cornerTests = map[string]test{
	"NegativeLimit": func(t *testing.T, db *store.DB) {
		defer func() {
			if r := recover(); r != nil {
				t.Error(r)
			}
		}()
		_, err := db.Tasks.List(t.Context(), nexus.TaskFilter{Page: nexus.Page{Limit: -1}})
		if err != nil {
			refused(t, err, nexus.CodeInvalid)
		}
	},
	"DuplicateWithinBatch": func(t *testing.T, db *store.DB) {
		err := db.Agents.CreateMany(t.Context(), []*nexus.Agent{{ID: "a"}, {ID: "a"}})
		e := refused(t, err, nexus.CodeExists)
		if strings.Contains(e.Message, "plan_key") {
			t.Errorf("%v", e)
		}
	},
	"PlanKeyTakenOnUpdate": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindTask)
		must(t, db.Tasks.CreateMany(t.Context(), []*nexus.Task{{ID: "a", ProjectID: "p1", Name: "n", PlanKey: "k"}, {ID: "b", ProjectID: "p1", Name: "n"}}))
		_, err := db.Tasks.Update(t.Context(), "b", nexus.TaskUpdate{PlanKey: new("k")})
		e := refused(t, err, nexus.CodeExists)
		if !strings.Contains(e.Message, "plan_key") {
			t.Errorf("update: %v", e)
		}
		_, err = db.Tasks.Upsert(t.Context(), &nexus.Task{ID: "b", ProjectID: "p1", Name: "n", PlanKey: "k"})
		e = refused(t, err, nexus.CodeExists)
		if !strings.Contains(e.Message, "plan_key") {
			t.Errorf("upsert: %v", e)
		}
	},
	"UnknownPriorityInFilter": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindTask)
		must(t, db.Tasks.Create(t.Context(), &nexus.Task{ID: "a", ProjectID: "p1", Name: "n", Priority: nexus.PriorityCritical}))
		list, err := db.Tasks.List(t.Context(), nexus.TaskFilter{Priority: []nexus.TaskPriority{"urgent"}})
		if err == nil && len(list) > 0 {
			t.Errorf("priority urgent chooses %s", list[0].Priority)
		}
	},
	"SubSecondTimes": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindTask)
		zone := time.FixedZone("x", 3600)
		a := &nexus.Task{ID: "a", ProjectID: "p1", Name: "n", CreatedAt: past.Add(time.Millisecond).In(zone)}
		must(t, db.Tasks.Create(t.Context(), a))
		got, err := db.Tasks.Get(t.Context(), "a")
		must(t, err)
		same(t, a, got)
		sameJSON(t, a, got)
		u, err := db.Tasks.Update(t.Context(), "a", nexus.TaskUpdate{StartedAt: new(past.Add(time.Millisecond).In(zone))})
		must(t, err)
		got, err = db.Tasks.Get(t.Context(), "a")
		must(t, err)
		same(t, u, got)
		sameJSON(t, u, got)
	},
	"HugeTimePaging": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindTask)
		for _, id := range []string{"a", "b", "c", "d"} {
			must(t, db.Tasks.Create(t.Context(), &nexus.Task{ID: id, ProjectID: "p1", Name: "n"}))
		}
		must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
			for id, s := range map[string]int64{"b": 1700000000000, "c": 9000000000000000000, "d": -9000000000000000000} {
				_, err := tx.Exec(t.Context(), "UPDATE tasks SET created_at=$1 WHERE id=$2", s, id)
				must(t, err)
			}
			return nil
		}))
		for _, d := range []bool{false, true} {
			all := tasks.pages(t, db, nexus.TaskFilter{}, nexus.Page{OrderBy: "created_at", Limit: 1, Descending: d}, nil)
			var ids []string
			for _, e := range all {
				ids = append(ids, e.ID)
			}
			if len(ids) != 4 {
				t.Errorf("desc %v: %v", d, ids)
			}
		}
	},
	"BadOverBad": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindTask)
		must(t, db.Tasks.Create(t.Context(), &nexus.Task{ID: "a", ProjectID: "p1", Name: "n"}))
		must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), "UPDATE tasks SET metadata='{oops'")
			return err
		}))
		_, err := db.Tasks.Update(t.Context(), "a", nexus.TaskUpdate{Metadata: new(nexus.JSON("{also"))})
		refused(t, err, nexus.CodeInvalid)
	},
	"AllInTxWriting": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindTask)
		for _, id := range []string{"a", "b", "c", "d"} {
			must(t, db.Tasks.Create(t.Context(), &nexus.Task{ID: id, ProjectID: "p1", Name: "n"}))
		}
		must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
			var seen []string
			for e, err := range tx.Tasks.All(t.Context(), nexus.TaskFilter{}) {
				must(t, err)
				seen = append(seen, e.ID)
				if len(seen) > 10 {
					break
				}
				must(t, tx.Tasks.Create(t.Context(), &nexus.Task{ID: "z" + e.ID, ProjectID: "p1", Name: "n"}))
			}
			same(t, seen, []string{"a", "b", "c", "d"})
			return nil
		}))
	},
	"UpsertOfDeletedWithRevision": func(t *testing.T, db *store.DB) {
		_, err := db.Agents.Upsert(t.Context(), &nexus.Agent{ID: "gone", Revision: 5})
		if err == nil {
			t.Error("an edit of revision 5 of a row that is gone created it")
		}
	},
	"AgentUpsertLastActivity": func(t *testing.T, db *store.DB) {
		must(t, db.Agents.Create(t.Context(), &nexus.Agent{ID: "a", SpawnedAt: past}))
		_, err := db.Agents.Upsert(t.Context(), &nexus.Agent{ID: "a", LastActivityAt: past.Add(time.Hour)})
		must(t, err)
		got, _ := db.Agents.Get(t.Context(), "a")
		same(t, got.LastActivityAt, past.Add(time.Hour))
	},
	"AliasActualMinutes": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindTask)
		must(t, db.Tasks.Create(t.Context(), &nexus.Task{ID: "a", ProjectID: "p1", Name: "n"}))
		n := 5
		got, err := db.Tasks.Update(t.Context(), "a", nexus.TaskUpdate{ActualMinutes: &n})
		must(t, err)
		n = 6
		same(t, got.ActualMinutes, 5)
	},
	"NullInIDs": func(t *testing.T, db *store.DB) {
		same(t, nexus.DecodeIDs(`["a",null]`), []string{"a", "null"})
	},
	"InvalidUTF8JSON": func(t *testing.T, db *store.DB) {
		text, err := json.Marshal(nexus.JSON("\"a\xffb\""))
		must(t, err)
		if !utf8.Valid(text) {
			t.Errorf("%q", text)
		}
	},
	"MetricTimestampCleared": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindMetric)
		must(t, db.Metrics.Create(t.Context(), &nexus.Metric{ID: "a", ProjectID: "p1", Type: "n"}))
		m, err := db.Metrics.Update(t.Context(), "a", nexus.MetricUpdate{Timestamp: &time.Time{}})
		if err == nil {
			t.Errorf("stored %v", m.Timestamp)
		}
	},
	"ManyStatuses": func(t *testing.T, db *store.DB) {
		_, err := db.Agents.List(t.Context(), nexus.AgentFilter{Status: make([]nexus.AgentStatus, 40000)})
		if err != nil {
			refused(t, err, nexus.CodeInvalid)
		}
	},
	"Infinity": func(t *testing.T, db *store.DB) {
		seed(t, db, nexus.KindMetric)
		must(t, db.Metrics.Create(t.Context(), &nexus.Metric{ID: "a", ProjectID: "p1", Type: "n"}))
		must(t, db.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(t.Context(), "UPDATE metrics SET value = $1", math.Inf(1))
			return err
		}))
		m, err := db.Metrics.Get(t.Context(), "a")
		must(t, err)
		_, err = json.Marshal(m)
		must(t, err)
	},
}
