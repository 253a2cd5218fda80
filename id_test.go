package nexus_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
)

const idDigits = "0123456789abcdefghjkmnpqrstvwxyz"

func TestNewIDForm(t *testing.T) {
	t.Parallel()
	letters := make(map[byte]nexus.Kind)
	for _, kind := range nexus.Kinds() {
		id := nexus.NewID(kind, clock)
		if len(id) != 16 || strings.Trim(id[1:], idDigits) != "" || id[0] < 'a' || id[0] > 'z' {
			t.Errorf("the id of a %s is %q", kind, id)
		}
		if other, taken := letters[id[0]]; taken {
			t.Errorf("ids of a %s and of a %s begin alike", kind, other)
		}
		letters[id[0]] = kind
	}
}

// TestNewIDTime reads the time back: ids of different processes sort by it.
func TestNewIDTime(t *testing.T) {
	t.Parallel()
	// Later than any other test's clock, which ids of one process never go
	// behind.
	now := time.Date(3000, 1, 1, 0, 0, 0, 123e6, time.UTC)
	id := nexus.NewID(nexus.KindTask, now)
	var millis int64
	for _, digit := range id[1:10] {
		millis = millis<<5 | int64(strings.IndexRune(idDigits, digit))
	}
	if got := time.UnixMilli(millis).UTC(); !got.Equal(now) {
		t.Errorf("%s was made at %v and says %v", id, now, got)
	}
	// Those of the same millisecond count up.
	for range 100 {
		next := nexus.NewID(nexus.KindTask, now)
		if next <= id || next[:10] != id[:10] {
			t.Fatalf("%s came after %s", next, id)
		}
		id = next
	}
}

// TestNewIDIncreases turns the clock forth and back.
func TestNewIDIncreases(t *testing.T) {
	t.Parallel()
	first, last := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2900, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	at := rapid.OneOf(rapid.Int64Range(first, last), rapid.Just(clock.Unix()))
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(nexus.Kinds()).Draw(t, "kind")
		before := ""
		for _, second := range rapid.SliceOfN(at, 2, 20).Draw(t, "seconds") {
			id := nexus.NewID(kind, time.Unix(second, 0))
			if id <= before {
				t.Fatalf("%s came after %s", id, before)
			}
			before = id
		}
	})
}

func TestNewIDConcurrently(t *testing.T) {
	t.Parallel()
	const goroutines, each = 32, 2000
	ids := make([][]string, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				now := clock.Add(time.Duration(i%7) * time.Millisecond) // the clock stutters
				ids[g] = append(ids[g], nexus.NewID(nexus.KindTask, now))
			}
		})
	}
	wg.Wait()
	var all []string
	for _, mine := range ids {
		if !slices.IsSorted(mine) {
			t.Error("the ids of one goroutine are not in order")
		}
		all = append(all, mine...)
	}
	slices.Sort(all)
	if distinct := len(slices.Compact(all)); distinct != goroutines*each {
		t.Errorf("%d ids of %d are distinct", distinct, goroutines*each)
	}
}
