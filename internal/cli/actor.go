package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// envActor names who makes a change, where --actor does not.
const envActor = "NEXUS_ACTOR"

// actAs makes the history know who changes what the command changes.
func (a *app) actAs(cmd *cobra.Command, _ []string) error {
	actor := a.actor
	if actor == "" {
		actor = a.Getenv(envActor)
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	switch {
	case actor == "":
		return nil
	case len(actor) > nexus.MaxID:
		return usage(cmd, fmt.Errorf("the actor is %d bytes long; the limit is %d", len(actor), nexus.MaxID))
	case !utf8.ValidString(actor) || strings.ContainsFunc(actor, control):
		return usage(cmd, fmt.Errorf("the actor %q is no name", actor))
	}
	cmd.SetContext(store.WithActor(cmd.Context(), actor))
	return nil
}
