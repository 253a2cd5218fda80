package cli

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress draws a bar on standard error once the work has taken a second, if
// that is a terminal. Call its report as the work goes on, and done at the end.
type progress struct {
	app   *app
	title string
	start time.Time
	bar   *progressbar.ProgressBar
}

func (a *app) progress(title string) *progress {
	return &progress{app: a, title: title, start: a.Now()}
}

func (p *progress) report(done, total int) {
	if !p.app.Terminal {
		return
	}
	if p.bar == nil {
		if p.app.Now().Sub(p.start) < time.Second {
			return
		}
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(p.app.Err),
			progressbar.OptionSetDescription(p.title),
			progressbar.OptionShowCount(),
			progressbar.OptionClearOnFinish())
	}
	_ = p.bar.Set(done) // a bar that cannot be drawn is no reason to stop
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
