package cli

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressDelay is how long a command may take before it shows that it is alive.
const progressDelay = time.Second

// progress shows on standard error, if that is a terminal, that a command is
// still at work: as a bar once it is known how much there is to do, as a spinner
// until then. It is safe for concurrent use.
type progress struct {
	app  *app
	quit chan struct{}
	done sync.WaitGroup
	once sync.Once // of stop

	mu      sync.Mutex
	visible bool
	bar     *progressbar.ProgressBar
	rows    int // how much is done
	total   int // how much there is; 0 if not known
}

func (a *app) startProgress() *progress {
	p := &progress{app: a, quit: make(chan struct{})}
	if a.Terminal {
		p.done.Go(p.run)
	}
	return p
}

// run draws from the first second on, until stop.
func (p *progress) run() {
	wait := progressDelay
	for {
		select {
		case <-p.quit:
			return
		case <-time.After(wait):
		}
		wait = progressDelay / 10
		p.mu.Lock()
		p.visible = true
		p.draw()
		p.mu.Unlock()
	}
}

// report says how much is done of how much.
func (p *progress) report(rows, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total != total && p.bar != nil {
		_ = p.bar.Clear() // the spinner
		p.bar = nil
	}
	p.rows, p.total = rows, total
	if p.visible {
		p.draw()
	}
}

// report64 is report for what is counted in bytes or pages.
func (p *progress) report64(done, total int64) { p.report(int(done), int(total)) }

// draw is called with mu held. That a bar cannot be drawn is no reason to stop.
func (p *progress) draw() {
	size := p.total
	if size == 0 {
		size = -1 // a spinner
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions(size,
			progressbar.OptionSetWriter(p.app.Err),
			progressbar.OptionSetDescription("working"),
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionClearOnFinish())
	}
	if p.total == 0 {
		_ = p.bar.Add(1)
	} else {
		_ = p.bar.Set(p.rows)
	}
}

// stop ends the progress and clears its line. Stopping again does nothing.
func (p *progress) stop() {
	p.once.Do(func() { close(p.quit) })
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.visible = false
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
