// Command mattn is database/sql on github.com/mattn/go-sqlite3, which calls
// SQLite's C code through cgo.
package main

import (
	"database/sql"
	"fmt"

	_ "github.com/mattn/go-sqlite3"

	"github.com/seed-c8812374/nexus/bench/contract"
	"github.com/seed-c8812374/nexus/bench/peer"
)

func main() { peer.ServeTables(open) }

func open(path, synchronous string) (peer.Tables, error) {
	db, err := sql.Open("sqlite3", fmt.Sprintf(
		"file:%s?_journal_mode=WAL&_synchronous=%s&_foreign_keys=1&_busy_timeout=5000&_txlock=immediate", path, synchronous))
	if err != nil {
		return nil, err
	}
	// With more connections its writers would be told that the database is locked.
	db.SetMaxOpenConns(1)
	return contract.NewDatabase(db, "github.com/mattn/go-sqlite3")
}
