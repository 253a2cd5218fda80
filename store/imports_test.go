package store_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/seed-c8812374/nexus"

// TestImports proves the rule that imports point one way: a driver to store to
// nexus, and each only to what the design gives it. It asks for everything that
// is linked, so a detour through another package is found too.
func TestImports(t *testing.T) {
	t.Parallel()
	seam := []string{module, module + "/store/driver"}
	for _, rule := range []struct {
		of      string
		allowed []string // besides the standard library
	}{
		{module, []string{module}},
		{module + "/store/driver", seam},
		{module + "/store", append(
			seam, module+"/store", module+"/internal/overlap", module+"/internal/words",
			"golang.org/x/text/transform", "golang.org/x/text/unicode/norm", // of words
		)},
	} {
		for _, path := range dependencies(t, rule.of) {
			if !slices.Contains(rule.allowed, path) {
				t.Errorf("%s depends on %s", rule.of, path)
			}
		}
	}
	sqlite := dependencies(t, module+"/sqlite")
	for _, path := range sqlite {
		if strings.HasPrefix(path, "github.com/jackc/pgx") {
			t.Errorf("sqlite depends on %s", path)
		}
		if within := strings.HasPrefix(path, module+"/internal/cli"); within {
			t.Errorf("sqlite depends on %s", path)
		}
	}
	// Or else the test asks the wrong question.
	if !slices.Contains(sqlite, "zombiezen.com/go/sqlite") {
		t.Errorf("sqlite does not depend on its driver, but on %v", sqlite)
	}
}

// TestDriversApart has whoever imports one driver link nothing of the other.
func TestDriversApart(t *testing.T) {
	t.Parallel()
	postgres := dependencies(t, module+"/postgres")
	for _, path := range postgres {
		for _, other := range []string{module + "/sqlite", module + "/internal/cli", "zombiezen.com/", "modernc.org/"} {
			if strings.HasPrefix(path, other) {
				t.Errorf("postgres depends on %s", path)
			}
		}
	}
	if !slices.Contains(postgres, "github.com/jackc/pgx/v5/pgxpool") {
		t.Errorf("postgres does not depend on its driver, but on %v", postgres)
	}
}

// dependencies returns all packages that are linked with one, itself among them,
// without those of the standard library.
func dependencies(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", path).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", path, err)
	}
	return strings.Fields(string(out))
}
