package sqlite_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
)

// converse appends n entries of 1 KB to the log of a new session, and returns what
// each took.
func converse(t testing.TB, db *store.DB, n int) []time.Duration {
	t.Helper()
	benchMust(t, db.Projects.Create(background, project("p")))
	benchMust(t, db.Sessions.Create(background, &nexus.Session{ID: "s", ProjectID: "p"}))
	text := strings.Repeat("what was said ", 1024/14+1)[:1024]
	spent := make([]time.Duration, n)
	for i := range spent {
		start := time.Now()
		benchMust(t, db.Sessions.Append(background, "s", &nexus.SessionEntry{Text: text}))
		spent[i] = time.Since(start)
	}
	return spent
}

// A log grows by what is appended to it, and not much more: 10,000 entries of 1 KB
// are 10 MB, in the file and its write-ahead log at most twice that.
func TestSessionLogGrowth(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	db := open(t, path, &sqlite.Options{NoSync: true})
	before := size(path)
	converse(t, db, 10_000)
	mustClose(t, db)
	if grown := size(path) - before; grown > 20_000_000 {
		t.Errorf("the file has grown by %d bytes", grown)
	} else {
		t.Logf("the file has grown by %d bytes", grown)
	}
}

// BenchmarkAppend compares the cost of the last thousand entries of a log of ten
// thousand with that of the first thousand.
func BenchmarkAppend(b *testing.B) {
	printVersion()
	var first, last []time.Duration
	for range b.N {
		spent := converse(b, open(b, newPath(b), &sqlite.Options{NoSync: true}), 10_000)
		first, last = append(first, spent[:1000]...), append(last, spent[9000:]...)
	}
	middle := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2].Nanoseconds()) / 1e3
	}
	b.ReportMetric(middle(first), "first-µs")
	b.ReportMetric(middle(last), "last-µs")
	b.ReportMetric(middle(last)/middle(first), "last-x")
	b.ReportMetric(0, "ns/op")
}
