package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/disk"
	"github.com/seed-c8812374/nexus/internal/statemd"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "state", Short: "Write where a project stands as a document",
		Example: "  nexus state export STATE.md --watch",
		Args:    cobra.ArbitraryArgs, RunE: group,
	}
	cmd.AddCommand(a.stateExportCommand())
	return cmd
}

// stateExport is one run of the command.
type stateExport struct {
	app      *app
	db       *store.DB
	project  string
	file     string // empty for standard output
	interval time.Duration
	last     []byte // what was written
}

// stateExported is what it prints with --json.
type stateExported struct {
	ProjectID string `json:"project_id"`
	File      string `json:"file,omitempty"`
	Changed   bool   `json:"changed"`            // the file was written, because it was not as it is now
	Markdown  string `json:"markdown,omitempty"` // without a file
}

func (a *app) stateExportCommand() *cobra.Command {
	x := &stateExport{app: a}
	watch := false
	cmd := &cobra.Command{
		Use: "export [FILE]", Short: "Write STATE.md", Args: maximumArgs(1, "one file"),
		Long: `Write where a project stands as Markdown, to FILE or else to standard output: status
and progress, current work, what waits for people, features, recent tasks, decisions and
cost. It is made for version control: it changes only where the project has changed.

With --watch it goes on until Ctrl-C, and writes FILE again whenever something has
changed. A file that nexus has not written is not overwritten.`,
		Example: "  nexus state export\n  nexus state export STATE.md --project p1m837hj\n  nexus state export STATE.md --watch --interval 5s",
	}
	flags := cmd.Flags()
	b := &binder{app: a, flags: flags}
	existing(b, "project", "the project (default: the only one)", nexus.KindProject, func(id string) { x.project = id })
	flags.BoolVar(&watch, "watch", false, "go on, and write it again when something has changed")
	flags.DurationVar(&x.interval, "interval", time.Second, "with --watch: how long to wait before looking again, such as `5s`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && args[0] != "-" {
			x.file = args[0]
		}
		switch {
		case watch && x.file == "":
			return usage(cmd, errors.New("--watch needs a file"))
		case flags.Changed("interval") && !watch:
			return usage(cmd, errors.New("--interval is for --watch"))
		case x.interval < leastInterval:
			return usage(cmd, fmt.Errorf("--interval must be %v at least", leastInterval))
		}
		return a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			x.db = db
			if x.project, err = projectOr(cmd, x.project, &db.Services); err != nil {
				return err
			}
			if !watch {
				return x.export(cmd.Context(), true)
			}
			return x.watch(cmd.Context())
		})
	}
	return cmd
}

// projectOr returns the project of --project, else the only one.
func projectOr(cmd *cobra.Command, given string, db *store.Services) (string, error) {
	if cmd.Flags().Changed("project") {
		return given, nil
	}
	return onlyProject(cmd.Context(), db)
}

// onlyProject returns the project if there is one only.
func onlyProject(ctx context.Context, db *store.Services) (string, error) {
	list, err := db.Projects.List(ctx, nexus.ProjectFilter{Page: nexus.Page{Limit: 2}})
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return "", &nexus.Error{Code: nexus.CodeNotFound, Message: "there is no project", Hint: "create one with nexus project create"}
	case len(list) > 1:
		return "", &nexus.Error{Code: nexus.CodeAmbiguous, Message: "there are several projects", Hint: "name one with --project; nexus project list shows them"}
	}
	return list[0].ID, nil
}

func (x *stateExport) watch(ctx context.Context) error {
	for first := true; ; first = false {
		if err := x.export(ctx, first); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(x.interval):
		}
	}
}

// export writes the document if it is not what is there already, and says so
// then, or in any case if told to.
func (x *stateExport) export(ctx context.Context, say bool) error {
	text, err := statemd.Export(ctx, x.db, x.project)
	if err != nil {
		return err
	}
	result := stateExported{ProjectID: x.project, File: x.file}
	if x.file == "" {
		result.Changed, result.Markdown = true, string(text)
		return x.app.print(result, func(out io.Writer) error {
			_, err := out.Write(text)
			return err
		})
	}
	if !bytes.Equal(text, x.last) {
		if result.Changed, err = writeState(x.file, text); err != nil {
			return err
		}
		x.last = text
	}
	if !say && !result.Changed {
		return nil
	}
	return x.app.print(result, func(out io.Writer) error {
		word := "Wrote"
		if !result.Changed {
			word = "Nothing has changed in"
		}
		_, err := fmt.Fprintf(out, "%s %s.\n", word, x.file)
		return err
	})
}

// writeState puts a document in place of the one before, at once, and reports
// whether they differed.
func writeState(path string, text []byte) (changed bool, err error) {
	failed := func(err error) error {
		return &nexus.Error{
			Code: nexus.CodeOf(disk.Error(err)), Message: path + " cannot be written", Err: err, Hint: "it is as it was",
		}
	}
	before, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return false, failed(err)
	case bytes.Equal(before, text):
		return false, nil
	case len(before) > 0 && !bytes.HasPrefix(before, []byte(statemd.Mark)):
		return false, &nexus.Error{
			Code: nexus.CodeExists, Message: path + " was not written by nexus state export, and is not overwritten",
			Hint: "choose another file, or remove it first",
		}
	}
	mode := fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link stays one
	}
	draft, err := disk.NewDraft(path)
	if err != nil {
		return false, failed(err)
	}
	err = errors.Join(os.WriteFile(draft.Path, text, mode), os.Chmod(draft.Path, mode))
	if err == nil {
		err = draft.Replace(path)
	}
	if err != nil {
		_ = draft.Discard() // the error that counts is the other one
		return false, failed(err)
	}
	return true, nil
}
