package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus/sqlite"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// servedKinds are writes that may run on any goroutine, and what becomes of them.
var servedKinds = map[string]struct {
	after func(ctx context.Context, c driver.Conn, id string) error // it has written the id
	want  string
}{
	"write": {func(context.Context, driver.Conn, string) error { return nil }, ""},
	"error": {func(context.Context, driver.Conn, string) error { return errOnPurpose }, "on purpose"},
	"panic": {func(context.Context, driver.Conn, string) error { panic("in a panic") }, "panic: in a panic"},
	"cancelled": {func(ctx context.Context, c driver.Conn, id string) error {
		_, err := c.Exec(ctx, endless, driver.Text(id))
		return err
	}, "context deadline exceeded"},
}

// Writes whose work another goroutine does end as if each had run on its own: what
// panics does so there, and what fails takes nothing of the others along.
func TestServedWrites(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	shared, err := sqlite.OpenDriver(background, path, nil)
	mustSucceed(t, err)
	db := store.New(shared, time.Now, nil)
	insert := func(ctx context.Context, id string, after func(context.Context, driver.Conn, string) error) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return shared.WriteAnywhere(ctx, func(c driver.Conn) error {
			const sql = `INSERT INTO projects (id, name, mode, status, root_path, created_at, updated_at)
				VALUES ($1, 'n', 'genesis', 'pending', '/', 0, 0)`
			if _, err := c.Exec(ctx, sql, driver.Text(id)); err != nil {
				return err
			}
			return after(ctx, c, id)
		})
	}
	for round := range 20 {
		hold, held := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() { // the others come to wait for this one, which serves them
			err := shared.Write(background, func(driver.Conn) error {
				select {
				case <-hold:
				default:
					close(held)
					<-hold
				}
				return nil
			})
			if err != nil {
				t.Errorf("the one that serves: %v", err)
			}
		})
		<-held
		for i := range 4 {
			for name, kind := range servedKinds {
				all.Go(func() {
					ctx, cancel := context.WithTimeout(background, time.Hour)
					defer cancel()
					if name == "cancelled" {
						ctx, cancel = context.WithTimeout(background, 30*time.Millisecond)
						defer cancel()
					}
					err := insert(ctx, fmt.Sprintf("%s-%d-%d", name, round, i), kind.after)
					if (err == nil) != (kind.want == "") || err != nil && !strings.Contains(err.Error(), kind.want) {
						t.Errorf("%s: %v, want %q", name, err, kind.want)
					}
					if name == "cancelled" && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
		}
		time.Sleep(5 * time.Millisecond) // most of them are in the queue
		close(hold)
		withoutHanging(t, all.Wait)
	}
	got := projectIDs(t, db)
	if len(got) != 20*4 {
		t.Errorf("%d projects, want %d", len(got), 20*4)
	}
	for id := range got {
		if !strings.HasPrefix(id, "write-") {
			t.Errorf("%s is there", id)
		}
	}
	mustClose(t, db)
	mustBeSound(t, path)
}
