package sqlite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// A text that is written anew each time it grows, as an ORM does with the data of a
// session, is not kept again and again: 400 KB of it in steps of 1 KB would be 80 MB.
func TestHistoryOfGrowingText(t *testing.T) {
	t.Parallel()
	const steps, step = 400, 1 << 10
	path := newDatabase(t)
	db := openSuite(t, path, nil)
	mustSucceed(t, db.Sessions.Create(background, &nexus.Session{ID: "s", ProjectID: "first", Type: "planning", Data: `{"log":["begin"]}`}))
	first := lastChange(t, db)
	var data strings.Builder
	data.WriteString(`{"log":["begin"`)
	grow := func(from, to int) {
		err := db.InTx(background, func(tx *store.Tx) error {
			for n := from; n < to; n++ {
				fmt.Fprintf(&data, `,"%04d %s"`, n, strings.Repeat("ä", step/2))
				if _, err := tx.Exec(background, "UPDATE sessions SET data = $1, revision = revision + 1 WHERE id = 's'", data.String()+"]}"); err != nil {
					return err
				}
			}
			return nil
		})
		mustSucceed(t, err)
	}
	grow(0, steps/2)
	middle, half := lastChange(t, db), data.String()+"]}"
	id := checkpoint(t, db, "first")
	grow(steps/2, steps)
	kept := rows(t, path, "SELECT sum(length(v4)) < 100000 FROM history WHERE kind = 'session'")[0]
	if kept != `SQLITE_INTEGER:"1" ` {
		t.Errorf("the history keeps %s bytes of it", rows(t, path, "SELECT sum(length(v4)) FROM history WHERE kind = 'session'"))
	}
	mustClose(t, db)
	if got, most := size(path), int64(8<<20); got > most {
		t.Errorf("the file has %d bytes, more than %d", got, most)
	}
	db = open(t, path, nil)
	for seq, want := range map[int64]string{first: `{"log":["begin"]}`, middle: half} {
		past := db.AsOf(seq)
		session, err := past.Sessions.Get(background, "s")
		mustSucceed(t, err)
		if string(session.Data) != want {
			t.Errorf("after change %d it had %d bytes, now %d", seq, len(want), len(session.Data))
		}
		list, err := past.Sessions.List(background, nexus.SessionFilter{ProjectID: "first"})
		mustSucceed(t, err)
		if len(list) != 1 || string(list[0].Data) != want {
			t.Errorf("after change %d the list is not what it was", seq)
		}
	}
	mustVerify(t, db, id)
	_, err := db.Restore(background, id, false)
	mustSucceed(t, err)
	session, err := db.Sessions.Get(background, "s")
	mustSucceed(t, err)
	if string(session.Data) != half {
		t.Error("what is restored is not what it was")
	}
}
