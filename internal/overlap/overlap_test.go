package overlap_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-c8812374/nexus/internal/overlap"
)

// Batches are used in their order, each once, and are not filled while they are used.
func TestOrder(t *testing.T) {
	var used []int
	s := overlap.New(func(b *[]int) error {
		used = append(used, *b...)
		*b = (*b)[:0]
		return nil
	}, new([]int), new([]int))
	var put []int
	for n := range 1000 {
		b := s.Get()
		if len(*b) != 0 {
			t.Fatalf("batch %d is not empty: %v", n, *b)
		}
		for range n % 4 {
			*b, put = append(*b, n), append(put, n)
		}
		if err := s.Put(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil || !slices.Equal(used, put) {
		t.Errorf("used were %d of %d, or in another order; %v", len(used), len(put), err)
	}
}

// What takes a second to fill and a second to use takes a second.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := overlap.New(func(int) error {
			time.Sleep(time.Second)
			return nil
		}, 1, 2)
		start := time.Now()
		for range 10 {
			b := s.Get()
			time.Sleep(time.Second)
			if err := s.Put(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil || time.Since(start) != 11*time.Second {
			t.Errorf("it took %v; %v", time.Since(start), err)
		}
	})
}

// After an error nothing more is used, and whoever fills batches is told, but not kept
// waiting.
func TestError(t *testing.T) {
	fails := errors.New("fails")
	calls := 0
	s := overlap.New(func(*int) error {
		if calls++; calls == 3 {
			return fails
		}
		return nil
	}, new(int), new(int))
	var err error
	for err == nil {
		err = s.Put(s.Get())
	}
	for range 5 {
		if again := s.Put(s.Get()); !errors.Is(again, fails) {
			t.Errorf("a later Put returns %v", again)
		}
	}
	if end := s.Close(); !errors.Is(err, fails) || !errors.Is(end, fails) || calls != 3 {
		t.Errorf("Put returned %v and Close %v after %d calls", err, end, calls)
	}
	unused := overlap.New(func(*int) error { return fails }, new(int))
	if err := unused.Close(); err != nil {
		t.Error(err)
	}
}
