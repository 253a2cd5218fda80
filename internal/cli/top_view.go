package cli

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
)

// overviewLine is an overview in one line.
func overviewLine(o *nexus.Overview, now time.Time) string {
	parts := []string{
		fmt.Sprintf("%s done %d/%d", o.At.In(now.Location()).Format(time.TimeOnly), o.TasksTotal-o.TasksOpen, o.TasksTotal),
		"ready " + readyCount(o),
		fmt.Sprintf("in flight %d", len(o.InFlight)),
		fmt.Sprintf("failed %d", o.FailedHour),
	}
	for _, status := range []nexus.TaskStatus{nexus.TaskBlocked, nexus.TaskEscalated} {
		if n := o.TasksByStatus[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", status, n))
		}
	}
	parts = append(parts,
		fmt.Sprintf("agents %d", len(o.Agents)),
		fmt.Sprintf("%d/min", o.CompletedMinute),
		fmt.Sprintf("%d/h", o.CompletedHour),
		fmt.Sprintf("$%.2f", o.CostUSD),
		amount(o.Tokens)+" tokens",
	)
	if spent := o.Spending(); spent.Limited() {
		parts = append(parts, "budget "+spent.String())
	}
	return strings.Join(parts, " · ")
}

func readyCount(o *nexus.Overview) string {
	if o.Ready >= nexus.MostReady {
		return fmt.Sprintf("%d+", nexus.MostReady)
	}
	return fmt.Sprint(o.Ready)
}

// amount shows a large number in few digits.
func amount(f float64) string {
	units := []string{"", "k", "M", "G", "T"}
	unit := 0
	for math.Abs(f) >= 999.5 && unit < len(units)-1 {
		f /= 1000
		unit++
	}
	if unit > 0 && math.Abs(f) < 9.95 {
		return fmt.Sprintf("%.1f%s", f, units[unit])
	}
	return fmt.Sprintf("%.0f%s", f, units[unit])
}

// span shows how long something takes, in two units at most.
func span(d time.Duration) string {
	d = max(d, 0)
	days, hours, minutes := int(d/(24*time.Hour)), int(d/time.Hour)%24, int(d/time.Minute)%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%02dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%02dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%02ds", minutes, int(d/time.Second)%60)
	default:
		return fmt.Sprintf("%ds", int(d/time.Second))
	}
}

// view draws an overview.
type view struct {
	width, height int // of the terminal; 0 is no limit
	colour        bool
	keys          bool // say which keys there are
	now           time.Time
	path          string // of the database
}

// colour is a colour or another look of a terminal.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// cell is a text in a colour.
type cell struct {
	text   string
	colour colour
}

// section is a table of the view, whose header is its title as well.
type section struct {
	header []string
	rows   [][]cell
}

// lines draws an overview in lines that fit.
func (v *view) lines(o *nexus.Overview) []string {
	lines := v.head(o)
	sections := slices.DeleteFunc([]section{v.inFlight(o), v.agents(o), v.features(o)}, func(s section) bool { return len(s.rows) == 0 })
	sizes := make([]int, len(sections))
	for i, s := range sections {
		sizes[i] = len(s.rows)
	}
	if v.height > 0 {
		sizes = share(v.height-len(lines)-2*len(sections), sizes) // a blank line and a header each
	}
	for i, s := range sections {
		lines = append(lines, "")
		lines = append(lines, v.table(s, sizes[i])...)
	}
	if v.height > 0 && len(lines) > v.height {
		lines = lines[:v.height]
	}
	return lines
}

// share divides lines among lists of some lengths: none gets more than it needs,
// and none has less than another that wants more.
func share(lines int, lengths []int) []int {
	shares := make([]int, len(lengths))
	for given := true; given && lines > 0; {
		given = false
		for i := range shares {
			if lines > 0 && shares[i] < lengths[i] {
				shares[i]++
				lines--
				given = true
			}
		}
	}
	return shares
}

// head draws what is above the tables.
func (v *view) head(o *nexus.Overview) []string {
	clock := o.At.In(v.now.Location()).Format(time.TimeOnly)
	what := v.path
	if o.ProjectID != "" {
		what = fmt.Sprintf("%s (%s) in %s", o.ProjectName, o.ProjectID, v.path)
	}
	what = "  " + oneLine(what)
	title := []cell{{clock, bold}, {what, plain}}
	if hint := "  q ends it"; v.keys && widthOf(clock+what+hint) <= v.width {
		title = append(title, cell{hint, dim})
	}
	done := o.TasksTotal - o.TasksOpen
	counts := []string{"ready " + readyCount(o), fmt.Sprintf("in flight %d", len(o.InFlight))}
	for _, status := range statusesByCount(o.TasksByStatus) {
		counts = append(counts, fmt.Sprintf("%s %d", oneLine(string(status)), o.TasksByStatus[status]))
	}
	lines := []string{
		v.join(title...),
		v.join(cell{"Tasks  ", bold}, v.bar(done, o.TasksTotal, 30), cell{"  " + progressOf(done, o.TasksTotal), plain}),
		v.join(cell{"       " + strings.Join(counts, " · "), plain}),
		v.join(cell{"Pace   ", bold}, cell{fmt.Sprintf("%d in the last minute, %d in the last hour", o.CompletedMinute, o.CompletedHour), plain}, v.failures(o)),
		v.join(cell{"Cost   ", bold}, cell{fmt.Sprintf("$%.2f, %s tokens", o.CostUSD, amount(o.Tokens)), plain}),
	}
	if spent := o.Spending(); spent.UsedUp() {
		lines = append(lines, v.join(cell{"Budget ", bold}, cell{spent.String() + ": used up, nothing is handed out", red}))
	} else if spent.Limited() {
		lines = append(lines, v.join(cell{"Budget ", bold}, cell{spent.String(), plain}))
	}
	if o.TasksOpen > 0 && o.Ready == 0 && len(o.InFlight) == 0 {
		lines = append(lines, v.join(cell{"Stuck  ", red}, cell{"no task is ready, and nobody is at work; nexus ready --explain says why", plain}))
	}
	return lines
}

func progressOf(done, total int64) string {
	if total == 0 {
		return "there are none"
	}
	return fmt.Sprintf("%d of %d done, %d%%", done, total, done*100/total)
}

func (v *view) failures(o *nexus.Overview) cell {
	if o.FailedHour == 0 {
		return cell{}
	}
	return cell{", and " + counted(o.FailedHour, "failed attempt"), red}
}

// statusesByCount returns the statuses of tasks that are neither done nor in
// flight, those that most have first.
func statusesByCount(counts map[nexus.TaskStatus]int64) (list []nexus.TaskStatus) {
	for status := range counts {
		if !status.Ended() && !status.InFlight() {
			list = append(list, status)
		}
	}
	slices.SortFunc(list, func(a, b nexus.TaskStatus) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	return list
}

// bar draws how much is done.
func (v *view) bar(done, total int64, width int) cell {
	filled := 0
	if total > 0 {
		filled = int(float64(width) * float64(min(max(done, 0), total)) / float64(total))
	}
	look := plain
	if filled == width {
		look = green
	}
	return cell{strings.Repeat("█", filled) + strings.Repeat("░", width-filled), look}
}

func (v *view) inFlight(o *nexus.Overview) section {
	s := section{header: []string{fmt.Sprintf("IN FLIGHT %d", len(o.InFlight)), "AGENT", "FOR", "LEASE", "TASK"}}
	work := slices.Clone(o.InFlight)
	slices.SortStableFunc(work, func(a, b nexus.Work) int { return a.Since.Compare(b.Since) }) // leases change, and rows would jump
	for i := range work {
		w := &work[i]
		since := ""
		if !w.Since.IsZero() {
			since = span(o.At.Sub(w.Since))
		}
		lease := cell{span(w.LeaseUntil.Sub(o.At)), plain}
		switch {
		case w.LeaseUntil.IsZero():
			lease = cell{"none", yellow}
		case !w.LeaseUntil.After(o.At):
			lease = cell{"over", red}
		}
		what := w.Name
		if p := w.Progress; p != nil {
			if p.Percent > 0 {
				what += fmt.Sprintf(" · %d%%", p.Percent)
			}
			if p.Note != "" {
				what += " · " + clip(p.Note, 200)
			}
		}
		s.rows = append(s.rows, []cell{{w.TaskID, plain}, {w.AgentID, plain}, {since, plain}, lease, {what, plain}})
	}
	return s
}

func (v *view) agents(o *nexus.Overview) section {
	s := section{header: []string{fmt.Sprintf("AGENTS %d", len(o.Agents)), "TYPE", "STATUS", "DONE", "FAILED", "SEEN", "HOLDS"}}
	agents := slices.Clone(o.Agents)
	slices.SortStableFunc(agents, func(a, b nexus.AgentState) int { return cmp.Compare(min(len(b.Holds), 1), min(len(a.Holds), 1)) })
	for _, a := range agents {
		status := cell{string(a.Status), plain}
		switch a.Status {
		case nexus.AgentWorking:
			status.colour = green
		case nexus.AgentError:
			status.colour = red
		case nexus.AgentIdle:
			status.colour = dim
		}
		s.rows = append(s.rows, []cell{
			{a.ID, plain},
			{string(a.Type), plain},
			status,
			{fmt.Sprint(a.TasksCompleted), plain},
			{fmt.Sprint(a.TasksFailed), plain},
			{span(o.At.Sub(a.LastActivityAt)) + " ago", plain},
			{strings.Join(a.Holds, " "), plain},
		})
	}
	return s
}

func (v *view) features(o *nexus.Overview) section {
	features := slices.Clone(o.Features)
	ended := 0
	for _, f := range features {
		if rankOf(&f) == 2 {
			ended++
		}
	}
	slices.SortStableFunc(features, func(a, b nexus.FeatureProgress) int { return cmp.Compare(rankOf(&a), rankOf(&b)) })
	s := section{header: []string{fmt.Sprintf("FEATURES %d/%d", ended, len(features)), "TASKS", "STATUS", "NAME"}}
	for _, f := range features {
		s.rows = append(s.rows, []cell{
			v.bar(f.Total-f.Open, f.Total, 16), {fmt.Sprintf("%d/%d", f.Total-f.Open, f.Total), plain}, {string(f.Status), plain}, {f.Name, plain},
		})
	}
	return s
}

// rankOf orders features: under way, not begun, ended.
func rankOf(f *nexus.FeatureProgress) int {
	switch {
	case f.Open == 0 && (f.Total > 0 || f.Status == nexus.FeatureDone):
		return 2
	case f.Open == f.Total && (f.Status == nexus.FeatureBacklog || f.Status == nexus.FeaturePlanning):
		return 1
	default:
		return 0
	}
}

// widest bounds every column but the last.
const widest = 24

// table draws a section with at most so many rows; the last one says how many
// there are that do not fit.
func (v *view) table(s section, most int) []string {
	rows := s.rows
	more := len(rows) - most
	if more > 0 {
		rows = rows[:max(most-1, 0)]
		more = len(s.rows) - len(rows)
	}
	widths := make([]int, len(s.header))
	measure := func(column int, text string) { widths[column] = max(widths[column], min(widthOf(text), widest)) }
	for i, title := range s.header {
		measure(i, title)
	}
	for _, row := range rows {
		for i := range row {
			row[i].text = oneLine(row[i].text)
			measure(i, row[i].text)
		}
	}
	line := func(row []cell) string {
		var cells []cell
		for i, c := range row {
			if i < len(row)-1 {
				c.text = pad(cut(c.text, widths[i]), widths[i]+2)
			}
			cells = append(cells, c)
		}
		return v.join(cells...)
	}
	header := make([]cell, len(s.header))
	for i, title := range s.header {
		header[i] = cell{title, bold}
	}
	lines := []string{line(header)}
	for _, row := range rows {
		lines = append(lines, line(row))
	}
	if more > 0 && most > 0 {
		lines = append(lines, v.join(cell{fmt.Sprintf("and %d more", more), dim}))
	}
	return lines
}

// join puts cells side by side in one line that fits.
func (v *view) join(cells ...cell) string {
	for len(cells) > 0 && strings.TrimSpace(cells[len(cells)-1].text) == "" {
		cells = cells[:len(cells)-1]
	}
	total := 0
	for i, c := range cells {
		if i == len(cells)-1 {
			cells[i].text = strings.TrimRight(c.text, " ")
		}
		total += widthOf(cells[i].text)
	}
	left, end := total, ""
	if v.width > 0 && total > v.width {
		left, end = v.width-1, "…"
	}
	var b strings.Builder
	for _, c := range cells {
		text := clip(c.text, left)
		left -= widthOf(text)
		clipped := text != c.text
		if v.colour && c.colour != plain && text != "" {
			text = "\x1b[" + string(c.colour) + "m" + text + "\x1b[0m"
		}
		b.WriteString(text)
		if clipped {
			break
		}
	}
	return b.String() + end
}
