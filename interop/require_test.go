package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// requireAll is the environment variable that, set to 1, makes a test fail where
// it would be skipped because a program is missing. CI sets it.
const requireAll = "NEXUS_TEST_REQUIRE_ALL"

// missing ends a test that cannot run on this machine.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	message := fmt.Sprintf(format, args...)
	if os.Getenv(requireAll) == "1" {
		t.Fatalf("%s (%s=1)", message, requireAll)
	}
	t.Skipf("NOT TESTED: %s", message)
}

// program returns the path of a program that the test runs.
func program(t testing.TB, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "%s is not installed; install it with: %s", name, install)
	}
	return path
}
