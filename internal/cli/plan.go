package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/plan"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan", Short: "Store a whole plan of work at once",
		Long: "A plan is a JSON document with a project, its features, sub-features, tasks and requirements,\n" +
			"which refer to each other by names of your choice. docs/plans.md describes it.",
		Example: "  nexus plan apply plan.json",
		Args:    cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.planApplyCommand())
	return cmd
}

func (a *app) planApplyCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use: "apply FILE", Short: "Store a plan, all of it or nothing",
		Long: `Store a plan, all of it or nothing. FILE may be - for standard input.

What is new is created, what has changed is updated, what is the same is left alone;
so applying a plan twice changes nothing. The status of what exists is not touched.
What is wrong with its form is reported all at once, with line and column; if nothing
is, so is what is wrong with what it says.`,
		Example: "  nexus plan apply plan.json\n  nexus plan apply --dry-run plan.json\n  generate-plan | nexus plan apply -",
		Args:    exactArgs(1, "one file, or - for standard input"),
	}
	a.keyFlag(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check everything and say what would be done, but do not do it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := a.readFile(args[0])
		if err != nil {
			return err
		}
		document, err := plan.Parse(text)
		if err != nil {
			return err
		}
		report, err := a.applyPlan(cmd, text, document, dryRun)
		if err != nil {
			return err
		}
		return a.print(report, func(out io.Writer) error { return planTable(out, report) })
	}
	return cmd
}

// maxDocument bounds what is read from a file into memory.
const maxDocument = 64 << 20

// readFile reads a file, or standard input if its name is -. It can be
// interrupted also while it waits for input that does not come.
func (a *app) readFile(name string) ([]byte, error) {
	if name == "-" {
		if a.stdinRead {
			return nil, nexus.Errorf(nexus.CodeInvalid, "standard input can be read only once")
		}
		a.stdinRead = true
	}
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := a.readAll(name)
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-a.ctx.Done():
		return nil, &nexus.Error{Code: nexus.CodeCanceled, Message: "stopped before the input was read", Hint: "nothing was changed"}
	}
}

func (a *app) readAll(name string) ([]byte, error) {
	in := a.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, &nexus.Error{Code: nexus.CodeIO, Message: "the file cannot be read", Err: err}
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err != nil {
		return nil, &nexus.Error{Code: nexus.CodeIO, Message: "the file cannot be read", Err: err}
	}
	if len(text) > maxDocument {
		if name == "-" {
			name = "standard input"
		}
		return nil, nexus.Errorf(nexus.CodeInvalid, "%s is longer than %d MB", name, maxDocument>>20)
	}
	return text, nil
}

// applyPlan stores a document that came from text.
func (a *app) applyPlan(cmd *cobra.Command, text []byte, document *plan.Document, dryRun bool) (report *plan.Report, err error) {
	ctx := cmd.Context()
	options := plan.Options{DryRun: dryRun, Now: a.Now}
	err = a.withDB(ctx, func(db *store.DB) error {
		options.Progress = a.progress.report
		if dryRun {
			report, err = plan.Apply(ctx, db, document, options)
			return err
		}
		sum := sha256.Sum256(text)
		report, err = once(a, cmd, db, []string{hex.EncodeToString(sum[:])}, func(tx *store.Tx) (*plan.Report, error) {
			return plan.ApplyIn(ctx, tx, document, options)
		})
		return err
	})
	return report, err
}

func planTable(out io.Writer, r *plan.Report) error {
	verb := "Stored the plan in"
	switch {
	case r.DryRun:
		verb = "Nothing was stored; this would be done in"
	case !r.Changed():
		verb = "Nothing has changed in"
	}
	project := "project " + r.ProjectID
	if r.ProjectID == "" {
		project = "a new project"
	}
	fmt.Fprintf(out, "%s %s.\n", verb, project)
	rows := [][]string{}
	for _, section := range []struct {
		name string
		plan.Count
	}{
		{"projects", r.Projects},
		{"features", r.Features},
		{"sub-features", r.SubFeatures},
		{"tasks", r.Tasks},
		{"requirements", r.Requirements},
	} {
		rows = append(rows, []string{
			section.name, fmt.Sprint(section.Created), fmt.Sprint(section.Updated), fmt.Sprint(section.Unchanged), fmt.Sprint(section.Kept),
		})
	}
	if err := table(out, []string{"", "CREATED", "UPDATED", "UNCHANGED", "NOT IN PLAN, KEPT"}, rows); err != nil {
		return err
	}
	noun := "dependencies"
	if r.Dependencies == 1 {
		noun = "dependency"
	}
	_, err := fmt.Fprintf(out, "%d %s between the tasks of the plan.\n", r.Dependencies, noun)
	return err
}
