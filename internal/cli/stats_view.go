package cli

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
)

// statsView draws stats.
type statsView struct{ view }

// longestBar bounds a bar; shortestBar is the least that says anything, and as wide
// as its title.
const (
	longestBar  = 24
	shortestBar = 6
)

func (v *statsView) lines(r *stats) []string {
	lines := []string{v.title(r)}
	if r.Budget != nil {
		lines = append(lines, v.join(cell{"Budget used so far: " + r.Budget.String(), plain}))
	}
	if len(r.Totals) == 0 && len(r.Completed) == 0 {
		nothing := "No metrics."
		if r.Completed != nil {
			nothing = "No metrics, and no completed tasks."
		}
		return append(lines, v.join(cell{nothing, plain}))
	}
	if len(r.Totals) > 0 {
		lines = append(lines, "")
		lines = append(lines, v.all(v.totals(r))...)
	}
	if r.Completed != nil {
		if chart := v.chart(r); len(chart) > 0 {
			lines = append(append(lines, ""), chart...)
		}
	} else if !slices.Equal(r.By, []string{"type"}) { // which the totals are
		for _, groups := range byType(r.Groups) {
			lines = append(append(lines, "", v.heading(r, groups[0].Type)), v.groups(r, groups)...)
		}
	}
	if r.LeftOut > 0 {
		lines = append(lines, "", v.join(cell{fmt.Sprintf("%s left out; --limit 0 shows all", counted(int64(r.LeftOut), "group")), dim}))
	}
	return lines
}

func (v *statsView) title(r *stats) string {
	what := v.path
	if r.ProjectID != "" {
		what = fmt.Sprintf("%s (%s) in %s", r.ProjectName, r.ProjectID, v.path)
	}
	period := ""
	if !r.Since.IsZero() {
		period += ", since " + date(r.Since) + " UTC"
	}
	if !r.Until.IsZero() {
		period += ", until " + date(r.Until) + " UTC"
	}
	return v.join(cell{oneLine(what), bold}, cell{period, plain})
}

func (v *statsView) heading(r *stats, kind string) string {
	by := " by " + strings.Join(r.By, ", ")
	if r.bucket > 0 {
		by += " (UTC)"
	}
	return v.join(cell{cut(oneLine(kind), 80), bold}, cell{by, dim})
}

// all draws a section with all its rows.
func (v *statsView) all(s section) []string { return v.table(s, len(s.rows)) }

var figureNames = []string{"COUNT", "SUM", "MEAN", "P50", "P90", "P99", "MIN", "MAX"}

// figures shows a summary in the order of figureNames.
func figures(m *nexus.MetricSummary) (cells []cell) {
	cells = append(cells, cell{fmt.Sprint(m.Count), plain})
	for i, f := range []float64{m.Sum, m.Mean, m.P50, m.P90, m.P99, m.Min, m.Max} {
		c := cell{figure(m.Type, f), plain}
		if m.Count == 0 && i > 0 {
			c.text = ""
		}
		cells = append(cells, c)
	}
	return cells
}

func (v *statsView) totals(r *stats) section {
	s := section{header: append([]string{"TOTALS"}, figureNames...)}
	for i := range r.Totals {
		s.rows = append(s.rows, append([]cell{{r.Totals[i].Type, plain}}, figures(&r.Totals[i])...))
	}
	return s
}

// groups draws the groups of one type, with a bar for the sum of each.
func (v *statsView) groups(r *stats, groups []nexus.MetricSummary) []string {
	names := slices.DeleteFunc(slices.Clone(r.By), func(by string) bool { return by == string(nexus.ByType) })
	if len(names) == 1 && r.bucket > 0 {
		groups = r.filled(groups)
	}
	s := section{}
	named := false
	for _, name := range names {
		if !slices.Contains([]string{"agent", "task", "feature", "hour", "day", "week"}, name) {
			name = "from"
		}
		named = named || name == "task" || name == "feature"
		s.header = append(s.header, strings.ToUpper(name))
	}
	keys := len(s.header)
	s.header = append(s.header, figureNames...)
	if named {
		s.header = append(s.header, "NAME")
	}
	most := 0.0
	for i := range groups {
		g := &groups[i]
		most = max(most, g.Sum)
		var row []cell
		for _, name := range names {
			row = append(row, cell{r.keyOf(g, name), plain})
		}
		if row = append(row, figures(g)...); named {
			row = append(row, cell{r.nameOf(g), plain})
		}
		s.rows = append(s.rows, row)
	}
	if width := v.barWidth(s, 1); width > 0 && most > 0 {
		s.insertBars(keys, "", width, most, func(row int) float64 { return groups[row].Sum })
	}
	return v.all(s)
}

// insertBars puts a column of bars before another.
func (s *section) insertBars(column int, title string, width int, most float64, value func(row int) float64) {
	s.header = slices.Insert(s.header, column, title)
	for i := range s.rows {
		s.rows[i] = slices.Insert(s.rows[i], column, cell{bar(value(i), most, width), green})
	}
}

// keyOf is what a group has of one thing that groups are made by.
func (r *stats) keyOf(g *nexus.MetricSummary, by string) string {
	key := ""
	switch nexus.MetricGroup(by) {
	case nexus.ByAgent:
		key = g.AgentID
	case nexus.ByTask:
		key = g.TaskID
	case nexus.ByFeature:
		key = g.FeatureID
	default:
		return r.when(g.Start)
	}
	if key == "" {
		return "(none)"
	}
	return key
}

// when shows the beginning of a bucket, as exactly as its length asks for.
func (r *stats) when(start time.Time) string {
	switch {
	case r.bucket%nexus.Day == 0:
		return start.Format(time.DateOnly)
	case r.bucket%time.Minute == 0:
		return date(start)
	default:
		return start.Format(time.DateTime)
	}
}

func (r *stats) nameOf(g *nexus.MetricSummary) string {
	names := slices.DeleteFunc([]string{r.names[g.TaskID], r.names[g.FeatureID]}, func(name string) bool { return name == "" })
	return strings.Join(names, " · ")
}

// filled puts empty groups where the buckets between the first and the last have
// none, so that a gap is seen as one.
func (r *stats) filled(groups []nexus.MetricSummary) []nexus.MetricSummary {
	if !r.fillable(groups[0].Start, groups[len(groups)-1].Start) {
		return groups
	}
	var list []nexus.MetricSummary
	for _, g := range groups {
		for len(list) > 0 && list[len(list)-1].Start.Add(r.bucket).Before(g.Start) {
			list = append(list, nexus.MetricSummary{Type: g.Type, Start: list[len(list)-1].Start.Add(r.bucket)})
		}
		list = append(list, g)
	}
	return list
}

// fillable reports whether the buckets of some time are few enough to show them all.
func (r *stats) fillable(first, last time.Time) bool {
	most := r.limit
	if most == 0 {
		most = 1000
	}
	return int64(last.Sub(first)/r.bucket) < int64(most)
}

// chart draws completed tasks, tokens and cost side by side, bucket for bucket: those
// of them that there are.
func (v *statsView) chart(r *stats) []string {
	type column struct {
		title, kind string
		values      map[time.Time]float64
		most        float64
	}
	columns := []column{{"TASKS", "", nil, 0}, {"TOKENS", "token_usage", nil, 0}, {"COST", "cost_usd", nil, 0}}
	for i := range columns {
		columns[i].values = make(map[time.Time]float64)
	}
	var starts []time.Time
	add := func(c *column, start time.Time, value float64) {
		starts = append(starts, start)
		c.values[start] = value
		c.most = max(c.most, value)
	}
	for _, c := range r.Completed {
		add(&columns[0], c.Start, float64(c.Count))
	}
	for i := range r.Groups {
		for c := 1; c < len(columns); c++ {
			if g := &r.Groups[i]; g.Type == columns[c].kind {
				add(&columns[c], g.Start, g.Sum)
			}
		}
	}
	if columns = slices.DeleteFunc(columns, func(c column) bool { return len(c.values) == 0 }); len(columns) == 0 {
		return nil
	}
	s := section{header: append([]string{strings.ToUpper(r.By[0])}, make([]string, len(columns))...)}
	shown := r.span(starts, v.now)
	for _, start := range shown {
		row := []cell{{r.when(start), plain}}
		for _, c := range columns {
			row = append(row, cell{figure(c.kind, c.values[start]), plain})
		}
		s.rows = append(s.rows, row)
	}
	width := v.barWidth(s, len(columns))
	for i, c := range columns {
		if width == 0 {
			s.header[1+i] = c.title
		} else {
			s.insertBars(1+2*i, c.title, width, c.most, func(row int) float64 { return c.values[shown[row]] })
		}
	}
	return v.all(s)
}

// span lists the beginnings of the buckets to draw: from the first that has
// anything, or from when was asked, to now or the last.
func (r *stats) span(starts []time.Time, now time.Time) (list []time.Time) {
	slices.SortFunc(starts, time.Time.Compare)
	starts = slices.CompactFunc(starts, time.Time.Equal)
	first, last := starts[0], starts[len(starts)-1]
	if !r.Since.IsZero() {
		first = nexus.BucketStart(r.Since, r.bucket)
	}
	if today := nexus.BucketStart(now, r.bucket); r.Until.IsZero() && today.After(last) {
		last = today
	}
	if !r.fillable(first, last) {
		return starts
	}
	for start := first; !start.After(last); start = start.Add(r.bucket) {
		list = append(list, start)
	}
	return list
}

// barWidth is how wide so many columns of bars may be that are to be added to a
// section; 0 is none.
func (v *statsView) barWidth(s section, bars int) int {
	if v.width == 0 {
		return longestBar
	}
	left := v.width + 2 - 2*bars // nothing follows the last column
	for i, title := range s.header {
		width := widthOf(title)
		for _, row := range s.rows {
			width = max(width, min(widthOf(oneLine(row[i].text)), widest))
		}
		left -= width + 2
	}
	if width := min(left/bars, longestBar); width >= shortestBar {
		return width
	}
	return 0
}

// bar draws a part of the most, in eighths of a character: what is more than
// nothing is seen.
func bar(value, most float64, width int) string {
	if value <= 0 || width <= 0 {
		return ""
	}
	eighths := max(int(math.Round(value/most*float64(width*8))), 1)
	text := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// figure shows a value of a type of metric in few digits.
func figure(kind string, f float64) string {
	if kind != "cost_usd" {
		return digits(f)
	}
	sign := ""
	if f < 0 {
		sign, f = "-", -f
	}
	switch {
	case f >= 100_000:
		return sign + "$" + digits(f)
	case f == 0 || f >= 0.095:
		return fmt.Sprintf("%s$%.2f", sign, f)
	default:
		return fmt.Sprintf("%s$%s", sign, strconv.FormatFloat(f, 'g', 2, 64))
	}
}

func digits(f float64) string {
	units := []string{"", "k", "M", "G", "T"}
	unit := 0
	if math.Abs(f) >= 9999.5 {
		for ; math.Abs(f) >= 999.5 && unit < len(units)-1; unit++ {
			f /= 1000
		}
	}
	precision := 3
	if unit == 0 {
		precision = 4
	}
	return strconv.FormatFloat(f, 'g', precision, 64) + units[unit]
}
