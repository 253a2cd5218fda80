package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

const pageSize = 4096

// newLarge makes a database of some hundred pages.
func newLarge(t testing.TB) (path string) {
	t.Helper()
	path = newDatabase(t)
	db := open(t, path, nil)
	var list []*nexus.Project
	for i := range 400 {
		p := project(fmt.Sprintf("p%03d", i))
		p.Description = strings.Repeat("x", 1000)
		list = append(list, p)
	}
	if err := db.Projects.CreateMany(background, list); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	return path
}

// useDamaged does everything with a damaged file, and returns the codes of what
// went wrong. Nothing may panic, and nothing may be a defect of ours.
func useDamaged(t *testing.T, path string) (codes []nexus.Code) {
	t.Helper()
	note := func(what string, err error) {
		if err == nil {
			return
		}
		code := nexus.CodeOf(err)
		codes = append(codes, code)
		if code == nexus.CodeInternal || code == nexus.CodeInvalid || code == nexus.CodeMigration {
			t.Errorf("%s: code %s: %v", what, code, err)
		}
		for _, dangerous := range []string{"delete", "remove", "rm "} {
			if strings.Contains(strings.ToLower(hintOf(err)), dangerous) {
				t.Errorf("%s: the hint destroys data: %s", what, hintOf(err))
			}
		}
	}
	_, err := sqlite.Migrations(background, path, nil)
	note("Migrations", err)
	db, err := sqlite.Open(background, path, nil)
	note("Open", err)
	if err != nil {
		return codes
	}
	_, err = db.Projects.List(background, nexus.ProjectFilter{})
	note("List", err)
	_, err = db.Projects.Get(background, "p200")
	note("Get", err)
	note("Create", db.Projects.Create(background, project("new")))
	_, err = db.Projects.Count(background, nexus.ProjectFilter{})
	note("Count", err)
	h, err := db.Health(background, true)
	note("Health", err)
	if err == nil && !h.OK() {
		codes = append(codes, nexus.CodeCorrupt)
	}
	note("Close", db.Close())
	return codes
}

func TestDamagedPages(t *testing.T) {
	t.Parallel()
	original := content(t, newLarge(t))
	pages := len(original) / pageSize
	if pages < 100 {
		t.Fatalf("only %d pages", pages)
	}
	// Overwritten in groups, so that not only leaves are hit.
	for first := 1; first < pages; first += max(1, pages/12) {
		for name, fill := range map[string]byte{"ones": 0xff, "zeros": 0} {
			t.Run(fmt.Sprintf("%s %d", name, first), func(t *testing.T) {
				t.Parallel()
				damaged := slices.Clone(original)
				end := min(first+3, pages)
				copy(damaged[first*pageSize:], bytes.Repeat([]byte{fill}, (end-first)*pageSize))
				path := newPath(t)
				if err := os.WriteFile(path, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				if codes := useDamaged(t, path); !slices.Contains(codes, nexus.CodeCorrupt) {
					t.Errorf("codes: %v; the damage is not noticed", codes)
				}
			})
		}
	}
}

func TestTruncatedFile(t *testing.T) {
	t.Parallel()
	original := content(t, newLarge(t))
	for _, keep := range []int{1, 15, 16, 99, 100, 511, 512, pageSize - 1, pageSize, pageSize + 1, 3 * pageSize, len(original) / 2, len(original) - pageSize} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			if err := os.WriteFile(path, original[:keep], 0o600); err != nil {
				t.Fatal(err)
			}
			if codes := useDamaged(t, path); len(codes) == 0 {
				t.Error("the damage is not noticed")
			}
		})
	}
}

// Opening a damaged file does not make the damage worse: it may be all there is.
func TestDamagedFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	original := content(t, newLarge(t))
	damaged := slices.Clone(original)
	copy(damaged[len(damaged)/2:], bytes.Repeat([]byte{0xff}, 4*pageSize))
	path := newPath(t)
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, path, nil)
	_, err := db.Projects.List(background, nexus.ProjectFilter{})
	wantCode(t, err, nexus.CodeCorrupt)
	mustClose(t, db)
	mustBe(t, path, damaged)
	// What a backup could be made of is still there.
	mustBeAlone(t, path)
}
