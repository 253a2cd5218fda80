package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the schema of the database up to date",
		Long: `Bring the schema of the database up to date, creating the database if there is none.

Every other command does so by itself; this one says what there is. Before a database
that holds rows is changed it is copied to a file beside it. If anything fails, the
database is as it was.`,
		Example: "  nexus migrate\n  DATABASE_PATH=team.db nexus migrate status",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(cmd, args)
			}
			return a.migrateUp(cmd)
		},
	}
	up := &cobra.Command{
		Use: "up", Short: "Run the migrations that have not run", Example: "  nexus migrate up", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.migrateUp(cmd) },
	}
	cmd.AddCommand(up, a.migrateDownCommand(), a.migrateStatusCommand(), a.migrateCreateCommand())
	return cmd
}

// tables is what migrate and tables print as JSON.
type tables struct {
	Database string   `json:"database"`
	Tables   []string `json:"tables"`
	Added    []string `json:"added"`
}

func (t *tables) write(out io.Writer) {
	fmt.Fprintf(out, "Database has %d tables: %s\n", len(t.Tables), strings.Join(t.Tables, ", "))
	if len(t.Added) > 0 {
		fmt.Fprintf(out, "Added to them: %s\n", strings.Join(t.Added, ", "))
	}
}

func (a *app) readTables(cmd *cobra.Command) (*tables, error) {
	t := &tables{Database: a.shownPath(), Added: []string{}}
	err := a.withDB(cmd.Context(), func(db *store.DB) error {
		contract, added, err := db.Tables(cmd.Context())
		t.Tables, t.Added = contract, append(t.Added, added...)
		return err
	})
	return t, err
}

func (a *app) migrateUp(cmd *cobra.Command) error {
	if !a.json {
		fmt.Fprintf(a.Out, "Running migrations on %s...\n", a.shownPath())
	}
	t, err := a.readTables(cmd)
	if err != nil {
		return err
	}
	return a.print(t, func(out io.Writer) error {
		t.write(out)
		_, err := fmt.Fprintln(out, "Migrations complete.")
		return err
	})
}

func (a *app) migrateDownCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "down", Short: "Revert the last migration", Args: noArgs,
		Long: `Revert the last migration: your own before Nexus's, last first.

Reverting Nexus's first migration drops the nine tables, in reverse order. A database
that holds rows is copied to a file beside it first, whose path is printed.`,
		Example: "  nexus migrate down\n  nexus migrate down --all",
	}
	cmd.Flags().BoolVar(&all, "all", false, "revert all of them")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		working := a.startProgress()
		reverted, err := a.Database.MigrateDown(cmd.Context(), a.settings(), all)
		working.stop()
		if err != nil {
			return err
		}
		return a.print(map[string]any{"reverted": append([]migration.Status{}, reverted...)}, func(out io.Writer) error {
			for _, m := range reverted {
				fmt.Fprintf(out, "Reverted %s.\n", m.Name)
			}
			if len(reverted) == 0 {
				fmt.Fprintln(out, "There is nothing to revert.")
			}
			return nil
		})
	}
	return cmd
}

func (a *app) migrateStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "List the migrations and whether they have run", Args: noArgs,
		Example: "  nexus migrate status --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.Database.Migrations(cmd.Context(), a.settings())
			if err != nil {
				return err
			}
			return a.print(list, func(out io.Writer) error {
				rows := make([][]string, len(list))
				for i, m := range list {
					state, owner := "pending", "nexus"
					if m.Applied {
						state = "applied"
					}
					if m.Changed {
						state = "applied; its text has changed since"
					}
					if m.Name == "" {
						state = "applied; this program does not have it"
					}
					if m.User {
						owner = "yours"
					}
					rows[i] = []string{strconv.FormatInt(m.Version, 10), m.Name, owner, state}
				}
				return table(out, []string{"VERSION", "FILE", "OF", "STATE"}, rows)
			})
		},
	}
}

const newMigration = `-- +goose Up
-- What this migration changes. Statements end with a semicolon. A trigger needs
-- a line with StatementBegin before it and one with StatementEnd after it, each
-- written like the line above.

-- +goose Down
-- How to take it back.
`

var migrationName = regexp.MustCompile(`^[a-z0-9][a-z0-9_]*$`)

func (a *app) migrateCreateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "create NAME", Short: "Create the next migration file of your own",
		Long: `Create the next migration file of your own in the folder of --migrations or
NEXUS_MIGRATIONS. It runs after Nexus's migrations when a command opens the database with
that folder.`,
		Example: "  nexus --migrations ./migrations migrate create add_reviews",
		Args:    exactArgs(1, "the name of the migration, such as add_reviews"),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := a.settings().Migrations
			if folder == "" {
				return usage(cmd, fmt.Errorf("name the folder with --migrations or NEXUS_MIGRATIONS"))
			}
			if !migrationName.MatchString(args[0]) {
				return usage(cmd, fmt.Errorf("%q: a name consists of lower-case letters, digits and underscores", args[0]))
			}
			path, err := createMigration(folder, args[0])
			if err != nil {
				return err
			}
			return a.print(map[string]string{"created": path}, func(out io.Writer) error {
				_, err := fmt.Fprintf(out, "Created %s.\n", path)
				return err
			})
		},
	}
}

func createMigration(folder, name string) (string, error) {
	failed := func(err error) error {
		return &nexus.Error{Code: nexus.CodeIO, Message: "the migration cannot be created", Err: err}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", failed(err)
	}
	set, err := migration.Load(os.DirFS(folder), "")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, fmt.Sprintf("%05d_%s.sql", set.Latest()+1, name))
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", failed(err)
	}
	_, err = file.WriteString(newMigration)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", failed(err)
	}
	return path, nil
}
