package interop_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
)

// A database that Drizzle's migrator has made and a Drizzle program has filled
// becomes ours by being opened: every row stays as it was, and the program,
// which has it open all the time, goes on as if nothing had happened.
func TestDrizzleDatabaseIsAdopted(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"wal", "delete"} { // some programs turn WAL on, some do not
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			adopt(t, journal)
		})
	}
}

func adopt(t testing.TB, journal string) {
	path := filepath.Join(t.TempDir(), "nexus.db")
	d := startDrizzle(t, path)
	do[any](t, d, "sql", request{"text": "PRAGMA journal_mode = " + journal})
	do[any](t, d, "migrate", nil)
	rows := insertForeign(t, d).plus(nil)
	migrated := drizzleMigrations(t, d)
	if len(migrated) != 1 {
		t.Fatalf("Drizzle's migrator has recorded %v", migrated)
	}

	db := openNexus(t, path)
	mustEqual(t, "in the file after Nexus has opened it", rows, stored(t, db))
	mustEqual(t, "read through the services", foreignReadings(rows).plus(nil), typed(t, db))
	mustEqual(t, "read by Drizzle", rows, do[content](t, d, "read", nil))
	mustEqual(t, "related rows read by Drizzle", relations(rows), do[any](t, d, "relations", nil))
	mustEqual(t, "Drizzle's migrations", migrated, drizzleMigrations(t, d))
	checkModes(t, db)
	// Drizzle writes types in lower case, and the default of a boolean as false.
	checkSchema(t, db, func(want, got string) bool {
		return strings.EqualFold(want, got) || want == "0" && got == "false"
	})
	for table, list := range rows {
		for _, r := range list {
			mustRevise(t, db, table, r["id"].(string), 1)
		}
	}

	backups := backupsOf(t, path)
	if len(backups) != 1 {
		t.Fatalf("opening made the backups %v, want one", backups)
	}
	mustEqual(t, "read by Drizzle from the backup", rows, do[content](t, startDrizzle(t, backups[0]), "read", nil))

	// The program goes on, and so does Nexus.
	for _, table := range contract {
		change := foreignUpdates()[table.Name]
		rows = updated(rows, table.Name)
		do[any](t, d, "update", request{"table": table.Name, "id": change.id, "set": change.set})
		mustRevise(t, db, table.Name, change.id, 2)
	}
	rows = rows.plus(fillWithNexus(t, db))
	more := rows["agents"][0].with(row{"id": "after", "status": nil})
	delete(more, "status") // by the default
	do[any](t, d, "insert", request{"table": "agents", "row": more})
	rows = rows.plus(content{"agents": {more.with(row{"status": "idle"})}})
	mustEqual(t, "read by Drizzle after both have written", rows, do[content](t, d, "read", nil))
	mustEqual(t, "in the file after both have written", rows, stored(t, db))

	// The program starts again, and Nexus too: nothing more is to be done.
	schema, err := db.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.close(t)
	closeNexus(t, db)
	d = startDrizzle(t, path)
	do[any](t, d, "migrate", nil)
	mustEqual(t, "Drizzle's migrations", migrated, drizzleMigrations(t, d))
	mustEqual(t, "read by Drizzle after it has started again", rows, do[content](t, d, "read", nil))
	db = openNexus(t, path)
	again, err := db.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, "the schema", schema, again)
	mustEqual(t, "in the file after both have started again", rows, stored(t, db))
	mustEqual(t, "backups", backups, backupsOf(t, path))

	tables, added, err := db.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(tables, added...) {
		if strings.HasSuffix(name, "_migrations") {
			t.Errorf("Tables lists %s, a migrator's own", name)
		}
	}

	// Deleting works in the adopted tables, too, with its cascades.
	for _, id := range []string{"x-p1", "nexus-p1"} {
		if err := db.Projects.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	left := content{
		"projects": without(without(rows["projects"], "id", "x-p1"), "id", "nexus-p1"),
		"agents":   rows["agents"],
		"sessions": {find(rows["sessions"], "x-s2")},
	}
	mustEqual(t, "read by Drizzle after Nexus has deleted projects", left.plus(nil), do[content](t, d, "read", nil))
}

func drizzleMigrations(t testing.TB, d *drizzle) []row {
	t.Helper()
	return do[[]row](t, d, "sql", request{"text": "SELECT * FROM __drizzle_migrations"})
}

func backupsOf(t testing.TB, path string) []string {
	t.Helper()
	files, err := filepath.Glob(path + ".backup-*[Z0-9]")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The last program to close the file leaves only the file, whichever that is.
func TestNothingIsLeftBesideTheFile(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"Nexus", "Drizzle"} {
		t.Run(last, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "nexus.db")
			db := openNexus(t, path)
			if err := db.Projects.Create(t.Context(), &nexus.Project{ID: "p", Name: "n", RootPath: "/"}); err != nil {
				t.Fatal(err)
			}
			d := startDrizzle(t, path)
			do[any](t, d, "update", request{"table": "projects", "id": "p", "set": row{"name": "m"}})
			if last == "Nexus" {
				d.close(t)
				closeNexus(t, db)
			} else {
				closeNexus(t, db)
				d.close(t)
			}
			files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
			if err != nil {
				t.Fatal(err)
			}
			mustEqual(t, "files", []string{path}, files)
		})
	}
}
