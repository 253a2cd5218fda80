// Command modernc is database/sql on modernc.org/sqlite, SQLite's C code
// translated to Go: what Nexus stands on as well, but through database/sql.
package main

import (
	"database/sql"
	"fmt"

	_ "modernc.org/sqlite"

	"github.com/seed-c8812374/nexus/bench/contract"
	"github.com/seed-c8812374/nexus/bench/peer"
)

func main() { peer.ServeTables(open) }

func open(path, synchronous string) (peer.Tables, error) {
	db, err := sql.Open("sqlite", fmt.Sprintf(
		"file:%s?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(%s)&_pragma=foreign_keys(1)&_txlock=immediate",
		path, synchronous))
	if err != nil {
		return nil, err
	}
	// With more connections its writers would be told that the database is locked.
	db.SetMaxOpenConns(1)
	return contract.NewDatabase(db, "modernc.org/sqlite")
}
