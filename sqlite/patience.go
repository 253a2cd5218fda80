package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-c8812374/nexus"
)

// Waits between two attempts to get a lock that another process holds. A commit
// takes a fraction of a millisecond, so the first waits are short; chance keeps
// processes from waking together.
const (
	firstWait   = 100 * time.Microsecond
	longestWait = 2 * time.Millisecond
)

// patiently runs attempt again while another process holds the lock that it
// needs. It gives up when ctx ends, or after patience.
func patiently(ctx context.Context, patience time.Duration, attempt func() error) error {
	return patientlySince(ctx, time.Now(), patience, attempt)
}

// patientlySince is patiently for who has been waiting since then. There is one
// attempt in any case.
func patientlySince(ctx context.Context, since time.Time, patience time.Duration, attempt func() error) error {
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := attempt()
		if nexus.CodeOf(err) != nexus.CodeBusy {
			return err
		}
		if time.Since(since) > patience {
			return &nexus.Error{
				Code:    nexus.CodeBusy,
				Message: fmt.Sprintf("another program has held the database's write lock for %v", patience),
				Hint:    "nothing was changed; find the program that keeps a transaction open, then try again",
				Err:     err,
			}
		}
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return canceled(ctx)
		}
	}
}
