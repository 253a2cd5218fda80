package sqlite_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus/sqlite"
)

// childTortureMigrate opens the database at args[0] when the parent says so, and
// closes it. Its log of statements is beside its journal.
func childTortureMigrate(args []string) error {
	x, err := newTortured(args)
	if err != nil {
		return err
	}
	if x.log, err = os.Create(args[1] + ".log"); err != nil {
		return err
	}
	say("ready")
	awaitParent()
	if err := x.phase("open", x.open); err != nil {
		return err
	}
	say("%d", x.statements.Load())
	return x.phase("close", x.close)
}

// quiet keeps the paths of backups out of the test's output.
var quiet = &sqlite.Options{Logger: slog.New(slog.DiscardHandler)}

// oldDatabase makes a database of schema version 2 with some thousand rows, and
// returns the file.
func oldDatabase(t *testing.T, folder string) (path string) {
	t.Helper()
	path = filepath.Join(folder, "old", "nexus.db")
	db := open(t, path, nil)
	shapes[1].fill(t, db, 3000)
	mustClose(t, db)
	script(t, path, `
		UPDATE tasks SET status = 'completed' WHERE rowid <= 900;
		INSERT INTO metrics (id, project_id, type, value, timestamp) SELECT 'm' || id, 'p', 'cost_usd', 1, 1 FROM tasks`)
	for {
		reverted, err := sqlite.MigrateDown(background, path, quiet, false)
		mustSucceed(t, err)
		if reverted[0].Version == 3 {
			return path
		}
	}
}

// contractRows returns the rows of the tables as other programs know them.
func contractRows(t testing.TB, path string) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for table, columns := range contractColumns {
		all[table] = rows(t, path, "SELECT rowid, "+columns+" FROM "+table+" ORDER BY rowid")
	}
	return all
}

// latest is the version of the schema that this program makes.
const latest = "11"

func versionOf(t testing.TB, path string) string {
	t.Helper()
	_, version, _ := strings.Cut(rows(t, path, "SELECT max(version_id) FROM nexus_migrations")[0], ":")
	return strings.Trim(version, `" `)
}

// migrationPhase reads in the log of a migration how far it came.
func migrationPhase(t testing.TB, journal string) string {
	t.Helper()
	text, err := os.ReadFile(journal + ".log")
	mustSucceed(t, err)
	log := string(text)
	changing := strings.Index(log, "ALTER TABLE")
	switch {
	case strings.Contains(log, "sql=COMMIT"):
		return "after the commit"
	case !strings.Contains(log, "BEGIN IMMEDIATE"):
		return "before it"
	case changing < 0:
		return "count and backup"
	case strings.LastIndex(log, "pragma_foreign_key_check") > changing:
		return "commit"
	default:
		return "changes"
	}
}

// tortureMigrations kills processes that migrate a database from schema version 2 to
// 3. It is at the one or the other, with all its rows, and the next one migrates it.
func tortureMigrations(t *testing.T, rng *rand.Rand, kills int) {
	folder := tortureFolder(t)
	old := oldDatabase(t, folder)
	before := contractRows(t, old)
	bytes := content(t, old)
	phases, versions := tally{}, tally{}
	killed, rounds, count := 0, 0, 0
	for ; killed < kills && !t.Failed(); rounds++ {
		path := filepath.Join(folder, fmt.Sprint(rounds), "nexus.db")
		mustSucceed(t, os.Mkdir(filepath.Dir(path), 0o700))
		mustSucceed(t, os.WriteFile(path, bytes, 0o600))
		number := []int{1, 1, 1, 2, 3}[rng.IntN(5)]
		doomed := 1 + rng.IntN(number)
		if rounds == 0 {
			doomed = 0 // how many statements are there?
		}
		var all []*process
		for i := range number {
			var o order
			if i < doomed {
				o = order{Kind: statements, Left: 1 + rng.IntN(count), Die: true, Delay: randomDelay(rng)}
				if rng.IntN(4) == 0 { // as it is long
					o.Delay *= 10
				}
			}
			all = append(all, start(t, "", "torture-migrate", path, journalOf(path, i), fmt.Sprintf("p%d", i), asJSON(o)))
		}
		for _, p := range all {
			p.Line()
		}
		for _, p := range all {
			p.GoOn()
		}
		dead := 0
		for i, p := range all {
			output, err := p.End()
			switch {
			case i < doomed && !p.Cmd.ProcessState.Exited():
				dead++
				phases[migrationPhase(t, journalOf(path, i))]++
			case err != nil:
				t.Errorf("round %d: %v", rounds, err)
			case rounds == 0:
				if n, err := strconv.Atoi(strings.TrimSpace(output)); err == nil {
					count = max(count, n)
				}
			}
		}
		killed += dead
		found := lookAtMigrated(t, path, before)
		versions["left at "+found]++
		if found != latest && (found != "2" || dead < len(all)) {
			t.Errorf("round %d: version %s", rounds, found)
		}
	}
	t.Logf("%d kills in %d rounds, in any of %d statements; under way when killed: %v; %v", killed, rounds, count, phases, versions)
}

func journalOf(path string, i int) string { return fmt.Sprintf("%s.%d.journal", path, i) }

// lookAtMigrated returns the version of the schema at which a migration was killed,
// and checks that no row is lost, now and after the next migration.
func lookAtMigrated(t *testing.T, path string, want map[string][]string) (version string) {
	t.Helper()
	// First as others see it, and as it was left: in a copy.
	seen := filepath.Join(filepath.Dir(path), "seen", "nexus.db")
	mustSucceed(t, os.Mkdir(filepath.Dir(seen), 0o700))
	for _, part := range []string{"", "-wal"} {
		if size(path+part) > 0 {
			mustSucceed(t, os.WriteFile(seen+part, content(t, path+part), 0o600))
		}
	}
	version = versionOf(t, seen)
	mustEqual(t, contractRows(t, seen), want)
	if found := rows(t, seen, "PRAGMA integrity_check"); len(found) != 1 || !strings.Contains(found[0], `:"ok"`) {
		t.Errorf("%s: %v", seen, found)
	}
	// The backups are whole, but for one that says that it is not.
	for _, name := range beside(t, path) {
		if strings.Contains(name, "backup") && !strings.Contains(name, ".partial") {
			mustEqual(t, contractRows(t, filepath.Join(filepath.Dir(path), name)), want)
		}
	}

	db, err := sqlite.Open(background, path, quiet)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, problem := range soundness(db) {
		t.Errorf("%s: %s", path, problem)
	}
	mustClose(t, db)
	mustEqual(t, contractRows(t, path), want)
	if now := versionOf(t, path); now != latest {
		t.Errorf("%s: version %s", path, now)
	}
	return version
}
