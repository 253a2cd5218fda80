package nexus_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
)

// The diagrams in docs/states.md are what the state machines allow.
func TestStateDiagrams(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	for title, want := range map[string][]string{
		"Task":                    steps(nexus.TaskStatuses(), nexus.TaskStatus.Next),
		"Project":                 steps(nexus.ProjectStatuses(), nexus.ProjectStatus.Next),
		"Feature and sub-feature": steps(nexus.FeatureStatuses(), nexus.FeatureStatus.Next),
		"Agent":                   steps(nexus.AgentStatuses(), nexus.AgentStatus.Next),
		"Session":                 steps(nexus.SessionStatuses(), nexus.SessionStatus.Next),
	} {
		_, section, found := strings.Cut(string(text), "\n## "+title+"\n")
		if !found {
			t.Errorf("there is no section %q", title)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		drawn := regexp.MustCompile(`(?m)^    [a-z_]+ --> [a-z_]+$`).FindAllString(section, -1)
		slices.Sort(drawn)
		if diff := cmp.Diff(want, drawn); diff != "" {
			t.Errorf("%s: code and diagram differ:\n%s", title, diff)
		}
	}
}

// steps lists the steps of a machine as the diagrams do.
func steps[S ~string](states []S, next func(S) []S) (list []string) {
	for _, from := range states {
		for _, to := range next(from) {
			list = append(list, fmt.Sprintf("    %s --> %s", from, to))
		}
	}
	slices.Sort(list)
	return list
}
