package storetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

var onceTests = map[string]timedTest{
	"Once":          testOnce,
	"OnceClaim":     testOnceClaim,
	"OnceFailed":    testOnceFailed,
	"OnceReused":    testOnceReused,
	"OnceEmptyKey":  testOnceEmptyKey,
	"OnceExpiry":    testOnceExpiry,
	"OnceTogether":  testOnceTogether,
	"OnceOddResult": testOnceOddResult,
}

// testOnce repeats a call: it is done once, and answers the same.
func testOnce(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	c := w.claim("a", "it")
	runs := 0
	qa := func() (*nexus.Task, bool, error) {
		return store.Once(w.ctx, db, "k", []any{"qa", "it"}, func(tx *store.Tx) (*nexus.Task, error) {
			runs++
			return tx.Tasks.QA(w.ctx, "it", c.Epoch, "")
		})
	}
	first, again, err := qa()
	must(t, err)
	same(t, []any{again, first.QAIterations}, []any{false, 1})
	ran := runs
	clock.Move(time.Hour)
	w.changes("the second call", func() error {
		second, again, err := qa()
		same(t, second, first)
		same(t, again, true)
		return err
	})
	same(t, runs, ran)
	same(t, w.task("it").QAIterations, 1)
}

// testOnceClaim repeats a claim: the second answer shows the same as the first.
func testOnceClaim(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it", "other")
	claim := func() (claims []nexus.Claim, again bool) {
		claims, again, err := store.Once(w.ctx, db, "k", "claim", func(tx *store.Tx) ([]nexus.Claim, error) {
			return tx.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "a", Process: "p", Lease: 90 * time.Second})
		})
		must(t, err)
		return claims, again
	}
	first, again := claim()
	same(t, []any{again, claimedIDs(first)}, []any{false, []string{"it"}})
	w.changes("the second claim", func() error {
		second, again := claim()
		same(t, again, true)
		sameJSON(t, second, first)
		return nil
	})
}

// testOnceFailed makes calls that fail: their key is free, and nothing remains.
func testOnceFailed(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	before := w.image()
	for range 2 {
		_, again, err := store.Once(w.ctx, db, "k", "claim", func(tx *store.Tx) ([]nexus.Claim, error) {
			claims, err := tx.Tasks.Claim(w.ctx, nexus.ClaimRequest{AgentID: "a"})
			must(t, err)
			return claims, errStop
		})
		same(t, []bool{errors.Is(err, errStop), again}, []bool{true, false})
	}
	// Refused at the end of the transaction.
	_, _, err := store.Once(w.ctx, db, "k", "claim", func(tx *store.Tx) (*nexus.Task, error) {
		return tx.Tasks.Update(w.ctx, "it", nexus.TaskUpdate{AddDependsOn: []string{"nobody"}})
	})
	refused(t, err, nexus.CodeReference)
	// Not to be stored.
	_, _, err = store.Once(w.ctx, db, "k", "claim", func(tx *store.Tx) (func(), error) {
		return nil, project(w.ctx, &tx.Services, "px")
	})
	same(t, err != nil, true)
	func() {
		defer func() { same(t, recover(), any("stop")) }()
		_, _, _ = store.Once(w.ctx, db, "k", "claim", func(tx *store.Tx) (int, error) {
			must(t, project(w.ctx, &tx.Services, "px"))
			panic("stop")
		})
	}()
	same(t, w.image().diff(before), []string{})
	_, again, err := store.Once(w.ctx, db, "k", "another request", func(*store.Tx) (int, error) { return 7, nil })
	must(t, err)
	same(t, again, false)
}

func testOnceReused(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	once := func(key string, request any) error {
		_, _, err := store.Once(w.ctx, db, key, request, func(tx *store.Tx) (*nexus.Task, error) {
			return tx.Tasks.Skip(w.ctx, "it", 0, "")
		})
		return err
	}
	must(t, once("k", "one"))
	e := w.refuses("the key of another", nexus.CodeKeyReused, func() error { return once("k", "two") })
	if !strings.Contains(e.Message, `"k"`) {
		t.Errorf("the refusal %q does not name the key", e.Message)
	}
	must(t, once("K", "two")) // another key
	must(t, once("k", "one"))
	must(t, once(strings.Repeat("k", nexus.MaxID), "long"))
	e = w.refuses("a long key", nexus.CodeInvalid, func() error { return once(strings.Repeat("k", nexus.MaxID+1), "long") })
	same(t, problemFields(e), []string{"idempotency_key"})
	same(t, once("k2", func() {}) != nil, true) // a request that cannot be told from others
	for _, key := range []string{"a b", "ä🦀", "'; DROP TABLE tasks; --", "$1", "%"} {
		must(t, once(key, key))
		must(t, once(key, key))
		w.refuses(key, nexus.CodeKeyReused, func() error { return once(key, "") })
	}
}

func testOnceEmptyKey(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock, "it")
	c := w.claim("a", "it")
	for i := range 3 {
		got, again, err := store.Once(w.ctx, db, "", "qa", func(tx *store.Tx) (*nexus.Task, error) { return tx.Tasks.QA(w.ctx, "it", c.Epoch, "") })
		must(t, err)
		same(t, []any{again, got.QAIterations}, []any{false, i + 1})
	}
	_, _, err := store.Once(w.ctx, db, "", "qa", func(*store.Tx) (int, error) { return 7, errStop })
	same(t, errors.Is(err, errStop), true)
}

// testOnceExpiry keeps results for as long as it says, and not for ever.
func testOnceExpiry(t *testing.T, db *store.DB, clock *Clock) {
	w := newWork(t, db, clock)
	n := 0
	once := func(key string) (result int, again bool) {
		n++
		result, again, err := store.Once(w.ctx, db, key, key, func(*store.Tx) (int, error) { return n, nil })
		must(t, err)
		return result, again
	}
	first, _ := once("k")
	clock.Move(store.KeysKept)
	_, _ = once("other") // whoever writes sees to it
	got, again := once("k")
	same(t, []any{got, again}, []any{first, true})
	clock.Move(time.Microsecond)
	_, _ = once("third")
	got, again = once("k")
	same(t, []any{got != first, again}, []any{true, false})

	// A clock put back forgets nothing.
	second := got
	clock.Move(-10 * store.KeysKept)
	_, _ = once("fourth")
	got, again = once("k")
	same(t, []any{got, again}, []any{second, true})
}

// testOnceTogether makes the same call from everywhere at once: one does it.
func testOnceTogether(t *testing.T, db *store.DB, _ *Clock) {
	ctx := t.Context()
	seed(t, db, nexus.KindTask)
	for round := range 5 {
		must(t, db.Tasks.CreateMany(ctx, []*nexus.Task{
			{ID: fmt.Sprintf("a%d", round), ProjectID: "p1", Name: "n"}, {ID: fmt.Sprintf("b%d", round), ProjectID: "p1", Name: "n"},
		}))
		epochs, fresh := make([]int64, writers), make([]bool, writers)
		together(func(i int) {
			claims, again, err := store.Once(ctx, db, fmt.Sprint(round), "claim", func(tx *store.Tx) ([]nexus.Claim, error) {
				return tx.Tasks.Claim(ctx, nexus.ClaimRequest{AgentID: "a"})
			})
			if err != nil || len(claims) != 1 {
				t.Errorf("%d claims, %v", len(claims), err)
				return
			}
			epochs[i], fresh[i] = claims[0].Epoch, !again
		})
		n := 0
		for i := range writers {
			if epochs[i] != epochs[0] {
				t.Errorf("one got epoch %d, another %d", epochs[0], epochs[i])
			}
			if fresh[i] {
				n++
			}
		}
		same(t, n, 1)
		_, err := db.Tasks.Complete(ctx, fmt.Sprintf("a%d", round), nexus.AnyEpoch, nexus.Evidence{})
		must(t, err)
		_, err = db.Tasks.Skip(ctx, fmt.Sprintf("b%d", round), nexus.AnyEpoch, "")
		must(t, err)
	}
}

// testOnceOddResult keeps results of every kind.
func testOnceOddResult(t *testing.T, db *store.DB, _ *Clock) {
	onceSame(t, db, "nil", (*nexus.Task)(nil))
	onceSame(t, db, "nothing", struct{}{})
	onceSame(t, db, "text", awkward)
	onceSame(t, db, "empty", []nexus.Claim{})
	onceSame(t, db, "none", []nexus.Claim(nil))
	task := with(tasks.full, "it")
	task.Metadata = `{"a":[null,1.50]}` // how JSON is laid out does not survive
	onceSame(t, db, "task", task)
	onceSame(t, db, "agent", with(agents.full, "it"))
	onceSame(t, db, "attempt", &nexus.Attempt{
		Epoch: 1 << 60, TaskID: "it", AgentID: "a", ClaimedAt: now, EndedAt: now, Outcome: nexus.OutcomeFailed, Reason: awkward,
		Evidence: &nexus.Evidence{ExitCode: new(0), Files: []string{"f"}}, Progress: &nexus.Progress{Note: "n", At: now},
	})
}

func onceSame[T any](t *testing.T, db *store.DB, key string, want T) {
	t.Helper()
	for i := range 2 {
		got, again, err := store.Once(t.Context(), db, key, key, func(*store.Tx) (T, error) { return want, nil })
		must(t, err)
		same(t, again, i == 1)
		same(t, got, want)
	}
}
