package drift_test

import (
	"slices"
	"testing"

	"github.com/seed-c8812374/nexus/store"
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

// What triggers keep is not in the Go columns. That it is not forgotten, on
// either side, is noticed all the same.
func TestDerivedColumns(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		edit edit
		want []string
	}{
		"forgotten in Go": {without("tasks", "open_dependencies"), []string{"tasks.open_dependencies: in the database, not in the Go columns"}},
		"of another type": {
			with("tasks", store.Column{Name: "open_dependencies", Type: "TEXT", Nullable: true}),
			[]string{"tasks.open_dependencies: TEXT in the Go columns, INTEGER NOT NULL DEFAULT 0 in the database"},
		},
		"forgotten in a migration": {
			with("features", store.Column{Name: "open_tasks", Type: "INTEGER", Default: "0"}),
			[]string{"features.open_tasks: in the Go columns, not in the database"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			differences, err := drift.Differences(t.Context(), wanted(change.edit))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(differences, change.want) {
				t.Errorf("the differences are %q, want %q", differences, change.want)
			}
		})
	}
}
