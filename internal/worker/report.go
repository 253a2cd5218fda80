package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus"
)

// Limits of a report.
const (
	maxReport = 1 << 20
	maxBroken = 10   // lines that are named
	maxTokens = 1e12 // of one metric
)

// tokenUsage is the metric that also counts for the agent.
const tokenUsage = "token_usage"

// report is what the command says of its work.
type report struct {
	metrics []metric
	tokens  int64 // of the metrics token_usage
	commit  string
	files   []string
	tests   string
	notes   []string
	reason  string   // of a failure
	broken  []string // what could not be read
}

type metric struct {
	Type     string
	Value    float64
	Metadata nexus.JSON
}

// line is what a line of a report may hold.
type line struct {
	Metric   *string    `json:"metric"`
	Value    *float64   `json:"value"`
	Metadata nexus.JSON `json:"metadata"`
	Commit   *string    `json:"commit"`
	Files    []string   `json:"files"`
	Tests    *string    `json:"tests"`
	Note     *string    `json:"note"`
	Reason   *string    `json:"reason"`
}

// evidence returns the part of the report that is evidence.
func (r *report) evidence() nexus.Evidence {
	notes := r.notes
	for _, b := range r.broken {
		notes = append(notes[:len(notes):len(notes)], "report: "+b)
	}
	return nexus.Evidence{Commit: r.commit, Files: r.files, Tests: r.tests, Note: strings.Join(notes, "\n")}
}

// readReport reads what the command has left at path, whatever that is.
func readReport(path string) report {
	// Lstat: the command may have left a pipe there, to open which would hang.
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return report{broken: []string{"it cannot be read: " + clean(err.Error())}}
	case !info.Mode().IsRegular():
		return report{broken: []string{"it is not a file any more"}}
	case info.Size() == 0:
		return report{}
	}
	file, err := os.Open(path)
	if err != nil {
		return report{broken: []string{"it cannot be read: " + clean(err.Error())}}
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxReport+1))
	if err != nil {
		return report{broken: []string{"it cannot be read: " + clean(err.Error())}}
	}
	return parseReport(text)
}

func parseReport(text []byte) (r report) {
	long := len(text) > maxReport
	if long {
		text = text[:maxReport]
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	broken := 0
	number := 0
	for written := range bytes.Lines(text) {
		number++
		written = bytes.TrimSpace(written)
		if len(written) == 0 {
			continue
		}
		if err := r.add(written); err != nil {
			if broken++; broken <= maxBroken {
				r.broken = append(r.broken, clean(fmt.Sprintf("line %d is broken: %v", number, err)))
			}
		}
	}
	if more := broken - maxBroken; more > 0 {
		r.broken = append(r.broken, fmt.Sprintf("%d more lines are broken", more))
	}
	if long {
		r.broken = append(r.broken, fmt.Sprintf("it is longer than %d MB; the rest was not read", maxReport>>20))
	}
	return r
}

// add takes one line into the report, all of it or nothing.
func (r *report) add(text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			if wrong.Field == "" {
				return fmt.Errorf("it is no object, but of type %s", wrong.Value)
			}
			return fmt.Errorf("%s is of the wrong type, %s", wrong.Field, wrong.Value)
		}
		return err
	}
	says := l.Commit != nil || l.Files != nil || l.Tests != nil || l.Note != nil || l.Reason != nil
	switch {
	case l.Metric == nil && (l.Value != nil || l.Metadata != ""):
		return errors.New("there is a value but no metric")
	case l.Metric != nil && l.Value == nil:
		return errors.New("there is a metric but no value")
	case l.Metric == nil && !says:
		return errors.New("it has none of metric, commit, files, tests, note and reason")
	}
	if l.Metric != nil {
		m := metric{*l.Metric, *l.Value, l.Metadata}
		if err := m.validate(); err != nil {
			return err
		}
		r.metrics = append(r.metrics, m)
		if m.Type == tokenUsage {
			r.tokens += int64(m.Value)
		}
	}
	set(&r.commit, l.Commit)
	set(&r.tests, l.Tests)
	set(&r.reason, l.Reason)
	if l.Note != nil && *l.Note != "" {
		r.notes = append(r.notes, clean(*l.Note))
	}
	for _, file := range l.Files {
		if file = clean(file); !slices.Contains(r.files, file) {
			r.files = append(r.files, file)
		}
	}
	return nil
}

func set(dst, value *string) {
	if value != nil {
		*dst = clean(*value)
	}
}

func (m metric) validate() error {
	if m.Type == tokenUsage && (m.Value < 0 || m.Value > maxTokens) {
		return fmt.Errorf("%v is no number of tokens", m.Value)
	}
	whole := nexus.Metric{ID: "m", ProjectID: "p", Type: m.Type, Value: m.Value, Metadata: m.Metadata, Timestamp: time.Unix(0, 0)}
	var e *nexus.Error
	if err := whole.Validate(); errors.As(err, &e) {
		return errors.New(strings.Replace(e.Problems[0].String(), "type:", "metric:", 1))
	}
	return nil
}
