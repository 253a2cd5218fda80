package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/sqlite"
)

// While it watches, the file follows the database, also through a link, and
// nothing but its end ends it.
func TestStateWatch(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db, err := sqlite.Open(t.Context(), filepath.Join(folder, "nexus.db"), &sqlite.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Projects.Create(t.Context(), &nexus.Project{ID: "p", Name: "Shop", RootPath: "/"}); err != nil {
		t.Fatal(err)
	}
	real, link := filepath.Join(folder, "real.md"), filepath.Join(folder, "STATE.md")
	if err := os.WriteFile(real, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	x := &stateExport{app: &app{Env: Env{Out: &out}}, db: db, project: "p", file: link, interval: 5 * time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- x.watch(ctx) }()
	says := func(want string) {
		t.Helper()
		for range 1000 {
			if text, err := os.ReadFile(real); err == nil && strings.Contains(string(text), want) {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Errorf("the file does not say %q", want)
	}
	says("0 of 0 tasks")
	if err := db.Tasks.Create(t.Context(), &nexus.Task{ID: "t", ProjectID: "p", Name: "n"}); err != nil {
		t.Fatal(err)
	}
	says("0 of 1 tasks")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := strings.Count(out.String(), "Wrote "); n != 2 || strings.Contains(out.String(), "Nothing") {
		t.Errorf("it says:\n%s", out.String())
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if files, _ := filepath.Glob(filepath.Join(folder, ".*")); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}
