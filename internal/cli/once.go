package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-c8812374/nexus/store"
)

const keyFlag = "idempotency-key"

// keyFlag gives a command that changes something the flag that makes repeating it
// safe.
func (a *app) keyFlag(cmd *cobra.Command) {
	cmd.Flags().Var((*filled)(&a.key), keyFlag, "a `key` of your choice: repeating the command with it does nothing, and prints what the first one did")
}

// once runs fn in a transaction, or with the idempotency key of a command that has
// been run already returns what it returned then. What a command asks for is its
// name, the arguments given here, and its own flags as they were typed.
func once[T any](a *app, cmd *cobra.Command, db *store.DB, args []string, fn func(*store.Tx) (T, error)) (T, error) {
	request := struct {
		Command string
		Args    []string
		Flags   map[string]string
	}{cmd.CommandPath(), args, make(map[string]string)}
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && f.Name != keyFlag {
			request.Flags[f.Name] = f.Value.String()
		}
	})
	result, again, err := store.Once(cmd.Context(), db, a.key, request, fn)
	if again {
		a.settings().Logger.Info("this was done before, and is not done again", keyFlag, a.key)
	}
	return result, err
}
