package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/worker"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) workerCommand() *cobra.Command {
	w := worker.Worker{Now: a.Now}
	cmd := &cobra.Command{
		Use: "work --agent NAME -- COMMAND…", Short: "Run a command for each task that is ready",
		Long: `Claim tasks, run COMMAND for each, and store how it ended: a worker of any program, in one line.

The command gets the task as JSON on standard input, and in its environment NEXUS_TASK_ID,
NEXUS_EPOCH and more. Exit status 0 completes the task, 75 gives it back to be tried later,
65 fails it for good, any other fails this attempt. It may append metrics and evidence to the
file $NEXUS_REPORT, one JSON object a line. docs/worker.md has all of it.

The lease is kept while the command runs. SIGINT and SIGTERM stop the worker: commands are
asked to end, and what they have not finished is given back. When it starts, it first takes
back what dead agents hold. The exit code is 0 also when tasks have failed; that is stored.`,
		Example: "  nexus work --agent coder-1 --until-empty -- ./agent.sh\n" +
			"  nexus work --agent tester-1 --type tester --concurrency 4 --lease 5m --json -- make test",
		Args: commandArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&w.AgentID, "agent", "", "the `agent` that works; a new one is registered (default: $"+envAgent+")")
	flags.IntVar(&w.Concurrency, "concurrency", 1, "run up to `number` commands at once")
	flags.DurationVar(&w.Lease, "lease", worker.DefaultLease, "how long the worker may be silent before others take its tasks")
	flags.BoolVar(&w.UntilEmpty, "until-empty", false, "end when nothing is ready and nobody is at work")
	flags.DurationVar(&w.Grace, "grace", 10*time.Second, "how long commands have to end when the worker is stopped")
	flags.IntVar(&w.MaxTasks, "max-tasks", 0, "claim at most `number` tasks, then end; 0 is no limit")
	b := &binder{app: a, flags: flags}
	flag(b, "type", "what the agent is: planner, coder (the default), tester, reviewer or merger", words[nexus.AgentType](),
		func(t nexus.AgentType) { w.AgentType = t })
	readyFlags(b, &w.Filter)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.prepareWorker(cmd, &w, args); err != nil {
			return err
		}
		a.Terminal = false // a spinner and the log would overwrite each other
		var summary worker.Summary
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			w.DB = db
			// Its steps are the agent's, whoever has started it.
			summary, err = w.Run(store.WithActor(cmd.Context(), w.AgentID))
			return err
		})
		if err != nil {
			return err
		}
		return a.print(summary, func(out io.Writer) error { return writeSummary(out, &summary) })
	}
	return cmd
}

// commandArgs wants a command after --, so that its flags are not taken for ours.
func commandArgs(cmd *cobra.Command, args []string) error {
	dash := cmd.ArgsLenAtDash()
	switch {
	case len(args) == 0 || dash == len(args) || dash >= 0 && args[dash] == "":
		return usage(cmd, errors.New("give the command to run, after --"))
	case dash != 0:
		return usage(cmd, fmt.Errorf("%q is not expected; the command to run comes after --", args[0]))
	}
	return nil
}

func (a *app) prepareWorker(cmd *cobra.Command, w *worker.Worker, args []string) error {
	if w.AgentID == "" {
		w.AgentID = a.Getenv(envAgent)
	}
	switch {
	case w.AgentID == "":
		return usage(cmd, errors.New("give --agent"))
	case w.Concurrency < 1 || w.Concurrency > nexus.MaxClaims:
		return usage(cmd, fmt.Errorf("--concurrency must be from 1 to %d", nexus.MaxClaims))
	case w.Lease == 0:
		return usage(cmd, errors.New("--lease 0s: a lease is at least "+nexus.MinLease.String()))
	case w.Grace < 0:
		return usage(cmd, errors.New("--grace cannot be negative"))
	case w.MaxTasks < 0:
		return usage(cmd, errors.New("--max-tasks cannot be negative"))
	}
	if err := nexus.ValidateLease(w.Lease); err != nil {
		return err
	}
	if _, err := exec.LookPath(args[0]); err != nil {
		return usage(cmd, fmt.Errorf("the command cannot be run: %w", err))
	}
	w.Command, w.Log, w.Database = args, a.logWork, a.path()
	if w.Database == ":memory:" || a.Database.IsURL(w.Database) {
		return nil // the one no other process sees wherever it looks; the other is the same from everywhere
	}
	path, err := filepath.Abs(w.Database)
	if err != nil {
		return &nexus.Error{Code: nexus.CodeIO, Message: "the current folder cannot be found", Err: err}
	}
	w.Database = path
	return nil
}

// logWork prints one line of a worker's log on standard error.
func (a *app) logWork(task, message string) {
	now := a.Now().UTC().Truncate(time.Second)
	if a.json {
		text, err := json.Marshal(struct {
			SchemaVersion int       `json:"schema_version"`
			Note          string    `json:"note"`
			TaskID        string    `json:"task_id,omitempty"`
			At            time.Time `json:"at"`
		}{schemaVersion, oneLine(message), task, now})
		if err == nil {
			fmt.Fprintf(a.Err, "%s\n", text)
		}
		return
	}
	line := now.Format(time.RFC3339) + "  "
	if task != "" {
		line += oneLine(task) + "  "
	}
	fmt.Fprintln(a.Err, line+oneLine(message))
}

func writeSummary(out io.Writer, s *worker.Summary) error {
	fmt.Fprintf(out, "%d completed, %d failed, %d released, %d lost.\n", s.Completed, s.Failed, s.Released, s.Lost)
	if s.Left == nil {
		return nil
	}
	var parts []string
	for status, n := range s.Left.ByStatus {
		parts = append(parts, fmt.Sprintf("%d %s", n, oneLine(string(status))))
	}
	slices.Sort(parts)
	verb := "are"
	if s.Left.Total == 1 {
		verb = "is"
	}
	_, err := fmt.Fprintf(out, "%s %s left, but held back (%s); nexus ready --explain ID says why.\n",
		counted(s.Left.Total, "task"), verb, strings.Join(parts, ", "))
	return err
}
