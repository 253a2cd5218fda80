package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// testCheckpointHash: the hash is what docs/checkpoints.md says, in each format.
func testCheckpointHash(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	for n := range 200 {
		must(t, db.Tasks.Create(k.ctx, &nexus.Task{
			ID: fmt.Sprintf("p1-u%d", n), ProjectID: "p1", Name: "\"\\\n\t\r\x7f\b ä 🦀 \u2028 <&>", Metadata: `{"a": "b"}`,
		}))
	}
	p, err := db.Checkpoints.Get(k.ctx, k.checkpoint("p1"))
	must(t, err)
	state, err := p.Details()
	must(t, err)

	all, groups, group := sha256.New(), sha256.New(), []byte(nil)
	cut := func() {
		if len(group) > 0 {
			sum := sha256.Sum256(group)
			groups.Write(sum[:])
			group = nil
		}
	}
	add := func(r driver.Row, table string) {
		line := []any{table}
		for n, name := range r.Columns()[:state.Columns[table]] {
			if name != "revision" {
				line = append(line, r.Value(n))
			}
		}
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		must(t, encoder.Encode(line))
		all.Write([]byte(b.String()))
		group = append(group, b.String()...)
		if crc32.ChecksumIEEE([]byte(r.Text(0)))%16 == 0 {
			cut()
		}
	}
	for _, kind := range []nexus.Kind{
		nexus.KindProject, nexus.KindFeature, nexus.KindSubFeature, nexus.KindTask, nexus.KindRequirement, nexus.KindSession,
	} {
		where := "project_id = 'p1'"
		switch kind {
		case nexus.KindProject:
			where = "id = 'p1'"
		case nexus.KindSubFeature:
			where = "feature_id IN (SELECT id FROM features WHERE project_id = 'p1')"
		}
		var names []string
		for _, c := range store.Columns(kind) {
			names = append(names, c.Name)
		}
		table, columns := kind.Table(), strings.Join(names, ", ")
		must(t, db.View(k.ctx, func(tx *store.Tx) error {
			return tx.Query(k.ctx, "SELECT "+columns+" FROM "+table+" WHERE "+where+" ORDER BY id", nil, func(r driver.Row) error {
				add(r, table)
				return nil
			})
		}))
		cut()
	}
	same(t, state.Format, 2)
	same(t, hex.EncodeToString(groups.Sum(nil)), state.SHA256)

	// One that an older version has made.
	older := strings.Replace(string(p.State), state.SHA256, hex.EncodeToString(all.Sum(nil)), 1)
	older = strings.Replace(older, `"format":2`, `"format":1`, 1)
	k.exec(`UPDATE checkpoints SET state = $2 WHERE id = $1`, p.ID, older)
	v, err := db.VerifyCheckpoint(k.ctx, p.ID)
	must(t, err)
	same(t, v.OK, true)
	k.change()
	k.restore(p.ID)
}

// testCheckpointHashFollows: a checkpoint has the same hash as one that reads all
// tasks, whatever has changed since the one before.
func testCheckpointHashFollows(t *testing.T, db *store.DB, clock *Clock) {
	ctx := t.Context()
	must(t, project(ctx, &db.Services, "other"))
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		p := fmt.Sprintf("p%d", run)
		must(rt, project(ctx, &db.Services, p))
		must(rt, db.InTx(ctx, func(tx *store.Tx) error {
			for n := range 120 {
				must(rt, tx.Tasks.Create(ctx, &nexus.Task{ID: fmt.Sprintf("%s-%03d", p, 2*n), ProjectID: p, Name: "t"}))
			}
			return nil
		}))
		id := func(rt *rapid.T) string { return fmt.Sprintf("%s-%03d", p, rapid.IntRange(0, 245).Draw(rt, "id")) }
		exec := func(rt *rapid.T, sql string, args ...any) {
			ignore(rt, db.InTx(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, sql, args...)
				return err
			}))
		}
		checkpoint := func(rt *rapid.T) {
			c, err := db.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: p})
			must(rt, err)
			v, err := db.VerifyCheckpoint(ctx, c.ID)
			must(rt, err)
			if !v.OK {
				rt.Fatalf("the checkpoint has %s, the state is %s", v.Recorded, v.Found)
			}
		}
		checkpoint(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {},
			"create": func(rt *rapid.T) {
				ignore(rt, db.Tasks.Create(ctx, &nexus.Task{ID: id(rt), ProjectID: p, Name: "new"}))
			},
			"change": func(rt *rapid.T) {
				exec(rt, `UPDATE tasks SET name = name || '.', revision = revision + 1 WHERE id = $1`, id(rt))
			},
			"delete": func(rt *rapid.T) { exec(rt, `DELETE FROM tasks WHERE id = $1`, id(rt)) },
			"rename": func(rt *rapid.T) { exec(rt, `UPDATE tasks SET id = $1 WHERE id = $2`, id(rt), id(rt)) },
			"leave":  func(rt *rapid.T) { exec(rt, `UPDATE tasks SET project_id = 'other' WHERE id = $1`, id(rt)) },
			"return": func(rt *rapid.T) { exec(rt, `UPDATE tasks SET project_id = $1 WHERE id = $2`, p, id(rt)) },
			"fail": func(rt *rapid.T) {
				failed := db.InTx(ctx, func(tx *store.Tx) error {
					_, err := tx.Exec(ctx, `UPDATE tasks SET name = 'x' WHERE id = $1`, id(rt))
					must(rt, err)
					_, err = tx.Checkpoint(ctx, nexus.CheckpointRequest{ProjectID: p})
					must(rt, err)
					return nexus.Errorf(nexus.CodeInvalid, "enough")
				})
				same(t, nexus.CodeOf(failed), nexus.CodeInvalid)
			},
			"restore": func(rt *rapid.T) {
				list, err := db.Checkpoints.List(ctx, nexus.CheckpointFilter{ProjectID: p})
				must(rt, err)
				_, err = db.Restore(ctx, rapid.SampledFrom(list).Draw(rt, "checkpoint").ID, rapid.Bool().Draw(rt, "dry"))
				ignore(rt, err)
			},
			"checkpoint": checkpoint,
		})
		checkpoint(rt)
	})
}

// testCheckpointHashRelied: what has not changed since the last checkpoint is not read
// again, unless what is kept of it cannot be right.
func testCheckpointHashRelied(t *testing.T, db *store.DB, clock *Clock) {
	k := newKeeping(t, db, clock)
	for n := range 200 {
		must(t, db.Tasks.Create(k.ctx, &nexus.Task{ID: fmt.Sprintf("p1-u%d", n), ProjectID: "p1", Name: "t"}))
	}
	k.checkpoint("p1")
	right := func(id string) bool {
		v, err := db.VerifyCheckpoint(k.ctx, id)
		must(t, err)
		return v.OK
	}
	k.exec(`UPDATE tasks SET name = 'x' WHERE id = 'p1-u7'`)
	same(t, right(k.checkpoint("p1")), true)

	// What is kept is believed …
	kept := func(sql string) { k.exec(`UPDATE task_hashes SET ` + sql + ` WHERE project_id = 'p1'`) }
	kept(`sha256 = '` + strings.Repeat("0", 64) + `'`)
	same(t, right(k.checkpoint("p1")), false)
	// … but not if there are more tasks than it says, or what is no hash.
	kept(`tasks = tasks + 1`)
	same(t, right(k.checkpoint("p1")), true)
	for _, sum := range []string{"", "no hash", strings.Repeat("0", 63)} {
		kept(`sha256 = '` + sum + `'`)
		same(t, right(k.checkpoint("p1")), true)
	}
	k.exec(`DELETE FROM task_hashes WHERE last_id = ''`)
	same(t, right(k.checkpoint("p1")), true)
	k.exec(`UPDATE task_hash_progress SET seq = seq + 1000`)
	same(t, right(k.checkpoint("p1")), true)
	k.exec(`DELETE FROM task_hash_progress`)
	same(t, right(k.checkpoint("p1")), true)

	// It goes with the project.
	must(t, db.Projects.Delete(k.ctx, "p1"))
	var left []string
	must(t, db.View(k.ctx, func(tx *store.Tx) error {
		const sql = `SELECT project_id FROM task_hashes UNION ALL SELECT project_id FROM task_hash_progress`
		return tx.Query(k.ctx, sql, nil, func(r driver.Row) error {
			left = append(left, r.Text(0))
			return nil
		})
	}))
	same(t, slices.Contains(left, "p1"), false)
}
