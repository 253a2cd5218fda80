package postgres_test

import (
	"testing"

	"github.com/seed-c8812374/nexus/storetest/linear"
)

func init() { children["linearize"] = linear.Child(linearized) }

func TestLinearizableProcesses(t *testing.T) {
	t.Parallel()
	linear.RunProcesses(t, linearized, "linearize")
}
