// Package sqlite keeps a Nexus database in one SQLite file.
//
// [Open] creates or upgrades the file and returns a *store.DB, through which
// everything else is done. The package is the store's driver on
// zombiezen.com/go/sqlite; it knows nothing of projects and tasks.
//
// A process writes through one connection, behind a commit queue that lets
// concurrent writes share one commit, and reads through others, which never
// wait. Between processes SQLite's own locks decide, and whoever has to wait is
// patient: no caller sees SQLITE_BUSY unless a transaction elsewhere stays open
// for longer than [Options].Patience.
//
// A program that has connections of zombiezen's own must not close one while Nexus may open
// one, as it does in [Open] and whenever more is read at a time than before: zombiezen
// v1.4.2 forgets what belongs to a closed connection by its address, too late.
package sqlite
