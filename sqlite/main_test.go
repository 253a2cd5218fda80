package sqlite_test

import (
	"os"
	"testing"

	"github.com/seed-c8812374/nexus/internal/childtest"
)

// children are what other processes do in these tests.
var children = childtest.Children{
	"back-and-forth":    childBackAndForth,
	"back-up":           childBackUp,
	"cancel-nested":     childCancelNested,
	"close-together":    childCloseTogether,
	"hold-lock":         childHoldLock,
	"insert-waiting":    childInsertWaiting,
	"leave-wal":         childLeaveWAL,
	"migrate":           childMigrate,
	"nobody":            childNobody,
	"open-and-close":    childOpenAndClose,
	"open-and-write":    childOpenAndWrite,
	"open-at-once":      childOpenAtOnce,
	"read-twice":        childReadTwice,
	"relative-path":     childRelativePath,
	"restore":           childRestore,
	"search-until-kill": childSearchUntilKill,
	"torture":           childTorture,
	"torture-close":     childTortureClose,
	"torture-compact":   childTortureCompact,
	"torture-migrate":   childTortureMigrate,
	"torture-open":      childTortureOpen,
	"undo":              childUndo,
	"write-many":        childWriteMany,
	"write-until-kill":  childWriteUntilKill,
}

func TestMain(m *testing.M) {
	childtest.Main(children)
	os.Exit(m.Run())
}

const patient = childtest.Patient

// process is another process on the same files.
type process = childtest.Process

// start starts a child in folder, or in the current one if that is empty.
func start(t testing.TB, folder, child string, args ...string) *process {
	t.Helper()
	return childtest.Start(t, folder, child, args...)
}

func say(format string, args ...any) { childtest.Say(format, args...) }

func awaitParent() { childtest.AwaitParent() }
