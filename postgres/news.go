package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Processes tell each other with NOTIFY that there is something new. Not within the
// transaction that it is about: PostgreSQL commits those that notify one after the other,
// in all databases of the server, and each would wait for the disk alone. A process that
// dies in between has told nobody; so those who listen look once a second all the same.

const (
	notifyPause = 10 * time.Millisecond // between two NOTIFY of this process
	notifyLimit = time.Second           // for one; nobody waits for it but Close

	// hearPause is between two pieces of news for a subscriber, however much there is;
	// hearSpread keeps the processes from looking all at the same moment.
	hearPause  = 50 * time.Millisecond
	hearSpread = 20 * time.Millisecond

	// refusedPause is before another try to listen where that is not possible, as on a
	// standby.
	refusedPause = 10 * time.Second
)

// news is what is new, from this process and for it.
type news struct {
	config *pgconn.Config // of the session that listens

	mu          sync.Mutex
	untold      bool // there is something to notify of
	telling     bool // a goroutine is at it
	toldAt      time.Time
	subscribers []chan struct{}
	listening   bool // a goroutine is at it
	ended       bool // by end

	ending chan struct{} // closed by end
	hears  atomic.Bool   // there is a session that listens
	all    sync.WaitGroup
}

// end tells what is untold, and waits until nobody is at it any more.
func (n *news) end() {
	n.mu.Lock()
	ended := n.ended
	n.ended = true
	n.mu.Unlock()
	if !ended {
		close(n.ending)
	}
	n.all.Wait()
}

// channelOf is the name of the channel of a schema. The triggers of the history make
// the same.
func channelOf(schema string) string {
	sum := sha256.Sum256([]byte(schema))
	return "nexus_" + hex.EncodeToString(sum[:8])
}

// listenerConfig is for a session that waits: the end of a context ends it, and not a
// statement.
func listenerConfig(c *pgconn.Config) *pgconn.Config {
	c.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: pg.Conn()}
	}
	return c
}

// Notify implements driver.Notifier.
func (d *db) Notify() {
	n := &d.news
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.untold = true; !n.telling && !n.ended {
		n.telling = true
		n.all.Go(d.tell)
	}
}

// tell notifies as long as there is something to notify of.
func (d *db) tell() {
	n := &d.news
	for {
		n.mu.Lock()
		if n.telling = n.untold; !n.telling {
			n.mu.Unlock()
			return
		}
		since := time.Since(n.toldAt)
		n.mu.Unlock()
		if since < notifyPause {
			n.pause(notifyPause - since)
		}
		n.mu.Lock()
		n.untold, n.toldAt = false, time.Now()
		n.mu.Unlock()
		if err := d.tellOnce(); err != nil {
			d.options.Logger.Debug("others were not told of what is new; they see it within a second", "error", err)
		}
	}
}

// pause waits, and reports whether it was to the end.
func (n *news) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-n.ending:
		return false
	case <-timer.C:
		return true
	}
}

func (d *db) tellOnce() error {
	ctx, cancel := context.WithTimeout(context.Background(), notifyLimit)
	defer cancel()
	return d.Read(ctx, func(c driver.Conn) error {
		return c.Query(ctx, "SELECT pg_notify($1, '')", []driver.Arg{driver.Text(channelOf(d.schema))}, nil)
	})
}

// Subscribe implements driver.Notifier. The first subscriber has a session listen, which
// is none of the pool's.
func (d *db) Subscribe() (<-chan struct{}, func()) {
	n := &d.news
	if d.pooled { // whose sessions are another's when the notification comes
		return nil, func() {}
	}
	mine := make(chan struct{}, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.subscribers = append(n.subscribers, mine)
	if !n.listening && !n.ended {
		n.listening = true
		n.all.Go(d.listen)
	}
	return mine, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.subscribers = slices.DeleteFunc(n.subscribers, func(c chan struct{}) bool { return c == mine })
	}
}

// Hears implements driver.Notifier.
func (d *db) Hears() bool { return d.news.hears.Load() }

// publish tells the subscribers.
func (n *news) publish() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.subscribers {
		select {
		case c <- struct{}{}:
		default: // it has not looked since it was told before
		}
	}
}

// listen hears what others have to tell, over one session after another, until the
// database is closed.
func (d *db) listen() {
	n := &d.news
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-n.ending
		cancel()
	}()
	for tries := 0; ; tries++ {
		began := time.Now()
		err := d.listenOnce(ctx)
		n.hears.Store(false)
		if ctx.Err() != nil {
			return
		}
		n.publish() // so that they look by themselves from now on
		d.options.Logger.Debug("nothing is heard of what is new; looking often instead", "error", d.classify(err))
		if time.Since(began) > connectTimeout {
			tries = 0
		}
		pause := min(outage, time.Millisecond<<min(tries, 10))
		if sqlState(err) != "" && !lost(err) {
			pause = refusedPause
		}
		if !n.pause(pause/2 + rand.N(pause)) {
			return
		}
	}
}

// listenOnce listens as long as a session lasts.
func (d *db) listenOnce(ctx context.Context) error {
	n := &d.news
	config := n.config.Copy()
	got := false
	config.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { got = true }
	connecting, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	c, err := pgconn.ConnectConfig(connecting, config)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = c.Close(closing) // it is not needed any more, whatever that says
	}()
	if _, err := c.Exec(connecting, "LISTEN "+channelOf(d.schema)).ReadAll(); err != nil {
		return err
	}
	n.hears.Store(true)
	for got = true; ; { // what was committed before
		if got && !n.pause(rand.N(hearSpread)) {
			return ctx.Err()
		}
		if got {
			n.publish()
			if !n.pause(hearPause) {
				return ctx.Err()
			}
			got = false
			if _, err := c.Exec(ctx, "").ReadAll(); err != nil { // takes in what has come meanwhile
				return err
			}
			continue
		}
		if err := c.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}
