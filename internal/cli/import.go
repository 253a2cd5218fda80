package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/taskmaster"
	"github.com/seed-c8812374/nexus/plan"
)

func (a *app) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import", Short: "Take over an export, or the work of another tool",
		Example: "  nexus import taskmaster .taskmaster/tasks/tasks.json\n  nexus --db new.db import jsonl export.jsonl",
		Args:    cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.importTaskmasterCommand(), a.importJSONLCommand())
	return cmd
}

// imported is what an import did.
type imported struct {
	Source *taskmaster.Report `json:"source"`
	Stored *plan.Report       `json:"stored"`
}

func (a *app) importTaskmasterCommand() *cobra.Command {
	var options taskmaster.Options
	var dryRun bool
	cmd := &cobra.Command{
		Use: "taskmaster FILE", Short: "Import a tasks.json of Task Master",
		Long: `Import a tasks.json of Task Master, with or without tags. FILE may be - for standard input.

A tag becomes a feature, a task a task, a subtask a task that its parent depends on; a
task with subtasks becomes a sub-feature as well. What has no column of its own is kept
in the task's metadata, and whatever is not simply what it was is listed. Importing a
newer version of the file later changes what has changed; statuses are left alone.`,
		Example: "  nexus import taskmaster .taskmaster/tasks/tasks.json --dry-run\n" +
			"  nexus import taskmaster tasks.json --project my-app --json",
		Args: exactArgs(1, "one file, or - for standard input"),
	}
	a.keyFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&options.Project, "project", "", "`name` and plan key of the project (default: from the file's path)")
	flags.StringVar(&options.RootPath, "root-path", "", "the `folder` of its source")
	flags.BoolVar(&dryRun, "dry-run", false, "check everything and say what would be done, but do not do it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := a.readFile(args[0])
		if err != nil {
			return err
		}
		if options.Key = options.Project; options.Project == "" {
			options.Project, options.Key = projectOf(args[0])
		}
		document, source, err := taskmaster.Convert(text, options)
		if err != nil {
			return err
		}
		stored, err := a.applyPlan(cmd, text, document, dryRun)
		if err != nil {
			return err
		}
		return a.print(imported{source, stored}, func(out io.Writer) error {
			importTable(out, source)
			return planTable(out, stored)
		})
	}
	return cmd
}

// projectOf makes the name and plan key of a project from the path of its file.
// The name is that of the folder with the .taskmaster in it, else that of the
// file. The key is the path, so that the files of two projects are never taken
// for one.
func projectOf(path string) (name, key string) {
	if path == "-" {
		return "taskmaster", "taskmaster"
	}
	full, err := filepath.Abs(path)
	if err != nil {
		full = path
	}
	name = strings.TrimSuffix(filepath.Base(full), filepath.Ext(full))
	if root, _, found := strings.Cut(filepath.ToSlash(full), "/.taskmaster/"); found && root != "" {
		name, full = filepath.Base(root), root
	}
	if key = "taskmaster:" + full; len(key) > nexus.MaxID {
		sum := sha256.Sum256([]byte(full))
		key = "taskmaster:" + hex.EncodeToString(sum[:])
	}
	return name, key
}

func importTable(out io.Writer, r *taskmaster.Report) {
	fmt.Fprintf(out, `%s became features.
%s became tasks; %d of them have subtasks and became sub-features as well.
%s became tasks.
%d dependencies were kept; %d were added from a task to its subtasks, and %d from a subtask to what its task waits for.
`, counted(int64(r.Tags), "tag"), counted(int64(r.Tasks), "task"), r.SubFeatures, counted(int64(r.Subtasks), "subtask"), r.Dependencies, r.Parts, r.Inherited)
	if len(r.Notes) > 0 {
		fmt.Fprintf(out, "%d things are not simply what they were:\n", len(r.Notes))
		for _, n := range r.Notes {
			fmt.Fprintf(out, "  %s %s\n", oneLine(n.Where), oneLine(n.Message))
		}
	}
}
