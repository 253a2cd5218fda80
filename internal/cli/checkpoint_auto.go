package cli

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) checkpointAutoCommand() *cobra.Command {
	var project string
	var update nexus.CheckpointSettingsUpdate
	cmd := &cobra.Command{
		Use: "auto", Short: "Say when checkpoints of a project are made by themselves", Args: noArgs,
		Long: `Show, or with flags change, when checkpoints of a project are made by themselves:

  phase_complete    the status of the project changes
  feature_complete  a feature is done
  task_failed       a task is escalated, or fails for good
  qa_exhausted      the QA iterations of a task are used up
  scheduled         with the first change after so many minutes, or after so many completed tasks

None are, unless you say so.`,
		Example: "  nexus checkpoint auto --project p1m837hj --on feature_complete,task_failed --every-minutes 30\n" +
			"  nexus checkpoint auto --project p1m837hj --off task_failed --every-minutes 0\n  nexus checkpoint auto --project p1m837hj --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	existing(b, "project", "the project (default: the only one)", nexus.KindProject, func(id string) { project = id })
	flag(b, "on", "make checkpoints then", choices[string](), func(list []string) { update.On = list })
	flag(b, "off", "do not make checkpoints then", choices[string](), func(list []string) { update.Off = list })
	flag(b, "every-minutes", "make one every so many minutes in which something changes; 0 is never", numbers[int](),
		func(n int) { update.EveryMinutes = &n })
	flag(b, "every-tasks", "make one whenever so many tasks are completed; 0 is never", numbers[int](), func(n int) { update.EveryTasks = &n })
	a.keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		changes := false
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			changes = changes || f.Changed && f.Name != "project" && f.Name != keyFlag
		})
		var settings *nexus.CheckpointSettings
		err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
			if err := b.resolve(cmd.Context(), db); err != nil {
				return err
			}
			if project, err = projectOr(cmd, project, &db.Services); err != nil {
				return err
			}
			if !changes {
				settings, err = db.CheckpointSettings(cmd.Context(), project)
				return err
			}
			settings, err = once(a, cmd, db, args, func(tx *store.Tx) (*nexus.CheckpointSettings, error) {
				return tx.SetCheckpointSettings(cmd.Context(), project, update)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(settings, func(out io.Writer) error { return settingsTable(out, settings) })
	}
	return cmd
}

func settingsTable(out io.Writer, s *nexus.CheckpointSettings) error {
	var rows [][]string
	for _, trigger := range nexus.CheckpointTriggers() {
		state := "off"
		if slices.Contains(s.On, trigger) {
			state = "on"
		}
		rows = append(rows, []string{trigger, state})
	}
	var every []string
	if s.EveryMinutes > 0 {
		every = append(every, "every "+counted(int64(s.EveryMinutes), "minute"))
	}
	if s.EveryTasks > 0 {
		every = append(every, "every "+counted(int64(s.EveryTasks), "completed task"))
	}
	if len(every) == 0 {
		every = []string{"off"}
	}
	return table(out, []string{"project", s.ProjectID}, append(rows, []string{"scheduled", strings.Join(every, ", ")}))
}
