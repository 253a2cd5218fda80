// Package handle opens and closes connections of SQLite, one at a time. zombiezen keeps what
// belongs to a connection, such as its authorizer, by its address, and forgets it only after
// the connection is closed, when another may have been given that address: that one then
// crashes. All connections of a process have to come from here.
package handle

import (
	"sync"

	"zombiezen.com/go/sqlite"
)

var opening sync.Mutex // or closing

// Open is sqlite.OpenConn.
func Open(name string, flags sqlite.OpenFlags) (*sqlite.Conn, error) {
	opening.Lock()
	defer opening.Unlock()
	return sqlite.OpenConn(name, flags)
}

// Close is c.Close.
func Close(c *sqlite.Conn) error {
	opening.Lock()
	defer opening.Unlock()
	return c.Close()
}
