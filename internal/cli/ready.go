package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// readyFlags are the flags that choose among the ready tasks.
func readyFlags(b *binder, f *nexus.ReadyFilter) {
	existing(b, "project", "of this project", nexus.KindProject, func(id string) { f.ProjectID = id })
	existing(b, "feature", "of this feature", nexus.KindFeature, func(id string) { f.FeatureID = id })
	existing(b, "sub-feature", "of this sub-feature", nexus.KindSubFeature, func(id string) { f.SubFeatureID = id })
	flag(b, "priority", "of one of these", choices[nexus.TaskPriority](), func(v []nexus.TaskPriority) { f.Priority = v })
	known(b, "size", "of one of these", nexus.TaskSizes(), func(v []nexus.TaskSize) { f.Size = v })
}

func (a *app) readyCommand() *cobra.Command {
	var filter nexus.ReadyFilter
	var explain string
	cmd := &cobra.Command{
		Use: "ready", Short: "List the tasks that can be claimed now, best first", Args: noArgs,
		Long: `List the tasks that can be claimed now, best first: by priority, then by age.

A task is ready when it is pending, everything it depends on is completed or skipped,
nothing blocks it, and its project goes on. A task whose agent has been silent for longer
than its lease is ready, too. With --explain, say what holds one task back instead.`,
		Example: "  nexus ready --limit 10 --json\n  nexus ready --explain t1m837hj",
	}
	flags := cmd.Flags()
	flags.IntVar(&filter.Limit, "limit", 50, "at most this many; 0 is all")
	flags.StringVar(&explain, "explain", "", "say what holds the task with this `id` back, down to the root causes")
	b := &binder{app: a, flags: flags}
	readyFlags(b, &filter)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case cmd.Flags().Changed("explain") && explain == "":
			return usage(cmd, errors.New("--explain wants an id"))
		case explain != "":
			return a.explain(cmd, explain)
		case filter.Limit < 0:
			return usage(cmd, errors.New("--limit cannot be negative"))
		}
		list := []nexus.Task{}
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			found, err := db.Tasks.Ready(cmd.Context(), filter)
			list = append(list, found...)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(list, func(out io.Writer) error {
			rows := make([][]string, len(list))
			for i, t := range list {
				rows[i] = []string{t.ID, string(t.Priority), date(t.CreatedAt), t.Name}
			}
			return tableOr(out, "No task is ready.", []string{"ID", "PRIORITY", "CREATED", "NAME"}, rows)
		})
	}
	return cmd
}

func (a *app) explain(cmd *cobra.Command, prefix string) error {
	var x *nexus.Explanation
	err := a.withDB(cmd.Context(), func(db *store.DB) error {
		id, err := db.Tasks.Resolve(cmd.Context(), prefix)
		if err == nil {
			x, err = db.Tasks.Explain(cmd.Context(), id)
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.print(x, func(out io.Writer) error {
		writeExplanation(out, x)
		return nil
	})
}

// mostCauses bounds the root causes that people are shown.
const mostCauses = 20

func writeExplanation(out io.Writer, x *nexus.Explanation) {
	name := oneLine(x.TaskID + " (" + x.Name + ")")
	if x.Ready {
		fmt.Fprintf(out, "%s is ready.\n", name)
		return
	}
	fmt.Fprintf(out, "%s is %s and cannot be claimed:\n", name, x.Status)
	for _, r := range x.Reasons {
		fmt.Fprintf(out, "  %s\n", oneLine(r.Message))
	}
	// What holds the task itself back has been said.
	var deeper []nexus.Reason
	for _, r := range x.RootCauses {
		if len(r.Path) > 1 {
			deeper = append(deeper, r)
		}
	}
	if len(deeper) == 0 {
		return
	}
	fmt.Fprintln(out, "What has to happen first:")
	for i, r := range deeper {
		if i == mostCauses {
			fmt.Fprintf(out, "  and %d more\n", len(deeper)-mostCauses)
			break
		}
		label := r.TaskID
		if r.Name != "" {
			label += " (" + r.Name + ")"
		}
		fmt.Fprintf(out, "  %s\n", oneLine(label+": "+r.Message))
		if len(r.Path) > 2 {
			fmt.Fprintf(out, "    by way of %s\n", oneLine(strings.Join(r.Path, " → ")))
		}
	}
}
