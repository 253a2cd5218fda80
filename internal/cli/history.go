package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) historyCommand() *cobra.Command {
	filter := nexus.HistoryFilter{Newest: true, Limit: 50}
	var oldest bool
	cmd := &cobra.Command{
		Use: "history [[KIND] ID]", Short: "Say who changed what, and when", Args: maximumArgs(2, "at most a kind and an id"),
		Long: `List changes, the newest first: all of them, or those of one row, also of one that has been
deleted since. What a transaction of Nexus has changed is one operation, whose number
nexus undo takes. Changes by other programs are there, too, but nobody's name.

Metrics and signs of life are not in the history. docs/history.md has more.`,
		Example: "  nexus history --limit 20\n" +
			"  nexus history task " + exampleID(nexus.KindTask) + " --json\n" +
			"  nexus history --actor coder-1 --since 2h\n" +
			"  nexus history --before 4711",
	}
	flags := cmd.Flags()
	b := &binder{app: a, flags: flags}
	existing(b, "project", "of this project", nexus.KindProject, func(id string) { filter.ProjectID = id })
	flag(b, "actor", "made by this agent or person", choice[string](), func(s string) { filter.Actor = s })
	flag(b, "operation", "of the operation with this number", positions, func(n int64) { filter.Operation = n })
	flag(b, "name", "of operations with this name, such as claim or 'task update'", choice[string](), func(s string) { filter.Name = s })
	flag(b, "since", "made then or later: a time, or how long ago", pasts, func(t time.Time) { filter.Since = t })
	flag(b, "after", "with higher numbers", numbers[int64](), func(n int64) { filter.After = n })
	flag(b, "before", "with lower numbers", positions, func(n int64) { filter.Before = n })
	flag(b, "limit", "at most this many (default: 50); 0 is all", numbers[int](), func(n int) { filter.Limit = n })
	flags.BoolVar(&oldest, "oldest", false, "the oldest first")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if filter.Limit < 0 {
			return usage(cmd, errors.New("--limit cannot be negative"))
		}
		if filter.After < 0 {
			return usage(cmd, errors.New("--after cannot be negative"))
		}
		filter.Newest = !oldest
		kind, prefix, err := rowArgs(cmd, args)
		if err != nil {
			return err
		}
		list := []nexus.Change{}
		var compacted int64
		err = a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			if prefix != "" {
				if filter.Kind, filter.ID, err = db.Locate(cmd.Context(), kind, prefix); err != nil {
					return err
				}
			}
			filter.Limit = oneMore(filter.Limit)
			found, err := db.History(cmd.Context(), filter)
			if list = append(list, found...); err == nil {
				compacted, err = db.Compacted(cmd.Context())
			}
			return err
		})
		if err != nil {
			return err
		}
		more := ""
		if filter.Limit > 0 && len(list) == filter.Limit {
			list = list[:filter.Limit-1]
			more = strconv.FormatInt(list[len(list)-1].Seq, 10)
		}
		return a.printPage(list, more, func(out io.Writer) error {
			if err := historyTable(out, list, more, oldest); err != nil {
				return err
			}
			if cutShort := filter.After < compacted && (oldest || more == ""); !cutShort {
				return nil
			}
			_, err := fmt.Fprintf(out, "What was before change %d has been compacted.\n", compacted)
			return err
		})
	}
	return cmd
}

// oneMore makes a limit show whether there is more.
func oneMore(limit int) int {
	if limit > 0 {
		limit++
	}
	return limit
}

// rowArgs reads the arguments that name a row.
func rowArgs(cmd *cobra.Command, args []string) (kind nexus.Kind, id string, err error) {
	switch len(args) {
	case 0:
		return "", "", nil
	case 1:
		return "", args[0], nil
	}
	word := strings.ReplaceAll(strings.TrimSuffix(args[0], "s"), "-", "_")
	if word == "subfeature" {
		word = string(nexus.KindSubFeature)
	}
	for _, k := range nexus.Kinds() {
		if string(k) == word {
			return k, args[1], nil
		}
	}
	return "", "", usage(cmd, fmt.Errorf("%q is not a kind; there are project, feature, subfeature, task, agent, checkpoint, requirement and session", args[0]))
}

func historyTable(out io.Writer, list []nexus.Change, more string, oldest bool) error {
	rows := make([][]string, len(list))
	for i := range list {
		c := &list[i]
		row := []string{strconv.FormatInt(c.Seq, 10), "", "", "", "", string(c.Kind) + " " + c.ID, did(c)}
		if i == 0 || c.Operation != list[i-1].Operation {
			actor, name := by(c)
			row[1], row[2], row[3], row[4] = date(c.At), strconv.FormatInt(c.Operation, 10), actor, name
		}
		rows[i] = row
	}
	if err := tableOr(out, "There are no such changes.", []string{"CHANGE", "TIME", "OPERATION", "BY", "DID", "ROW", "WHAT"}, rows); err != nil {
		return err
	}
	if more != "" {
		flag := "--before"
		if oldest {
			flag = "--after"
		}
		_, err := fmt.Fprintf(out, "There are more: %s %s\n", flag, more)
		return err
	}
	return nil
}

// changeLine is a change on a line of its own.
func changeLine(c *nexus.Change) string {
	actor, name := by(c)
	if actor == "" {
		actor = "-"
	}
	return oneLine(fmt.Sprintf("%d  %s  %s  %s  %s %s  %s",
		c.Seq, c.At.UTC().Format(time.DateTime), actor, name, c.Kind, c.ID, did(c)))
}
