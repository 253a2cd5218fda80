package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-c8812374/nexus"
)

// schemaVersion is the version of the JSON that commands print. Fields may be
// added without changing it.
const schemaVersion = 1

// envelope is what every command prints with --json.
type envelope struct {
	SchemaVersion int      `json:"schema_version"`
	Data          any      `json:"data,omitempty"`
	NextCursor    string   `json:"next_cursor,omitempty"`
	Note          string   `json:"note,omitempty"` // on standard error
	Error         *failure `json:"error,omitempty"`
}

// print writes data as JSON, or lets people write it for people.
func (a *app) print(data any, people func(io.Writer) error) error {
	return a.printPage(data, "", people)
}

func (a *app) printPage(data any, cursor string, people func(io.Writer) error) error {
	var out bytes.Buffer
	if a.json {
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(envelope{SchemaVersion: schemaVersion, Data: data, NextCursor: cursor}); err != nil {
			return err
		}
	} else if err := people(&out); err != nil {
		return err
	}
	if _, err := a.Out.Write(out.Bytes()); err != nil {
		return &nexus.Error{
			Code: nexus.CodeIO, Message: "the output cannot be written", Err: err,
			Hint: "what the command was to do is done",
		}
	}
	return nil
}

// tableOr writes aligned columns, or a sentence if there are no rows.
func tableOr(out io.Writer, none string, header []string, rows [][]string) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, none)
		return err
	}
	return table(out, header, rows)
}

// table writes aligned columns.
func table(out io.Writer, header []string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		for i, cell := range row {
			row[i] = oneLine(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return w.Flush()
}

// member is a field of an entity, as its JSON has it.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the fields of an entity in their order.
func members(entity any) ([]member, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(entity); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(&text)
	if _, err := decoder.Token(); err != nil { // {
		return nil, err
	}
	var list []member
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(name)}
		if err := decoder.Decode(&m.value); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// card writes an entity, one field a line.
func card(out io.Writer, entity any) error {
	list, err := members(entity)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range list {
		fmt.Fprintf(w, "%s\t%s\n", m.name, readable(m.value))
	}
	return w.Flush()
}

// readable shows a JSON value to people: a text as it is, a list of texts with
// commas, a list of entities as their number and names.
func readable(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return strings.ReplaceAll(oneLineEach(text), "\n", "\n\t")
	}
	var words []string
	if json.Unmarshal(value, &words) == nil {
		return oneLine(strings.Join(words, ", "))
	}
	var entities []struct{ ID, Name string }
	if json.Unmarshal(value, &entities) == nil {
		lines := []string{fmt.Sprint(len(entities))}
		for _, e := range entities {
			lines = append(lines, oneLine(strings.TrimSpace(e.ID+"  "+e.Name)))
		}
		return strings.Join(lines, "\n\t")
	}
	var entity struct{ ID, Name string }
	if json.Unmarshal(value, &entity) == nil && entity.ID != "" {
		return oneLine(strings.TrimSpace(entity.ID + "  " + entity.Name))
	}
	return oneLine(string(value))
}

// oneLineEach is oneLine for each line of a text.
func oneLineEach(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = oneLine(lines[i])
	}
	return strings.Join(lines, "\n")
}

// printDifference shows the fields in which two versions differ.
func (a *app) printDifference(stored, given any) {
	s, errStored := members(stored)
	g, errGiven := members(given)
	if errStored != nil || errGiven != nil {
		return // the error itself has been printed
	}
	theirs := make(map[string]string, len(g))
	for _, m := range g {
		theirs[m.name] = oneLine(string(m.value))
	}
	rows := [][]string{}
	for _, m := range s {
		if mine := oneLine(string(m.value)); mine != theirs[m.name] && m.name != "updated_at" {
			rows = append(rows, []string{"  " + m.name, mine, theirs[m.name]})
		}
		delete(theirs, m.name)
	}
	for _, m := range g {
		if value, extra := theirs[m.name]; extra {
			rows = append(rows, []string{"  " + m.name, "", value})
		}
	}
	_ = table(a.Err, []string{"  FIELD", "STORED", "GIVEN"}, rows)
}

// notes prints what a log has to say to the user of a command line.
type notes struct {
	out   io.Writer
	json  bool
	attrs []slog.Attr
}

// note tells the user something that is no error.
func (a *app) note(text string) {
	slog.New(&notes{out: a.Err, json: a.json}).Info(text)
}

func (n *notes) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (n *notes) Handle(_ context.Context, r slog.Record) error {
	line := "nexus: " + oneLine(r.Message)
	add := func(a slog.Attr) bool {
		line += ": " + oneLine(a.Value.String())
		return true
	}
	for _, a := range n.attrs {
		add(a)
	}
	r.Attrs(add)
	if n.json {
		text, err := json.Marshal(envelope{SchemaVersion: schemaVersion, Note: strings.TrimPrefix(line, "nexus: ")})
		if err != nil {
			return err
		}
		line = string(text)
	}
	_, err := fmt.Fprintln(n.out, line)
	return err
}

func (n *notes) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &notes{n.out, n.json, append(n.attrs[:len(n.attrs):len(n.attrs)], attrs...)}
}

func (n *notes) WithGroup(string) slog.Handler { return n }

// date shows a time in a table.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}
