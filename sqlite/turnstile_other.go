//go:build !linux

package sqlite

import (
	"context"
	"time"
)

// turnstile lets the processes that write in one by one. Here the system has no
// locks to make it of, so that they find their way with patience alone.
type turnstile struct{}

func openTurnstile(string) *turnstile { return nil }

func (*turnstile) enter(context.Context, time.Duration) error { return nil }

func (*turnstile) leave() {}

func (*turnstile) close() {}

func (*turnstile) tellOfPause(time.Time) {}

func (*turnstile) pausedLately(time.Time) bool { return false }
