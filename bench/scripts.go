package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/seed-c8812374/nexus/bench/contract"
	"github.com/seed-c8812374/nexus/bench/peer"
)

// scripts are statements for the program in C to play, by the names of its
// commands; see peers/csqlite.
type scripts map[string][]string

func (s scripts) write(path string) error {
	var text strings.Builder
	for name, statements := range s {
		fmt.Fprintf(&text, "script %s\n%s\n", name, strings.Join(statements, "\n"))
	}
	return os.WriteFile(path, []byte(text.String()), 0o600)
}

// contractScripts are those of a program that knows only the contract.
func contractScripts() scripts {
	t := peer.MakeTask(0)
	now := fmt.Sprintf("\ti%d", time.Now().Unix())
	insert := contract.InsertTask + "\t=id\tt" + peer.Project + "\tt" + t.FeatureID + "\tn\tt" + t.Name + "\tt" + t.Description +
		"\ttpending\ttsmall\tn\tn\tt" + t.BranchName + "\tn\tn\ti0\ti50\ti15\tn\tn\tn" + now + now
	update := contract.UpdateTask + "\t=branch\t=minutes" + now + "\t=id"
	project := "\tt" + peer.Project
	return scripts{
		"get":        {contract.GetTask + "\t=id"},
		"list":       {contract.ListTasks + project},
		"each":       {contract.EachTask},
		"ready":      {fmt.Sprintf("%s\ti%d", contract.ReadyTasks, peer.ReadyLimit)},
		"insert":     {insert},
		"insertmany": {"BEGIN IMMEDIATE", insert, "COMMIT"},
		"update":     {update},
		"updatemany": {"BEGIN IMMEDIATE", update, "COMMIT"},
		"load": {
			contract.GetProject + project, contract.ListFeatures + project, contract.ListSubFeatures + project,
			contract.ListTasks + project, contract.ListCheckpoints + project, contract.ListRequirements + project,
			contract.ListMetrics + project, contract.ListSessions + project,
		},
	}
}
