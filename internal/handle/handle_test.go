package handle_test

import (
	"errors"
	"sync"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus/internal/handle"
)

// TestTogether opens and closes many connections at once, each with an authorizer. With
// zombiezen's own functions one of them soon has none, and the process crashes.
func TestTogether(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				if err := use(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func use() error {
	c, err := handle.Open(":memory:", sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	allow := sqlite.AuthorizeFunc(func(sqlite.Action) sqlite.AuthResult { return sqlite.AuthResultOK })
	return errors.Join(c.SetAuthorizer(allow), sqlitex.ExecuteTransient(c, "SELECT 1", nil), handle.Close(c))
}
