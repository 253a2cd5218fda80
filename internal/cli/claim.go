package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// Environment variables that say who works on what, so that a program that was
// started for one task need not repeat it.
const (
	envAgent = "NEXUS_AGENT"
	envTask  = "NEXUS_TASK_ID"
	envEpoch = "NEXUS_EPOCH"
)

func (a *app) claimCommand() *cobra.Command {
	var r nexus.ClaimRequest
	cmd := &cobra.Command{
		Use: "claim [ID]", Short: "Take the best task that is ready, or the one with ID",
		Long: `Take the best task that is ready, or the one with ID, and print its epoch.

The task is the agent's until it is completed, failed, released, blocked or skipped, all
of which want the epoch, or until the agent has been silent for longer than the lease.
Every heartbeat and every report of progress extends that. No two agents are ever given
the same task. If nothing is ready, the exit code is 22.`,
		Example: "  nexus claim --agent coder-1 --json\n  nexus claim t1m837hj --agent coder-1 --lease 30m\n" +
			"  nexus claim --agent coder-1 --project p1m837hj --idempotency-key run-7",
		Args: maximumArgs(1, "at most one id"),
	}
	flags := cmd.Flags()
	flags.StringVar(&r.AgentID, "agent", "", "the `agent` that takes it; a new one is registered (default: $"+envAgent+")")
	flags.DurationVar(&r.Lease, "lease", nexus.DefaultLease, "how long the agent may be silent")
	flags.IntVar(&r.Count, "count", 1, "take up to `number` tasks")
	a.keyFlag(cmd)
	b := &binder{app: a, flags: flags}
	flag(b, "type", "what a new agent is: planner, coder (the default), tester, reviewer or merger", words[nexus.AgentType](),
		func(t nexus.AgentType) { r.AgentType = t })
	readyFlags(b, &r.Filter)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if r.AgentID == "" {
			r.AgentID = a.Getenv(envAgent)
		}
		switch {
		case r.AgentID == "":
			return usage(cmd, errors.New("give --agent"))
		case cmd.Flags().Changed("lease") && r.Lease == 0:
			return usage(cmd, errors.New("--lease 0s: a lease is at least "+nexus.MinLease.String()))
		case cmd.Flags().Changed("count") && r.Count < 1:
			return usage(cmd, errors.New("--count is at least 1"))
		}
		var claims []nexus.Claim
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			claims, err = once(a, cmd, db, args, func(tx *store.Tx) ([]nexus.Claim, error) {
				return a.claim(cmd.Context(), tx, r, args)
			})
			if code := nexus.CodeOf(err); code == nexus.CodeOverBudget || code == nexus.CodeNoneReady {
				if failed := escalateOverBudget(cmd.Context(), db, r, args); failed != nil {
					return failed
				}
			}
			return err
		})
		if err != nil {
			return err
		}
		return a.print(claims, func(out io.Writer) error { return claimTable(out, claims) })
	}
	return cmd
}

func (a *app) claim(ctx context.Context, tx *store.Tx, r nexus.ClaimRequest, args []string) ([]nexus.Claim, error) {
	if len(args) > 0 {
		id, err := tx.Tasks.Resolve(ctx, args[0])
		if err != nil {
			return nil, err
		}
		r.TaskID = id
	}
	claims, err := tx.Tasks.Claim(ctx, r)
	if err == nil && len(claims) == 0 {
		err = noneReady(ctx, tx, r.Filter)
	}
	return claims, err
}

// escalateOverBudget keeps what the refused claim, with whose transaction it is gone,
// has made of tasks without a budget left.
func escalateOverBudget(ctx context.Context, db *store.DB, r nexus.ClaimRequest, args []string) (err error) {
	if len(args) > 0 {
		if r.TaskID, err = db.Tasks.Resolve(ctx, args[0]); err != nil {
			return err
		}
	}
	return db.Tasks.EscalateOverBudget(ctx, r)
}

// noneReady says why there is nothing to do: for an agent, to wait makes sense only
// if somebody is at work.
func noneReady(ctx context.Context, tx *store.Tx, filter nexus.ReadyFilter) error {
	counts, err := tx.Tasks.CountByStatus(ctx, nexus.TaskFilter{
		ProjectID: filter.ProjectID, FeatureID: filter.FeatureID, SubFeatureID: filter.SubFeatureID,
	})
	if err != nil {
		return err
	}
	var left, inFlight int64
	for status, n := range counts {
		switch {
		case status.Ended():
		case status.InFlight():
			inFlight += n
		default:
			left += n
		}
	}
	e := &nexus.Error{Code: nexus.CodeNoneReady, Hint: "nexus ready --explain ID says what holds one back"}
	switch {
	case left+inFlight == 0:
		e.Message, e.Hint = "no task is ready: none is left to be done", ""
	default:
		e.Message = fmt.Sprintf("no task is ready: %d in flight, %d held back", inFlight, left)
	}
	if inFlight > 0 {
		e.Hint = "try again when one of those in flight has ended; " + e.Hint
	}
	return e
}

func claimTable(out io.Writer, claims []nexus.Claim) error {
	rows := make([][]string, len(claims))
	for i, c := range claims {
		rows[i] = []string{c.TaskID, fmt.Sprint(c.Epoch), date(c.LeaseUntil), string(c.Task.Priority), c.Task.Name}
	}
	if err := table(out, []string{"TASK", "EPOCH", "LEASE UNTIL", "PRIORITY", "NAME"}, rows); err != nil {
		return err
	}
	if len(claims) == 1 && claims[0].Task.Description != "" {
		_, err := fmt.Fprintf(out, "\n%s\n", oneLineEach(claims[0].Task.Description))
		return err
	}
	return nil
}

// held is the task that a command is about, and the epoch with which it is held.
type held struct {
	app   *app
	epoch int64
	force bool
}

// heldFlags gives a command the flags that say by which right it acts.
func (a *app) heldFlags(cmd *cobra.Command, force bool) *held {
	h := &held{app: a}
	cmd.Flags().Int64Var(&h.epoch, "epoch", 0, "the `number` that claim printed (default: $"+envEpoch+", if the task is $"+envTask+")")
	if force {
		cmd.Flags().BoolVar(&h.force, "force", false, "for people: take the task from whoever holds it")
	}
	return h
}

// resolve returns the task's id and the epoch to act with.
func (h *held) resolve(ctx context.Context, tx *store.Tx, cmd *cobra.Command, args []string) (id string, epoch int64, err error) {
	id, epoch, err = h.given(cmd, args)
	if err == nil {
		id, err = tx.Tasks.Resolve(ctx, id)
	}
	return id, epoch, err
}

// given is resolve without a database: what was typed, or else the environment.
func (h *held) given(cmd *cobra.Command, args []string) (id string, epoch int64, err error) {
	epoch = h.epoch
	switch {
	case cmd.Flags().Changed("epoch") && h.epoch <= 0:
		return "", 0, usage(cmd, errors.New("--epoch counts from 1"))
	case cmd.Flags().Changed("epoch") && h.force:
		return "", 0, usage(cmd, errors.New("--force and --epoch exclude each other"))
	}
	id = h.app.Getenv(envTask)
	mine := len(args) == 0 || args[0] == id
	if len(args) > 0 {
		id = args[0]
	}
	if id == "" {
		return "", 0, usage(cmd, errors.New("give one id, or the beginning of one"))
	}
	if mine && epoch == 0 {
		if _, err := fmt.Sscan(h.app.Getenv(envEpoch), &epoch); err != nil && h.app.Getenv(envEpoch) != "" {
			return "", 0, usage(cmd, fmt.Errorf("$%s is %q, not a number", envEpoch, h.app.Getenv(envEpoch)))
		}
	}
	if h.force {
		epoch = nexus.AnyEpoch
	}
	return id, epoch, nil
}

func (a *app) heartbeatCommand() *cobra.Command {
	var lease time.Duration
	cmd := &cobra.Command{
		Use: "heartbeat [ID]", Short: "Say that you are still at work on a task",
		Long: "Say that you are still at work on a task: the lease is extended.\n\n" +
			"If the exit code is 20, the task is another's by now: stop working on it.",
		Example: "  nexus heartbeat t1m837hj --epoch 7\n  nexus heartbeat t1m837hj --epoch 7 --lease 1h --json",
		Args:    maximumArgs(1, "at most one id"),
	}
	h := a.heldFlags(cmd, false)
	a.keyFlag(cmd)
	cmd.Flags().DurationVar(&lease, "lease", 0, "how long you may be silent from now on (default: as before)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.attemptStep(cmd, args, h, func(tx *store.Tx, id string, epoch int64) (*nexus.Attempt, error) {
			return tx.Tasks.Heartbeat(cmd.Context(), id, epoch, lease)
		})
	}
	return cmd
}

func (a *app) progressCommand() *cobra.Command {
	var p nexus.Progress
	var next []string
	cmd := &cobra.Command{
		Use: "progress [ID]", Short: "Say how far you are with a task",
		Long: "Say how far you are with a task, for whoever watches it or has to go on with it. What was said\n" +
			"before is replaced. It is a heartbeat as well.",
		Example: `  nexus progress t1m837hj --epoch 7 --percent 40 --note "the lexer is done"` + "\n" +
			`  nexus progress t1m837hj --epoch 7 --file parse.go --line 120 --next "errors" --next "tests"`,
		Args: maximumArgs(1, "at most one id"),
	}
	h := a.heldFlags(cmd, false)
	a.keyFlag(cmd)
	flags := cmd.Flags()
	b := &binder{app: a, flags: flags}
	flag(b, "note", "what there is to say", texts[string](), func(s string) { p.Note = s })
	flags.IntVar(&p.Percent, "percent", 0, "how much is done, from 0 to 100")
	flags.StringVar(&p.LastAction, "last-action", "", "what was done last")
	flags.StringVar(&p.File, "file", "", "where: the `path` of a file")
	flags.IntVar(&p.Line, "line", 0, "the line in it")
	flags.StringArrayVar(&next, "next", nil, "a `step` that comes next; may be given several times")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p.NextSteps = next
		return a.attemptStep(cmd, args, h, func(tx *store.Tx, id string, epoch int64) (*nexus.Attempt, error) {
			return tx.Tasks.Progress(cmd.Context(), id, epoch, p)
		})
	}
	return cmd
}

// attemptStep runs a command that keeps an attempt going.
func (a *app) attemptStep(cmd *cobra.Command, args []string, h *held, step func(*store.Tx, string, int64) (*nexus.Attempt, error)) error {
	if _, epoch, err := h.given(cmd, args); err != nil {
		return err
	} else if epoch == 0 {
		return usage(cmd, errors.New("give --epoch"))
	}
	var attempt *nexus.Attempt
	err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
		attempt, err = once(a, cmd, db, args, func(tx *store.Tx) (*nexus.Attempt, error) {
			id, epoch, err := h.resolve(cmd.Context(), tx, cmd, args)
			if err != nil {
				return nil, err
			}
			return step(tx, id, epoch)
		})
		return err
	})
	if err != nil {
		return err
	}
	return a.print(attempt, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s is %s's until %s.\n", attempt.TaskID, attempt.AgentID, attempt.LeaseUntil.UTC().Format(time.RFC3339))
		return err
	})
}

// taskStep is a command that changes what becomes of a task.
type taskStep struct {
	use, short, long, example string

	held  bool // wants the epoch of the attempt, if there is one
	flags func(*cobra.Command)
	run   func(ctx context.Context, tx *store.Tx, id string, epoch int64) (*nexus.Task, error)
}

func (a *app) stepCommand(s taskStep) *cobra.Command {
	cmd := &cobra.Command{
		Use: s.use + " [ID]", Short: s.short, Long: strings.TrimSpace(s.short + ".\n\n" + s.long), Example: s.example,
		Args: maximumArgs(1, "at most one id"),
	}
	h := &held{app: a}
	if s.held {
		h = a.heldFlags(cmd, true)
	}
	a.keyFlag(cmd)
	if s.flags != nil {
		s.flags(cmd)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, _, err := h.given(cmd, args); err != nil {
			return err
		}
		var t *nexus.Task
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			t, err = once(a, cmd, db, args, func(tx *store.Tx) (*nexus.Task, error) {
				id, epoch, err := h.resolve(cmd.Context(), tx, cmd, args)
				if err != nil {
					return nil, err
				}
				return s.run(cmd.Context(), tx, id, epoch)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(t, func(out io.Writer) error {
			state := string(t.Status)
			if s.use == "fail" {
				state += fmt.Sprintf(", %d of %d attempts have failed", t.FailedAttempts, t.MaxAttempts)
			}
			_, err := fmt.Fprintf(out, "%s is %s: %s\n", t.ID, state, oneLine(t.Name))
			return err
		})
	}
	return cmd
}
