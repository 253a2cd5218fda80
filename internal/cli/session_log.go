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

func (a *app) sessionStartCommand() *cobra.Command {
	var s nexus.Session
	var p nexus.Project
	cmd := &cobra.Command{
		Use: "start", Short: "Begin a session, and with --new-project its project too", Args: noArgs,
		Long: "Begin a session and print its id. With --new-project the project is created with it, and either both\n" +
			"are stored or none.",
		Example: "  nexus session start --project p1m837hj --type planning\n" +
			`  nexus session start --new-project Shop --root-path /src/shop --type interview`,
	}
	a.keyFlag(cmd)
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "id", "its id (default: one is made)", words[string](), func(id string) { s.ID = id })
	chosen(b, "project", "the project it belongs to (default: the only one)", nexus.KindProject, func(id string) { s.ProjectID = id })
	flag(b, "new-project", "name of a project to create with it", texts[string](), func(name string) { p.Name = name })
	rootPathFlag(b, "with --new-project: the folder of its source", &p)
	flag(b, "mode", "with --new-project: genesis (the default) or evolution", words[nexus.ProjectMode](), func(m nexus.ProjectMode) { p.Mode = m })
	flag(b, "type", "interview, planning, execution (the default) or review", words[nexus.SessionType](), func(t nexus.SessionType) { s.Type = t })
	flag(b, "data", "what it holds", documents, func(d nexus.JSON) { s.Data = d })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := func(name string) bool { return cmd.Flags().Changed(name) }
		switch {
		case given("project") && given("new-project"):
			return usage(cmd, errors.New("--project and --new-project exclude each other"))
		case !given("new-project") && (given("root-path") || given("mode")):
			return usage(cmd, errors.New("--root-path and --mode are for --new-project"))
		}
		return a.sessionStep(cmd, args, b, func(tx *store.Tx) (*nexus.Session, error) {
			session, project := s, p
			var err error
			if given("new-project") {
				err = tx.Projects.Create(cmd.Context(), &project)
				session.ProjectID = project.ID
			} else {
				session.ProjectID, err = projectOr(cmd, s.ProjectID, &tx.Services)
			}
			if err != nil {
				return nil, err
			}
			return &session, tx.Sessions.Create(cmd.Context(), &session)
		})
	}
	return cmd
}

// sessionStatusCommand is a command that changes the status of a session.
func (a *app) sessionStatusCommand(use, short, long string, status *nexus.SessionStatus, flags func(*cobra.Command)) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " ID", Short: short, Args: exactArgs(1, "one id, or the beginning of one"),
		Long: long, Example: "  nexus session " + use + " s1m837hj",
	}
	a.keyFlag(cmd)
	if flags != nil {
		flags(cmd)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.sessionStep(cmd, args, new(binder), func(tx *store.Tx) (*nexus.Session, error) {
			id, err := tx.Sessions.Resolve(cmd.Context(), args[0])
			if err != nil {
				return nil, err
			}
			return tx.Sessions.Update(cmd.Context(), id, nexus.SessionUpdate{Status: status})
		})
	}
	return cmd
}

func (a *app) sessionPauseCommand() *cobra.Command {
	return a.sessionStatusCommand("pause", "Interrupt a session, to be resumed later",
		"Interrupt a session. Nothing of it is lost; nexus session resume goes on with it.", new(nexus.SessionPaused), nil)
}

func (a *app) sessionEndCommand() *cobra.Command {
	status := nexus.SessionCompleted
	return a.sessionStatusCommand("end", "Say that a session is over",
		"Say that a session is over: completed, or with --abandoned given up. That is final.", &status, func(cmd *cobra.Command) {
			cmd.Flags().BoolFunc("abandoned", "it was given up", func(string) error {
				status = nexus.SessionAbandoned
				return nil
			})
		})
}

func (a *app) sessionResumeCommand() *cobra.Command {
	var project string
	var types []nexus.SessionType
	cmd := &cobra.Command{
		Use: "resume [ID]", Short: "Go on with a session", Args: maximumArgs(1, "one id, or the beginning of one"),
		Long: "Go on with a session: the one with ID, or the one of the project that was started last among those that\n" +
			"are active or paused. Its id is printed; nexus session log says what went before.",
		Example: "  nexus session resume --project p1m837hj --type planning",
	}
	a.keyFlag(cmd)
	b := &binder{app: a, flags: cmd.Flags()}
	existing(b, "project", "the latest of this project (default: the only one)", nexus.KindProject, func(id string) { project = id })
	flag(b, "type", "without an ID: of one of these types", choices[nexus.SessionType](), func(t []nexus.SessionType) { types = t })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && cmd.Flags().Changed("project") {
			return usage(cmd, errors.New("give an id or --project, not both"))
		}
		return a.sessionStep(cmd, args, b, func(tx *store.Tx) (*nexus.Session, error) {
			if len(args) == 0 {
				project, err := projectOr(cmd, project, &tx.Services)
				if err != nil {
					return nil, err
				}
				return tx.Sessions.ResumeLatest(cmd.Context(), project, types...)
			}
			id, err := tx.Sessions.Resolve(cmd.Context(), args[0])
			if err != nil {
				return nil, err
			}
			return tx.Sessions.Update(cmd.Context(), id, nexus.SessionUpdate{Status: new(nexus.SessionActive)})
		})
	}
	return cmd
}

// sessionStep changes one session and prints its id.
func (a *app) sessionStep(cmd *cobra.Command, args []string, b *binder, step func(*store.Tx) (*nexus.Session, error)) error {
	var s *nexus.Session
	err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
		if err := b.resolve(cmd.Context(), db); err != nil {
			return err
		}
		s, err = once(a, cmd, db, args, step)
		return err
	})
	if err != nil {
		return err
	}
	return a.print(s, func(out io.Writer) error {
		_, err := fmt.Fprintln(out, s.ID)
		return err
	})
}

func (a *app) sessionAppendCommand() *cobra.Command {
	var e nexus.SessionEntry
	cmd := &cobra.Command{
		Use: "append ID TEXT", Short: "Add an entry to the log of a session", Args: exactArgs(2, "a session's id and a text; - reads the text from standard input"),
		Long: "Add an entry to the log of a session and print its number. Entries never change. To append costs the\n" +
			"same however long the log is. A TEXT of - is read from standard input.",
		Example: `  nexus session append s1m837hj "Which currencies?" --author planner-1` + "\n" +
			`  nexus session append s1m837hj "Prices are kept in cents" --kind decision`,
	}
	a.keyFlag(cmd)
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "kind", "message (the default), decision, note, or a word of your own", words[string](), func(k string) { e.Kind = k })
	flag(b, "author", "who says it", words[string](), func(who string) { e.Author = who })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := texts[string]().parse(a, args[1])
		if err != nil {
			return err
		}
		var added *nexus.SessionEntry
		err = a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			added, err = once(a, cmd, db, []string{args[0], text}, func(tx *store.Tx) (*nexus.SessionEntry, error) {
				id, err := tx.Sessions.Resolve(cmd.Context(), args[0])
				if err != nil {
					return nil, err
				}
				entry := e
				entry.Text = text
				return &entry, tx.Sessions.Append(cmd.Context(), id, &entry)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(added, func(out io.Writer) error {
			_, err := fmt.Fprintln(out, added.Number)
			return err
		})
	}
	return cmd
}

func (a *app) sessionLogCommand() *cobra.Command {
	var filter nexus.SessionLogFilter
	cmd := &cobra.Command{
		Use: "log ID", Short: "Show what was said and decided in a session", Args: exactArgs(1, "one id, or the beginning of one"),
		Example: "  nexus session log s1m837hj --last 20\n  nexus session log s1m837hj --kind decision --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "kind", "entries of one of these kinds", choices[string](), func(k []string) { filter.Kind = k })
	flag(b, "after", "entries after this number", numbers[int64](), func(n int64) { filter.After = n })
	flag(b, "last", "at most so many, the newest", numbers[int](), func(n int) { filter.Last = n })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list := []nexus.SessionEntry{}
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			id, err := db.Sessions.Resolve(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			found, err := db.Sessions.Log(cmd.Context(), id, filter)
			list = append(list, found...)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(list, func(out io.Writer) error {
			for _, e := range list {
				head := fmt.Sprintf("%d  %s  %s", e.Number, date(e.At), oneLine(e.Kind))
				if e.Author != "" {
					head += "  " + oneLine(e.Author)
				}
				if _, err := fmt.Fprintf(out, "%s\n    %s\n", head, strings.ReplaceAll(oneLineEach(e.Text), "\n", "\n    ")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}
