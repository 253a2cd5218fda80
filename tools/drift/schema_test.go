package drift_test

import (
	"testing"

	"github.com/seed-c8812374/nexus/tools/drift"
)

// The columns in the Go code are those that the migrations make.
func TestSchema(t *testing.T) {
	t.Parallel()
	differences, err := drift.Differences(t.Context(), drift.Wanted())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		t.Errorf("%s; run make migration NAME=…", d)
	}
}
