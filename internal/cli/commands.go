package cli

import "github.com/spf13/cobra"

// commandGroup is a group of commands in the help.
type commandGroup struct {
	id, title string
	commands  []command
}

// command is one that the program has, made when it is wanted.
type command struct {
	name  string // what make calls it
	make  func() *cobra.Command
	group string
}

func (a *app) commandGroups() []commandGroup {
	return []commandGroup{
		{"work", "The work loop:", []command{
			{name: "ready", make: a.readyCommand},
			{name: "claim", make: a.claimCommand},
			{name: "heartbeat", make: a.heartbeatCommand},
			{name: "progress", make: a.progressCommand},
			{name: "complete", make: a.completeCommand},
			{name: "fail", make: a.failCommand},
			{name: "release", make: a.releaseCommand},
			{name: "block", make: a.blockCommand},
			{name: "unblock", make: a.unblockCommand},
			{name: "skip", make: a.skipCommand},
			{name: "reopen", make: a.reopenCommand},
			{name: "qa", make: a.qaCommand},
			{name: "work", make: a.workerCommand},
			{name: "recover", make: a.recoverCommand},
		}},
		{"watch", "What is going on:", []command{
			{name: "top", make: a.topCommand},
			{name: "stats", make: a.statsCommand},
			{name: "search", make: a.searchCommand},
			{name: "graph", make: a.graphCommand},
			{name: "state", make: a.stateCommand},
			{name: "resume", make: a.resumeCommand},
		}},
		{"history", "What has happened:", []command{
			{name: "history", make: a.historyCommand},
			{name: "diff", make: a.diffCommand},
			{name: "undo", make: a.undoCommand},
			{name: "watch", make: a.watchCommand},
		}},
		{"kept", "What is kept:", []command{
			{name: "project", make: a.projectCommand},
			{name: "feature", make: a.featureCommand},
			{name: "subfeature", make: a.subFeatureCommand},
			{name: "task", make: a.taskCommand},
			{name: "agent", make: a.agentCommand},
			{name: "checkpoint", make: a.checkpointCommand},
			{name: "requirement", make: a.requirementCommand},
			{name: "metric", make: a.metricCommand},
			{name: "session", make: a.sessionCommand},
			{name: "plan", make: a.planCommand},
			{name: "import", make: a.importCommand},
		}},
		{"database", "The database:", []command{
			{name: "backup", make: a.backupCommand},
			{name: "restore", make: a.restoreCommand},
			{name: "export", make: a.exportCommand},
			{name: "move", make: a.moveCommand},
			{name: "migrate", make: a.migrateCommand},
			{name: "tables", make: a.tablesCommand},
			{name: "health", make: a.healthCommand},
			{name: "doctor", make: a.doctorCommand},
			{name: "compact", make: a.compactCommand},
			{name: "schema", make: a.schemaCommand},
			{name: "version", make: a.versionCommand},
		}},
	}
}

// commandsFor returns the one that the first argument names, and otherwise all of them.
// To make them all takes a millisecond, a tenth of what most commands take.
func (a *app) commandsFor(args []string) (all []command) {
	for _, group := range a.commandGroups() {
		for _, c := range group.commands {
			c.group = group.id
			if len(args) > 0 && args[0] == c.name {
				return []command{c}
			}
			all = append(all, c)
		}
	}
	return all
}
