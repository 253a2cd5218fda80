package cli

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

func (a *app) tablesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "tables", Short: "List the tables", Args: noArgs, Example: "  nexus tables --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.readTables(cmd)
			if err != nil {
				return err
			}
			return a.print(t, func(out io.Writer) error {
				t.write(out)
				return nil
			})
		},
	}
}

// health is what the health command prints as JSON.
type health struct {
	OK bool `json:"ok"`
	driver.Health
}

func (a *app) healthCommand() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use: "health", Short: "Say whether the database is well", Args: noArgs,
		Long: "Say whether the database answers, and whether its journal, foreign keys, schema and pages are as\n" +
			"they should be. With --deep, indexes are compared with tables and every foreign key is followed.",
		Example: "  nexus health --deep --json",
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "also check indexes and foreign keys, which takes longer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var h health
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := db.Ping(cmd.Context()); err != nil {
				return err
			}
			h.Health, err = db.Health(cmd.Context(), deep)
			return err
		})
		if err != nil {
			return err
		}
		h.OK = h.Health.OK()
		if err := a.print(h, func(out io.Writer) error { return healthTable(out, &h) }); err != nil || h.OK {
			return err
		}
		return &nexus.Error{
			Code: nexus.CodeCorrupt, Message: fmt.Sprintf("%s is not well", a.shownPath()),
			Hint: "the problems on standard output say what is wrong; copy the file before you change anything",
		}
	}
	return cmd
}

func healthTable(out io.Writer, h *health) error {
	yes := map[bool]string{true: "yes", false: "NO"}
	rows := [][]string{
		{"foreign keys enforced", yes[h.ForeignKeys]},
		{"undamaged", yes[h.Integrity]},
		{"schema version", fmt.Sprintf("%d of %d", h.SchemaVersion, h.LatestVersion)},
	}
	for _, problem := range h.Problems {
		rows = append(rows, []string{"problem", problem})
	}
	return table(out, []string{"write-ahead log", yes[h.WAL]}, rows)
}

func (a *app) schemaCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "schema", Short: "Print the schema as SQL, JSON or a Mermaid diagram", Args: noArgs,
		Example: "  nexus schema\n  nexus schema --format mermaid\n  nexus schema --json",
	}
	cmd.Flags().StringVar(&format, "format", "sql", "`sql`, json or mermaid")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch format {
		case "json":
			a.json = true
		case "mermaid":
			return a.print(map[string]string{"mermaid": mermaid()}, func(out io.Writer) error {
				_, err := io.WriteString(out, mermaid())
				return err
			})
		case "sql":
		default:
			return usage(cmd, fmt.Errorf("--format %s: there are sql, json and mermaid", format))
		}
		var statements []string
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			statements, err = db.Schema(cmd.Context())
			return err
		})
		if err != nil {
			return err
		}
		return a.print(schema{describeTables(), statements}, func(out io.Writer) error {
			_, err := fmt.Fprintln(out, strings.Join(statements, ";\n\n")+";")
			return err
		})
	}
	return cmd
}

// schema is what the schema command prints as JSON.
type schema struct {
	Tables     []schemaTable `json:"tables"`
	Statements []string      `json:"statements"`
}

type schemaTable struct {
	Name    string         `json:"name"`
	Columns []schemaColumn `json:"columns"`
}

type schemaColumn struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable"`
	Default  string `json:"default,omitempty"`
}

func describeTables() (list []schemaTable) {
	for _, kind := range nexus.Kinds() {
		t := schemaTable{Name: kind.Table()}
		for _, c := range store.Columns(kind) {
			t.Columns = append(t.Columns, schemaColumn{c.Name, c.Type, c.Nullable, c.Default})
		}
		list = append(list, t)
	}
	return list
}

// relations are the foreign keys of the contract: parent, child, column.
var relations = [][3]string{
	{"projects", "features", "project_id"},
	{"features", "sub_features", "feature_id"},
	{"projects", "tasks", "project_id"},
	{"features", "tasks", "feature_id"},
	{"sub_features", "tasks", "sub_feature_id"},
	{"projects", "checkpoints", "project_id"},
	{"projects", "requirements", "project_id"},
	{"projects", "metrics", "project_id"},
	{"projects", "sessions", "project_id"},
}

func mermaid() string {
	var b strings.Builder
	b.WriteString("erDiagram\n")
	for _, r := range relations {
		fmt.Fprintf(&b, "    %s ||--o{ %s : %s\n", r[0], r[1], r[2])
	}
	for _, t := range describeTables() {
		fmt.Fprintf(&b, "    %s {\n", t.Name)
		for _, c := range t.Columns {
			fmt.Fprintf(&b, "        %s %s\n", c.Type, c.Name)
		}
		b.WriteString("    }\n")
	}
	return b.String()
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: noArgs, Example: "  nexus version --json",
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": a.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return a.print(v, func(out io.Writer) error {
				_, err := fmt.Fprintf(out, "nexus %s, %s, %s\n", v["version"], v["go"], v["platform"])
				return err
			})
		},
	}
}
