package drift_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/tools/drift"
)

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		edits []edit
		want  string
	}{
		"a new column without a value": {
			[]edit{with("tasks", store.Column{Name: "owner", Type: "TEXT"})},
			"tasks.owner is NOT NULL and has no default",
		},
		"NOT NULL without a value": {
			[]edit{with("tasks", store.Column{Name: "description", Type: "TEXT"})},
			"tasks.description becomes NOT NULL and has no default",
		},
		"what cannot be brought back": {
			[]edit{without("tasks", "name")},
			"tasks.name is NOT NULL and has no default: once dropped, it cannot be brought back",
		},
		"a column in an index": {
			[]edit{without("tasks", "plan_key")},
			"write this migration by hand",
		},
		"a column in a foreign key": {
			[]edit{without("tasks", "feature_id")},
			"write this migration by hand",
		},
		"a column in a trigger": {
			[]edit{without("agents", "revision")},
			"write this migration by hand",
		},
		"a column in a trigger, while the table is rebuilt": {
			[]edit{without("agents", "revision"), with("agents", store.Column{Name: "branch_name", Type: "INTEGER", Nullable: true})},
			"write this migration by hand",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			_, err := drift.Write(t.Context(), folder, "change", wanted(test.edits...))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
			t.Log(err)
			if files, _ := os.ReadDir(folder); len(files) > 0 {
				t.Errorf("it wrote %s", files[0].Name())
			}
		})
	}
}

func TestWriteNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", " ", "a b", "../a", "a/b", "A", "a-b", "_a", "a.sql", "ä"} {
		_, err := drift.Write(t.Context(), t.TempDir(), name, drift.Wanted())
		if err == nil || !strings.Contains(err.Error(), "lower-case words") {
			t.Errorf("name %q: error %v", name, err)
		}
	}
}

func TestWriteNothing(t *testing.T) {
	t.Parallel()
	path, err := drift.Write(t.Context(), t.TempDir(), "change", drift.Wanted())
	if path != "" || err != nil {
		t.Errorf("it returned %q, %v without a difference", path, err)
	}
}

func TestWriteNumbers(t *testing.T) {
	t.Parallel()
	more := wanted(with("tasks", store.Column{Name: "owner", Type: "TEXT", Nullable: true}))
	folder := t.TempDir()
	for _, name := range []string{"00001_a.sql", "00009_b.sql", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"00010_same.sql", "00011_same.sql"} {
		path, err := drift.Write(t.Context(), folder, "same", more)
		if err != nil || path != filepath.Join(folder, want) {
			t.Errorf("it wrote %s, %v, want %s", path, err, want)
		}
	}

	if err := os.WriteFile(filepath.Join(folder, "unnumbered.sql"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := drift.Write(t.Context(), folder, "same", more); err == nil || !strings.Contains(err.Error(), "unnumbered.sql") {
		t.Errorf("with a file without a number: error %v", err)
	}
	if _, err := drift.Write(t.Context(), filepath.Join(folder, "none"), "same", more); err == nil {
		t.Error("no error in a folder that does not exist")
	}
}
