package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// workCommands are the steps of a task that an agent works on.
// evidenceFlags are the flags for what shows that a task is done, or how it failed.
func (a *app) evidenceFlags(cmd *cobra.Command, e *nexus.Evidence) {
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "commit", "the commit with the change", words[string](), func(s string) { e.Commit = s })
	flag(b, "files", "the files that were changed", lists[string](), func(s []string) { e.Files = s })
	flag(b, "tests", "the result of the tests", texts[string](), func(s string) { e.Tests = s })
	flag(b, "note", "what else there is to say", texts[string](), func(s string) { e.Note = s })
}

// reasonFlag is the flag for a reason.
func (a *app) reasonFlag(cmd *cobra.Command, reason *string) {
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "reason", "why", texts[string](), func(s string) { *reason = s })
}

func (a *app) completeCommand() *cobra.Command {
	var e nexus.Evidence
	return a.stepCommand(taskStep{
		use: "complete", short: "Say that a task is done", held: true,
		long:    "What depends on it may start. Evidence is kept with the attempt; see nexus task attempts.",
		example: `  nexus complete t1m837hj --epoch 7 --commit 4f2c1e9 --files parse.go,parse_test.go --tests "34 passed"`,
		flags:   func(cmd *cobra.Command) { a.evidenceFlags(cmd, &e) },
		run: func(ctx context.Context, tx *store.Tx, id string, epoch int64) (*nexus.Task, error) {
			return tx.Tasks.Complete(ctx, id, epoch, e)
		},
	})
}

func (a *app) failCommand() *cobra.Command {
	var f store.Failure
	return a.stepCommand(taskStep{
		use: "fail", short: "Say that an attempt at a task has failed", held: true,
		long: "The task becomes pending again, or escalated when it has failed as often as it may (max_attempts),\n" +
			"or with --final.",
		example: `  nexus fail t1m837hj --epoch 7 --reason "the tests do not pass"`,
		flags: func(cmd *cobra.Command) {
			a.reasonFlag(cmd, &f.Reason)
			cmd.Flags().BoolVar(&f.Final, "final", false, "trying again makes no sense: a person has to look at it")
			a.evidenceFlags(cmd, &f.Evidence)
		},
		run: func(ctx context.Context, tx *store.Tx, id string, epoch int64) (*nexus.Task, error) {
			return tx.Tasks.Fail(ctx, id, epoch, f)
		},
	})
}

func (a *app) releaseCommand() *cobra.Command {
	var reason string
	return a.stepCommand(taskStep{
		use: "release", short: "Give a task back, for others to claim", held: true,
		long:    "It does not count as a failed attempt.",
		example: `  nexus release t1m837hj --epoch 7 --reason "out of tokens"` + "\n  nexus release t1m837hj --force",
		flags:   func(cmd *cobra.Command) { a.reasonFlag(cmd, &reason) },
		run: func(ctx context.Context, tx *store.Tx, id string, epoch int64) (*nexus.Task, error) {
			return tx.Tasks.Release(ctx, id, epoch, reason)
		},
	})
}

func (a *app) blockCommand() *cobra.Command {
	var reason string
	return a.stepCommand(taskStep{
		use: "block", short: "Hold a task back until something else has happened", held: true,
		long:    "It stays so until nexus unblock.",
		example: `  nexus block t1m837hj --epoch 7 --reason "waits for the API key"`,
		flags:   func(cmd *cobra.Command) { a.reasonFlag(cmd, &reason) },
		run: func(ctx context.Context, tx *store.Tx, id string, epoch int64) (*nexus.Task, error) {
			return tx.Tasks.Block(ctx, id, epoch, reason)
		},
	})
}

func (a *app) unblockCommand() *cobra.Command {
	return a.stepCommand(taskStep{
		use: "unblock", short: "Let a task that was blocked go on",
		example: "  nexus unblock t1m837hj",
		run: func(ctx context.Context, tx *store.Tx, id string, _ int64) (*nexus.Task, error) {
			return tx.Tasks.Unblock(ctx, id)
		},
	})
}

func (a *app) skipCommand() *cobra.Command {
	var reason string
	return a.stepCommand(taskStep{
		use: "skip", short: "Say that a task is not to be done after all", held: true,
		long:    "What depends on it may start.",
		example: `  nexus skip t1m837hj --reason "out of scope"`,
		flags:   func(cmd *cobra.Command) { a.reasonFlag(cmd, &reason) },
		run: func(ctx context.Context, tx *store.Tx, id string, epoch int64) (*nexus.Task, error) {
			return tx.Tasks.Skip(ctx, id, epoch, reason)
		},
	})
}

func (a *app) reopenCommand() *cobra.Command {
	var reason string
	return a.stepCommand(taskStep{
		use: "reopen", short: "Have a task done again that has ended, failed or was escalated",
		long:    "It becomes pending, with all its attempts and QA iterations before it.",
		example: `  nexus reopen t1m837hj --reason "the key has been renewed"`,
		flags:   func(cmd *cobra.Command) { a.reasonFlag(cmd, &reason) },
		run: func(ctx context.Context, tx *store.Tx, id string, _ int64) (*nexus.Task, error) {
			return tx.Tasks.Reopen(ctx, id, reason)
		},
	})
}

func (a *app) qaCommand() *cobra.Command {
	var note string
	return a.stepCommand(taskStep{
		use: "qa", short: "Count a round of reviewing and mending a task", held: true,
		long:    "When there have been as many as there may be (max_iterations), the task is escalated.",
		example: `  nexus qa t1m837hj --epoch 7 --note "two findings"`,
		flags: func(cmd *cobra.Command) {
			b := &binder{app: a, flags: cmd.Flags()}
			flag(b, "note", "what was found", texts[string](), func(s string) { note = s })
		},
		run: func(ctx context.Context, tx *store.Tx, id string, epoch int64) (*nexus.Task, error) {
			return tx.Tasks.QA(ctx, id, epoch, note)
		},
	})
}

func (a *app) attemptsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "attempts ID", Short: "List who has worked on a task, and what came of it", Args: exactArgs(1, "one id, or the beginning of one"),
		Example: "  nexus task attempts t1m837hj --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			list := []nexus.Attempt{}
			err := a.withDB(cmd.Context(), func(db *store.DB) error {
				id, err := db.Tasks.Resolve(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				found, err := db.Tasks.Attempts(cmd.Context(), id)
				list = append(list, found...)
				return err
			})
			if err != nil {
				return err
			}
			return a.print(list, func(out io.Writer) error {
				rows := make([][]string, len(list))
				for i, t := range list {
					rows[i] = []string{fmt.Sprint(t.Epoch), t.AgentID, date(t.ClaimedAt), date(t.EndedAt), string(t.Outcome), t.Reason}
				}
				return tableOr(out, "Nobody has worked on it yet.", []string{"EPOCH", "AGENT", "CLAIMED", "ENDED", "OUTCOME", "REASON"}, rows)
			})
		},
	}
}
