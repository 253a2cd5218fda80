package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// checkpointDocument is the full state of a project at a checkpoint. All lists are in
// the order of their ids.
type checkpointDocument struct {
	Format       int                 `json:"nexus_checkpoint"`
	Checkpoint   checkpointHead      `json:"checkpoint"`
	Project      *nexus.Project      `json:"project"`
	Features     []nexus.Feature     `json:"features"`
	SubFeatures  []nexus.SubFeature  `json:"sub_features"`
	Tasks        []nexus.Task        `json:"tasks"`
	Requirements []nexus.Requirement `json:"requirements"`
	Sessions     []loggedSession     `json:"sessions"`
}

type checkpointHead struct {
	ID        string                 `json:"id"`
	Name      string                 `json:"name,omitempty"`
	Reason    string                 `json:"reason,omitempty"`
	CreatedAt string                 `json:"created_at"`
	State     *nexus.CheckpointState `json:"state"`
}

type loggedSession struct {
	nexus.Session
	Log []nexus.SessionEntry `json:"log"`
}

// exportedCheckpoint says what was written to a file.
type exportedCheckpoint struct {
	Path   string           `json:"path"`
	Bytes  int64            `json:"bytes"`
	SHA256 string           `json:"sha256"` // of the file
	Counts map[string]int64 `json:"counts"`
}

func (a *app) checkpointExportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export ID [FILE]", Short: "Write the full state at a checkpoint as one JSON document",
		Long: `Write the full state of a project at a checkpoint as one JSON document: the project, its
features, sub-features, tasks, requirements, and its sessions with their logs, as the commands
print them. The state is verified first. An existing file is never replaced.

Without FILE, or with -, the document goes to standard output, with --json in an envelope.`,
		Example: "  nexus checkpoint export c1m837hj state.json\n  nexus checkpoint export c1m837hj --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 || args[0] == "" {
				return usage(cmd, fmt.Errorf("give one checkpoint, and a file if it is to go there"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var document *checkpointDocument
			err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
				document, err = readCheckpoint(cmd.Context(), db, args[0])
				return err
			})
			if err != nil {
				return err
			}
			path := strings.Join(args[1:], "")
			if path == "" || path == "-" {
				return a.print(document, document.write)
			}
			e := exportedCheckpoint{Path: path, Counts: document.Checkpoint.State.Counts}
			err = writeNew(path, func(out io.Writer) error {
				sum := sha256.New()
				counted := &counter64{}
				err := document.write(io.MultiWriter(out, sum, counted))
				e.SHA256, e.Bytes = hex.EncodeToString(sum.Sum(nil)), counted.n
				return err
			})
			if err != nil {
				return err
			}
			return a.print(e, func(out io.Writer) error {
				_, err := fmt.Fprintf(out, "Exported to %s: %s, %s, sha256 %s.\n",
					oneLine(path), counted(contractRows(e.Counts), "row"), megabytes(e.Bytes), e.SHA256)
				return err
			})
		},
	}
}

// counter64 counts what is written to it.
type counter64 struct{ n int64 }

func (c *counter64) Write(text []byte) (int, error) {
	c.n += int64(len(text))
	return len(text), nil
}

func (d *checkpointDocument) write(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(d)
}

// readCheckpoint reads the state that a checkpoint is of, and makes sure that it is.
func readCheckpoint(ctx context.Context, db *store.DB, prefix string) (*checkpointDocument, error) {
	id, err := checkpointID(ctx, db, prefix)
	if err != nil {
		return nil, err
	}
	v, err := db.VerifyCheckpoint(ctx, id)
	if err != nil {
		return nil, err
	}
	if !v.OK {
		return nil, failedVerification([]verified{{Verification: *v, Problem: anotherState}})
	}
	p, err := db.Checkpoints.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	state, err := p.Details()
	if err != nil {
		return nil, err
	}
	d := &checkpointDocument{Format: 1, Checkpoint: checkpointHead{
		ID: p.ID, Name: p.Name, Reason: p.Reason, CreatedAt: p.CreatedAt.UTC().Format("2006-01-02T15:04:05Z07:00"), State: state,
	}}
	return d, d.read(ctx, db.AsOf(state.Seq), p.ProjectID)
}

func (d *checkpointDocument) read(ctx context.Context, past *store.Past, project string) (err error) {
	if d.Project, err = past.Projects.Get(ctx, project); err != nil {
		return err
	}
	if d.Features, err = past.Features.List(ctx, nexus.FeatureFilter{ProjectID: project}); err != nil {
		return err
	}
	if d.SubFeatures, err = past.SubFeatures.List(ctx, nexus.SubFeatureFilter{}); err != nil {
		return err
	}
	mine := make(map[string]bool)
	for i := range d.Features {
		mine[d.Features[i].ID] = true
	}
	d.SubFeatures = slices.DeleteFunc(d.SubFeatures, func(u nexus.SubFeature) bool { return !mine[u.FeatureID] })
	if d.Tasks, err = past.Tasks.List(ctx, nexus.TaskFilter{ProjectID: project}); err != nil {
		return err
	}
	if d.Requirements, err = past.Requirements.List(ctx, nexus.RequirementFilter{ProjectID: project}); err != nil {
		return err
	}
	sessions, err := past.Sessions.List(ctx, nexus.SessionFilter{ProjectID: project})
	if err != nil {
		return err
	}
	d.Sessions = make([]loggedSession, len(sessions))
	for i := range sessions {
		log, err := past.Sessions.Log(ctx, sessions[i].ID, nexus.SessionLogFilter{})
		if err != nil {
			return err
		}
		d.Sessions[i] = loggedSession{sessions[i], append([]nexus.SessionEntry{}, log...)}
	}
	return nil
}
