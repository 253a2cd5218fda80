package logvfs_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/seed-c8812374/nexus/internal/logvfs"
)

const plain = "unix" // the system's VFS

// open returns a connection to a database in WAL mode, which syncs nothing and
// copies its log into the database only when told to. With a cache of a few pages it
// writes to the log before it commits.
func open(t rapid.TB, path, vfs string, cachePages int) *sqlite.Conn {
	t.Helper()
	c := connect(t, path, "vfs="+vfs)
	exec(t, c, "PRAGMA journal_mode = WAL")
	exec(t, c, "PRAGMA wal_autocheckpoint = 0")
	exec(t, c, "PRAGMA synchronous = OFF")
	exec(t, c, fmt.Sprintf("PRAGMA cache_size = %d", cachePages))
	return c
}

func connect(t rapid.TB, path, options string) *sqlite.Conn {
	t.Helper()
	c, err := sqlite.OpenConn("file:"+path+"?"+options, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenURI)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func held(t rapid.TB) string {
	t.Helper()
	vfs, err := logvfs.Name()
	if err != nil {
		t.Fatal(err)
	}
	return vfs
}

func exec(t rapid.TB, c *sqlite.Conn, sql string, args ...any) {
	t.Helper()
	if err := sqlitex.ExecuteTransient(c, sql, &sqlitex.ExecOptions{Args: args}); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func text(t rapid.TB, c *sqlite.Conn, sql string) (s string) {
	t.Helper()
	err := sqlitex.ExecuteTransient(c, sql, &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error { s += row.ColumnText(0); return nil },
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return s
}

// create makes the table that the tests are about.
func create(t rapid.TB, c *sqlite.Conn) {
	t.Helper()
	exec(t, c, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
	exec(t, c, "CREATE INDEX t_v ON t (v)")
}

// contents says everything that is in the table, as its rows have it and as its index has it.
const contents = `
		SELECT (SELECT group_concat(id || v) FROM (SELECT * FROM t NOT INDEXED ORDER BY id))
			|| '|' || (SELECT group_concat(v || id) FROM (SELECT * FROM t INDEXED BY t_v ORDER BY v, id))`

func checkSame(t rapid.TB, when, want string, c *sqlite.Conn) {
	t.Helper()
	if got := text(t, c, "PRAGMA integrity_check"); got != "ok" {
		t.Fatalf("%s the database is damaged: %s", when, got)
	}
	if got := text(t, c, contents); got != want {
		t.Fatalf("%s there are %d bytes of rows, not %d:\n%.300s\nnot\n%.300s", when, len(got), len(want), got, want)
	}
}

// crashed opens what a process that is killed now leaves behind: the database and
// its log, without the index of that.
func crashed(t rapid.TB, path string) *sqlite.Conn {
	t.Helper()
	left := path + ".left"
	for _, end := range []string{"", "-wal"} {
		from, err := os.Open(path + end)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		to, err := os.Create(left + end)
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		if _, err := io.Copy(to, from); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(left + "-shm"); err != nil {
		t.Fatal(err)
	}
	return open(t, left, plain, 1000)
}

// TestLikeThePlainOne has two connections write to one file in turns, one with the
// VFS and one without, and a third database with the same statements as a model. What
// is committed is there for both at once, and after a crash; what is rolled back is not.
func TestLikeThePlainOne(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		cache := rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "pages of cache")
		writers := []*sqlite.Conn{open(t, path, held(t), cache), open(t, path, plain, cache)}
		model := open(t, filepath.Join(dir, fmt.Sprint(n, " model")), plain, 1000)
		for _, c := range []*sqlite.Conn{writers[0], writers[1], model} {
			defer c.Close()
		}
		create(t, writers[0])
		create(t, model)
		for range rapid.IntRange(1, 12).Draw(t, "transactions") {
			w := writers[rapid.IntRange(0, 3).Draw(t, "writer")/3] // three of four with the VFS
			both := func(sql string, args ...any) {
				exec(t, w, sql, args...)
				exec(t, model, sql, args...)
			}
			both("BEGIN IMMEDIATE")
			for range rapid.IntRange(0, 8).Draw(t, "statements") {
				id, many := rapid.IntRange(0, 3000).Draw(t, "id"), rapid.SampledFrom([]int{1, 30, 900}).Draw(t, "rows")
				switch rapid.IntRange(0, 4).Draw(t, "statement") {
				case 0, 1:
					both(`WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 7 FROM n WHERE i < ?1 + 7 * ?2)
						INSERT OR REPLACE INTO t SELECT i, printf('%d %0200d', i * 31 % 1009, ?1) FROM n`, id, many)
				case 2:
					both("UPDATE t SET v = v || id WHERE id BETWEEN ? AND ?", id, id+many)
				case 3:
					both("DELETE FROM t WHERE id BETWEEN ? AND ?", id, id+many)
				case 4:
					both("SAVEPOINT s")
					both("UPDATE t SET v = 'undone' WHERE id BETWEEN ? AND ?", id, id+many)
					both("ROLLBACK TO s")
					both("RELEASE s")
				}
			}
			both(rapid.SampledFrom([]string{"COMMIT", "COMMIT", "ROLLBACK"}).Draw(t, "end"))
			want := text(t, model, contents)
			for i, c := range writers {
				checkSame(t, fmt.Sprintf("for connection %d", i), want, c)
			}
			left := crashed(t, path)
			checkSame(t, "after a crash", want, left)
			if err := left.Close(); err != nil {
				t.Fatal(err)
			}
			switch rapid.IntRange(0, 5).Draw(t, "log") {
			case 0:
				text(t, w, "PRAGMA wal_checkpoint(RESTART)")
			case 1:
				text(t, w, "PRAGMA wal_checkpoint(TRUNCATE)")
			}
		}
	})
}

// many is three hundred rows, some forty pages.
const many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO t SELECT i, ? || printf('%0400d', i) FROM n"

// TestRolledBack: what was held back of a transaction that was rolled back never gets
// into the log, where another has written since.
func TestRolledBack(t *testing.T) {
	for _, mode := range []string{"NORMAL", "EXCLUSIVE"} {
		t.Run(mode, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			one := open(t, path, held(t), 1)
			defer one.Close()
			create(t, one)
			exec(t, one, "PRAGMA wal_checkpoint(FULL)")
			exec(t, one, "PRAGMA locking_mode = "+mode)
			exec(t, one, "BEGIN IMMEDIATE")
			exec(t, one, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15) INSERT INTO t SELECT i, printf('%03000d', i) FROM n")
			exec(t, one, "ROLLBACK")
			exec(t, one, "PRAGMA locking_mode = NORMAL")
			exec(t, one, "SELECT count(*) FROM t")
			other := open(t, path, plain, 1000)
			defer other.Close()
			exec(t, other, many, "other")
			want := text(t, other, contents)
			checkSame(t, "after the other's commit", want, one)
			left := crashed(t, path)
			defer left.Close()
			checkSame(t, "after a crash", want, left)
		})
	}
}

// TestFullDiskWhileReading: what is held back does not have to be written for a read, which
// could fail, and the transaction go on as if it had been.
func TestFullDiskWhileReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	c, other := open(t, path, held(t), 5), open(t, path, plain, 1000)
	defer c.Close()
	defer other.Close()
	create(t, c)
	exec(t, c, "CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT, u INTEGER UNIQUE)")
	exec(t, c, "BEGIN IMMEDIATE")
	exec(t, c, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25) INSERT INTO u SELECT i, printf('%03000d', i), i FROM n")
	exec(t, c, "SAVEPOINT s")
	logvfs.FailWrites(t, int32(sqlite.ResultFull))
	err := sqlitex.ExecuteTransient(c, "UPDATE u SET u = u + 1000 WHERE id BETWEEN 18 AND 22", nil)
	logvfs.FailWrites(t, 0)
	if err == nil {
		t.Fatal("the disk was full, and nothing failed; then this test says nothing")
	}
	if !c.AutocommitEnabled() {
		exec(t, c, "ROLLBACK TO s")
		exec(t, c, "RELEASE s")
		exec(t, c, "COMMIT")
	}
	exec(t, c, many, "after")
	want, rows := text(t, c, contents), text(t, c, "SELECT count(*) || ' ' || coalesce(sum(length(v)), 0) FROM u")
	left := crashed(t, path)
	defer left.Close()
	for when, c := range map[string]*sqlite.Conn{"for another": other, "after a crash": left} {
		checkSame(t, when, want, c)
		if got := text(t, c, "SELECT count(*) || ' ' || coalesce(sum(length(v)), 0) FROM u"); got != rows {
			t.Errorf("%s there are %s rows and bytes, not %s", when, got, rows)
		}
	}
}

// TestPadded: where SQLite writes pages in pieces, a piece can be as long as a header.
func TestPadded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	c, other := connect(t, path, "psow=0&vfs="+held(t)), connect(t, path, "vfs="+plain)
	defer c.Close()
	defer other.Close()
	for _, pragma := range []string{"page_size = 512", "journal_mode = WAL", "wal_autocheckpoint = 0", "synchronous = FULL"} {
		exec(t, c, "PRAGMA "+pragma)
	}
	create(t, c)
	for i := range 200 {
		exec(t, c, "INSERT INTO t VALUES (?1, zeroblob(60 + ?1 % 4 * 90))", i)
		checkSame(t, fmt.Sprintf("after %d commits", i+1), text(t, c, contents), other)
	}
}
