package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/seed-c8812374/nexus"
)

// longestValue is how many columns a value may take where there are many.
const longestValue = 48

// did says in a few words what a change has done.
func did(c *nexus.Change) string {
	switch c.Change {
	case nexus.ChangeInsert:
		return strings.TrimSpace("new  " + title(c.Fields, func(f *nexus.FieldChange) nexus.JSON { return f.To }))
	case nexus.ChangeDelete:
		return strings.TrimSpace("deleted  " + title(c.Fields, func(f *nexus.FieldChange) nexus.JSON { return f.From }))
	}
	var parts []string
	for i := range c.Fields {
		if f := &c.Fields[i]; !counts(f) {
			parts = append(parts, f.Field+" "+step(f))
		}
	}
	const most = 6
	if more := len(parts) - most; more > 0 {
		parts = append(parts[:most], fmt.Sprintf("and %d more", more))
	}
	if c.Change == nexus.ChangeReplace {
		parts = append([]string{"replaced"}, parts...)
	}
	if len(parts) == 0 {
		return "revision"
	}
	return strings.Join(parts, ", ")
}

// counts reports whether a field changes with every change.
func counts(f *nexus.FieldChange) bool { return f.Field == "revision" || f.Field == "updated_at" }

// step is what a field was and is.
func step(f *nexus.FieldChange) string { return brief(f.From) + " → " + brief(f.To) }

// title is what a row is best known by.
func title(fields []nexus.FieldChange, value func(*nexus.FieldChange) nexus.JSON) string {
	for _, name := range []string{"name", "description", "type"} {
		for i := range fields {
			if f := &fields[i]; f.Field == name && value(f) != "" {
				return brief(value(f))
			}
		}
	}
	return ""
}

// brief is a value in a few columns: of a long one the middle is left out.
func brief(value nexus.JSON) string {
	if value == "" {
		return "none"
	}
	var text string
	if json.Unmarshal([]byte(value), &text) != nil {
		text = string(value)
	}
	text = oneLine(text)
	if widthOf(text) <= longestValue {
		return text
	}
	const half = longestValue/2 - 1
	return clip(text, half) + " … " + lastColumns(text, half)
}

// lastColumns returns the end of a text that fits in so many columns.
func lastColumns(text string, columns int) string {
	runes := []rune(text)
	width, from := 0, len(runes)
	for from > 0 {
		if width += runeWidth(runes[from-1]); width > columns {
			break
		}
		from--
	}
	return string(runes[from:])
}

// by is who made a change, and doing what.
func by(c *nexus.Change) (actor, name string) {
	if c.Name == "" && c.Actor == "" {
		return "", "(another program)"
	}
	return c.Actor, c.Name
}

// painter colours texts.
type painter struct{ on bool }

func (a *app) painter() painter { return painter{a.Screen != nil && a.colour()} }

func (p painter) paint(c colour, text string) string {
	if !p.on {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// writeDifference shows changes from one state to another.
func (a *app) writeDifference(out io.Writer, list []nexus.Change) {
	p := a.painter()
	for i := range list {
		c := &list[i]
		row := oneLine(fmt.Sprintf("%s %s", c.Kind, c.ID))
		switch c.Change {
		case nexus.ChangeInsert:
			fmt.Fprintln(out, p.paint(green, strings.TrimSpace("+ "+row+strings.TrimPrefix(did(c), "new"))))
		case nexus.ChangeDelete:
			fmt.Fprintln(out, p.paint(red, strings.TrimSpace("- "+row+strings.TrimPrefix(did(c), "deleted"))))
		default:
			fmt.Fprintln(out, p.paint(yellow, "~ "+row))
			for i := range c.Fields {
				if f := &c.Fields[i]; !counts(f) {
					fmt.Fprintf(out, "    %s  %s → %s\n", f.Field, p.paint(red, brief(f.From)), p.paint(green, brief(f.To)))
				}
			}
		}
	}
}

// tally says how many rows changes make, alter and delete.
func tally(list []nexus.Change) string {
	n := make(map[nexus.ChangeType]int)
	for i := range list {
		n[list[i].Change]++
	}
	var parts []string
	for _, t := range []struct {
		change nexus.ChangeType
		word   string
	}{{nexus.ChangeInsert, "new"}, {nexus.ChangeUpdate, "changed"}, {nexus.ChangeDelete, "deleted"}} {
		if n[t.change] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[t.change], t.word))
		}
	}
	return strings.Join(parts, ", ")
}
