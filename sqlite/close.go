package sqlite

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/seed-c8812374/nexus/internal/handle"
)

// The last connection to a file copies the write-ahead log into it and removes
// the log. SQLite finds out whether it is the last by asking for an exclusive
// lock; of two that ask in the same moment neither gets it, and the log stays.

// closing is held while the last connection of a DB is closed, so that the DBs of
// one process do not ask in the same moment.
var closing sync.Mutex

// closeLast closes the last connections of the DB, and sees to it that no log is
// left if nobody else has the file open.
func (d *db) closeLast(closeAll func() error) error {
	closing.Lock()
	defer closing.Unlock()
	err := closeAll()
	const attempts = 5
	for n := range attempts {
		if err != nil || !exists(d.path+"-wal") || openElsewhere(d.path) {
			break
		}
		if n > 0 { // another process is at it, too
			time.Sleep(rand.N(time.Duration(n) * time.Millisecond))
		}
		err = d.closeAgain()
	}
	return err
}

// closeAgain opens the file and closes it, as the last.
func (d *db) closeAgain() error {
	c, err := d.connect(context.Background())
	if err != nil {
		return err
	}
	_, err = text(context.Background(), c, "PRAGMA schema_version") // reads the file
	return errors.Join(err, c.close())
}

// leave closes the connection to a file that was refused. If it came with a log,
// that stays as it is: a second connection, which cannot write, is there until
// the first has gone.
func (d *db) leave(c *conn, cameWithLog bool) error {
	if !cameWithLog {
		return c.close()
	}
	witness, err := handle.Open(d.path, sqlite.OpenReadOnly)
	if err != nil {
		return errors.Join(classify(d.path, err), c.close())
	}
	stmt, _, err := witness.PrepareTransient("PRAGMA schema_version")
	if err == nil {
		_, err = stmt.Step()
		err = errors.Join(err, stmt.Finalize())
	}
	return errors.Join(classify(d.path, err), c.close(), classify(d.path, handle.Close(witness)))
}

// uri is the name under which SQLite opens a file with an option, which a plain path
// cannot have.
func uri(path, option string) string {
	name := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: option}
	return name.String()
}

// immutable opens a file without locks and without a log.
const immutable = "immutable=1"
