package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) searchCommand() *cobra.Command {
	var r nexus.SearchRequest
	cmd := &cobra.Command{
		Use: "search TEXT…", Short: "Find projects, features, tasks, requirements and what was said, by their words",
		Args: minimumArgs(1, "what to look for"),
		Long: `Find projects, features, sub-features, tasks and requirements by the words of their
names and descriptions, and sessions by those of their data and log. The best come
first: those with the words in their name, then in their description, then in a log.

All words are required, in any order. The last may be the beginning of one, and so may
each that ends in a star. "Words in quotes" stand next to each other, and what follows
a minus must not occur (after --, or it is a flag). Capitals and accents make no
difference.`,
		Example: "  nexus search parser\n" +
			"  nexus search 'pars* lexer' --kind task,requirement\n" +
			"  nexus search --project p1m837hj --json -- parser -lexer",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	existing(b, "project", "only of this project", nexus.KindProject, func(id string) { r.ProjectID = id })
	flag(b, "kind", "of one of these kinds: project, feature, sub_feature, task, requirement, session", choices[nexus.Kind](), func(kinds []nexus.Kind) {
		r.Kinds = kinds
		for i, kind := range kinds {
			if kind == "subfeature" { // as the command is called
				r.Kinds[i] = nexus.KindSubFeature
			}
		}
	})
	r.Limit = nexus.DefaultHits
	flag(b, "limit", fmt.Sprintf("at most so many (default: %d)", nexus.DefaultHits), numbers[int](), func(n int) { r.Limit = n })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.Limit < 1 || r.Limit > nexus.MaxHits {
			return usage(cmd, fmt.Errorf("--limit must be from 1 to %d", nexus.MaxHits))
		}
		r.Text = strings.Join(args, " ")
		hits := []nexus.Hit{}
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			found, err := db.Search(cmd.Context(), r)
			hits = append(hits, found...)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(hits, func(out io.Writer) error { return a.writeHits(out, hits) })
	}
	return cmd
}

// writeHits writes hits as a table. What was looked for is in the last column, where
// the marks of a terminal do not shift what comes after.
func (a *app) writeHits(out io.Writer, hits []nexus.Hit) error {
	if len(hits) == 0 {
		_, err := fmt.Fprintln(out, "Nothing was found.")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tID\tWHERE\tNAME\tTEXT")
	const nameColumns = 40
	for _, h := range hits {
		where := h.Where
		if h.Number > 0 {
			where = fmt.Sprintf("%s %d", h.Where, h.Number)
		}
		name := cut(oneLine(h.Name), nameColumns)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.Kind, oneLine(h.ID), where, name, a.marked(h.Snippet, h.Marks))
	}
	return w.Flush()
}

// marked shows marks in a text, if there is a terminal that can.
func (a *app) marked(text string, marks [][2]int) string {
	if a.Screen == nil || !a.colour() {
		return oneLine(text)
	}
	var b strings.Builder
	done := 0
	for _, m := range marks {
		b.WriteString(oneLine(text[done:m[0]]) + "\x1b[1;" + string(yellow) + "m" + oneLine(text[m[0]:m[1]]) + "\x1b[0m")
		done = m[1]
	}
	return b.String() + oneLine(text[done:])
}
