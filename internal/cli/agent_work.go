package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

func (a *app) agentRegisterCommand() *cobra.Command {
	var g nexus.Agent
	cmd := &cobra.Command{
		Use: "register ID", Short: "Say that an agent begins to work", Args: exactArgs(1, "the agent's id"),
		Long: "Say that an agent begins to work, for the first time or again: one that was terminated becomes\n" +
			"idle. Claiming a task does so by itself.",
		Example: "  nexus agent register coder-1 --type coder --worktree ../wt1",
	}
	a.keyFlag(cmd)
	b := &binder{app: a, flags: cmd.Flags()}
	flag(b, "type", "planner, coder (the default), tester, reviewer or merger", words[nexus.AgentType](), func(t nexus.AgentType) { g.Type = t })
	flag(b, "worktree", "the folder it works in", texts[string](), func(s string) { g.WorktreePath = s })
	flag(b, "branch", "the branch it works on", texts[string](), func(s string) { g.BranchName = s })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		g.ID = args[0]
		return a.agentStep(cmd, args, func(tx *store.Tx) (*nexus.Agent, error) { return tx.Agents.Register(cmd.Context(), g) })
	}
	return cmd
}

func (a *app) agentHeartbeatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "heartbeat ID", Short: "Say that an agent is alive", Args: exactArgs(1, "one id, or the beginning of one"),
		Long:    "Say that an agent is alive. The leases of its tasks have heartbeats of their own: nexus heartbeat.",
		Example: "  nexus agent heartbeat coder-1",
	}
	a.keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.agentStep(cmd, args, func(tx *store.Tx) (*nexus.Agent, error) {
			id, err := tx.Agents.Resolve(cmd.Context(), args[0])
			if err != nil {
				return nil, err
			}
			return tx.Agents.Heartbeat(cmd.Context(), id)
		})
	}
	return cmd
}

func (a *app) agentTerminateCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "terminate ID", Short: "End an agent, and give back what it holds", Args: exactArgs(1, "one id, or the beginning of one"),
		Example: `  nexus agent terminate coder-1 --reason "out of budget"`,
	}
	a.keyFlag(cmd)
	a.reasonFlag(cmd, &reason)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.agentStep(cmd, args, func(tx *store.Tx) (*nexus.Agent, error) {
			id, err := tx.Agents.Resolve(cmd.Context(), args[0])
			if err != nil {
				return nil, err
			}
			return tx.Agents.Terminate(cmd.Context(), id, reason)
		})
	}
	return cmd
}

func (a *app) agentStep(cmd *cobra.Command, args []string, step func(*store.Tx) (*nexus.Agent, error)) error {
	var agent *nexus.Agent
	err := a.withDB(cmd.Context(), func(db *store.DB) (err error) {
		agent, err = once(a, cmd, db, args, step)
		return err
	})
	if err != nil {
		return err
	}
	return a.print(agent, func(out io.Writer) error { return card(out, agent) })
}

func (a *app) agentHoldingsCommand() *cobra.Command {
	filter := new(nexus.AgentFilter)
	cmd := &cobra.Command{
		Use: "holdings", Short: "List the agents with what each holds, and since when", Args: noArgs,
		Example: "  nexus agent holdings --status working --json",
	}
	b := &binder{app: a, flags: cmd.Flags()}
	agentEntity.filters(b, filter)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list := []store.AgentWork{}
		err := a.withDB(cmd.Context(), func(db *store.DB) error {
			found, err := db.Agents.ListWork(cmd.Context(), *filter)
			list = append(list, found...)
			return err
		})
		if err != nil {
			return err
		}
		return a.print(list, func(out io.Writer) error {
			rows := [][]string{}
			for _, g := range list {
				row := []string{g.ID, string(g.Type), string(g.Status), "", "", "", date(g.LastActivityAt), ""}
				for i, h := range g.Holds {
					if i > 0 {
						row = []string{"", "", "", "", "", "", "", ""}
					}
					row[3], row[4], row[5], row[7] = h.TaskID, fmt.Sprint(h.Epoch), date(h.Since), h.Name
					rows = append(rows, row)
				}
				if len(g.Holds) == 0 {
					row[7] = strings.TrimSpace(g.TerminationReason)
					rows = append(rows, row)
				}
			}
			return tableOr(out, "There are no such agents.", []string{"AGENT", "TYPE", "STATUS", "HOLDS", "EPOCH", "SINCE", "LAST ACTIVITY", "TASK, OR WHY IT ENDED"}, rows)
		})
	}
	return cmd
}
