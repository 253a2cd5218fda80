package sqlite_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-c8812374/nexus/sqlite"
)

// childTortureMigrate opens the database at args[0] when the parent says so. Every
// statement goes to a journal at args[1] after it has run.
func childTortureMigrate(args []string) error {
	j, err := openJournal(args[1])
	if err != nil {
		return err
	}
	options := &sqlite.Options{Debug: true, Logger: slog.New(slog.NewTextHandler(j.file, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	say("ready")
	awaitParent()
	db, err := sqlite.Open(background, args[0], options)
	if err != nil {
		return err
	}
	_, err = j.file.WriteString("open\n")
	return errors.Join(err, db.Close())
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

func versionOf(t testing.TB, path string) string {
	t.Helper()
	_, version, _ := strings.Cut(rows(t, path, "SELECT max(version_id) FROM nexus_migrations")[0], ":")
	return strings.TrimSpace(version)
}

// migrationPhase reads in the journal of a migration how far it came.
func migrationPhase(t testing.TB, journal string) string {
	t.Helper()
	text, err := os.ReadFile(journal)
	mustSucceed(t, err)
	log := string(text)
	began := strings.LastIndex(log, "BEGIN IMMEDIATE")
	changing := strings.Index(log, "ALTER TABLE")
	checked := strings.LastIndex(log, "pragma_foreign_key_check")
	switch {
	case strings.HasSuffix(log, "open\n"):
		return "close"
	case strings.Contains(log, "sql=COMMIT"):
		return "after the commit"
	case began < 0:
		return "before it"
	case changing < 0:
		return "count and backup"
	case checked > changing:
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
	killed, rounds := 0, 0
	var spent time.Duration
	for ; killed < kills && !t.Failed(); rounds++ {
		path := filepath.Join(folder, fmt.Sprint(rounds), "nexus.db")
		mustSucceed(t, os.Mkdir(filepath.Dir(path), 0o700))
		mustSucceed(t, os.WriteFile(path, bytes, 0o600))
		var all []*process
		for i := range []int{1, 1, 1, 2, 3}[rng.IntN(5)] {
			all = append(all, start(t, "", "torture-migrate", path, journalOf(path, i)))
		}
		for _, p := range all {
			p.line()
		}
		began := time.Now()
		for _, p := range all {
			p.goOn()
		}
		doomed := all[:1+rng.IntN(len(all))]
		if rounds == 0 {
			doomed = nil // how long does it take?
		}
		time.Sleep(time.Duration(rng.Float64() * float64(spent)))
		for _, p := range doomed {
			_ = p.cmd.Process.Kill()
		}
		for i, p := range all {
			if _, err := p.end(); err != nil && i >= len(doomed) {
				t.Errorf("round %d: %v", rounds, err)
			}
			if i < len(doomed) && !p.cmd.ProcessState.Exited() {
				killed++
				phases[migrationPhase(t, journalOf(path, i))]++
			}
		}
		if rounds == 0 {
			spent = time.Since(began)
		}
		found := lookAtMigrated(t, path, before)
		versions["left at "+found]++
		if found != `"2"` && found != `"3"` || found == `"2"` && len(doomed) < len(all) {
			t.Errorf("round %d: version %s", rounds, found)
		}
	}
	t.Logf("%d kills in %d rounds; under way when killed: %v; %v", killed, rounds, phases, versions)
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
	if now := versionOf(t, path); now != `"3"` {
		t.Errorf("%s: version %s", path, now)
	}
	return version
}
