package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// What the program in C plays must be what the store sends, with the task in hand
// instead of the one that was recorded.
func TestRecordedScripts(t *testing.T) {
	t.Parallel()
	found, err := record(t.Context(), filepath.Join(t.TempDir(), "record.db"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		first, last string
		variables   []string
	}{
		"get":        {"SELECT ", "SELECT ", []string{"=id"}},
		"list":       {"SELECT ", "SELECT ", nil},
		"each":       {"SELECT ", "SELECT ", nil},
		"ready":      {"BEGIN", "ROLLBACK", nil},
		"load":       {"BEGIN", "ROLLBACK", nil},
		"insert":     {"BEGIN IMMEDIATE", "COMMIT", []string{"=id"}},
		"insertmany": {"BEGIN IMMEDIATE", "COMMIT", []string{"=id"}},
		"update":     {"BEGIN IMMEDIATE", "COMMIT", []string{"=id", "=branch", "=minutes", "=revision"}},
		"updatemany": {"BEGIN IMMEDIATE", "COMMIT", []string{"=id", "=branch", "=minutes", "=revision"}},
		"work":       {"BEGIN IMMEDIATE", "COMMIT", []string{"=id", "=epoch", "=revision"}},
	} {
		lines := found[name]
		if len(lines) == 0 || !strings.HasPrefix(lines[0], want.first) || !strings.HasPrefix(lines[len(lines)-1], want.last) {
			t.Errorf("%s is not from %s to %s: %q", name, want.first, want.last, lines)
			continue
		}
		text := strings.Join(lines, "\n") + "\n"
		for _, variable := range want.variables {
			if !strings.Contains(text, "\t"+variable) {
				t.Errorf("%s has no argument %s:\n%s", name, variable, text)
			}
		}
		if strings.Contains(text, "PRAGMA") || strings.Contains(text, standInID) {
			t.Errorf("%s holds what is of the recording only:\n%s", name, text)
		}
		delete(found, name)
	}
	for name := range found {
		t.Errorf("script %s is not expected", name)
	}
}
