package cli

import (
	"bufio"
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

// undo is one run of the command.
type undo struct {
	app     *app
	cmd     *cobra.Command
	request nexus.UndoRequest
	yes     bool
}

func (a *app) undoCommand() *cobra.Command {
	u := &undo{app: a}
	cmd := &cobra.Command{
		Use: "undo --op N", Short: "Take back an operation, or what somebody has done since", Args: noArgs,
		Long: `Take back an operation, whose number nexus history shows, or all that an agent or a person has
changed since a time. First it shows what would change, and asks; where nobody can be asked it
changes nothing without --yes.

What others have changed since is not overwritten: then nothing is undone, and the conflicts are
shown; --force overwrites it. Undoing is an operation itself, and can be undone. Tasks that would
be in flight again become pending.`,
		Example: "  nexus undo --op 4711\n" +
			"  nexus undo --actor coder-1 --since 2h --dry-run\n" +
			"  nexus undo --op 4711 --yes --json",
	}
	u.cmd = cmd
	flags := cmd.Flags()
	b := &binder{app: a, flags: flags}
	flag(b, "op", "the operation with this number", positions, func(n int64) { u.request.Operation = n })
	flag(b, "actor", "what this agent or person has done", words[string](), func(s string) { u.request.Actor = s })
	flag(b, "agent", "the same as --actor", words[string](), func(s string) { u.request.Actor = s })
	flag(b, "since", "then or later: a time, or how long ago", pasts, func(t time.Time) { u.request.Since = t })
	flags.BoolVar(&u.request.Force, "force", false, "also overwrite what others have changed since")
	flags.BoolVar(&u.request.DryRun, "dry-run", false, "only show what would change")
	flags.BoolVar(&u.yes, "yes", false, "do it without asking")
	a.keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		byOperation, bySomebody := flags.Changed("op"), flags.Changed("actor") || flags.Changed("agent") || flags.Changed("since")
		switch {
		case flags.Changed("actor") && flags.Changed("agent"):
			return usage(cmd, errors.New("--actor and --agent exclude each other"))
		case byOperation && bySomebody:
			return usage(cmd, errors.New("--op goes with neither --actor nor --since"))
		case !byOperation && (u.request.Actor == "" || u.request.Since.IsZero()):
			return usage(cmd, errors.New("give --op, or --actor and --since"))
		case u.yes && u.request.DryRun:
			return usage(cmd, errors.New("--yes and --dry-run exclude each other"))
		}
		if a.Asks {
			a.Terminal = false // a spinner would overwrite the question
		}
		return a.withDB(cmd.Context(), u.run)
	}
	return cmd
}

func (u *undo) run(db *store.DB) error {
	if u.yes {
		return u.undo(db)
	}
	preview := u.request
	preview.DryRun = true
	report, err := db.Undo(u.cmd.Context(), preview)
	switch {
	case u.app.key != "" && nexus.CodeOf(err) == nexus.CodeTransition:
		return u.undo(db) // perhaps it was done with this key
	case err != nil:
		return err
	}
	switch {
	case u.request.DryRun:
		return u.print(report)
	case len(report.Conflicts) > 0 && !u.request.Force:
		return report.Refused()
	case u.app.json || !u.app.Asks:
		if err := u.print(report); err != nil {
			return err
		}
		return &nexus.Error{
			Code: nexus.CodeUnconfirmed, Message: "nothing was changed: this is what would be undone", Hint: "--yes undoes it",
		}
	}
	if err := u.write(u.app.Err, report); err != nil {
		return err
	}
	if err := u.app.ask(u.cmd.Context(), "Undo this?"); err != nil {
		return err
	}
	return u.undo(db)
}

func (u *undo) undo(db *store.DB) error {
	report, err := once(u.app, u.cmd, db, nil, func(tx *store.Tx) (*nexus.Undone, error) {
		return tx.Undo(u.cmd.Context(), u.request)
	})
	if err != nil {
		return err
	}
	return u.print(report)
}

func (u *undo) print(report *nexus.Undone) error {
	return u.app.print(report, func(out io.Writer) error { return u.write(out, report) })
}

func (u *undo) write(out io.Writer, report *nexus.Undone) error {
	u.app.writeDifference(out, report.Changes)
	for _, c := range report.Conflicts {
		field := ""
		if c.Field != "" {
			field = ", " + c.Field
		}
		fmt.Fprintln(out, u.app.painter().paint(red, oneLine(fmt.Sprintf("! %s %s%s: %s", c.Kind, c.ID, field, c.Reason))))
	}
	verb := "Undone: "
	if report.DryRun {
		verb = "To be undone: "
	}
	line := verb + counted(int64(len(report.Operations)), "operation") + "; " + counted(int64(len(report.Changes)), "row") + " changed back"
	if n := len(report.Conflicts); n > 0 {
		line += "; " + counted(int64(n), "conflict")
	}
	if n := len(report.Requeued); n > 0 {
		line += "; " + counted(int64(n), "task") + " given back"
	}
	_, err := fmt.Fprintln(out, line+".")
	return err
}

// ask asks a person a question, and returns nil if the answer is yes. No answer is no.
func (a *app) ask(ctx context.Context, question string) error {
	fmt.Fprint(a.Err, question+" [y/N] ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.In).ReadString('\n') // what cannot be read is no answer
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case text := <-answer:
		if text == "y" || text == "yes" {
			return nil
		}
	case <-ctx.Done():
	}
	return &nexus.Error{Code: nexus.CodeUnconfirmed, Message: "nothing was changed"}
}
