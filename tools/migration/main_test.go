package main

import (
	"os"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out strings.Builder
	if err := run(t.Context(), []string{"-name", "nothing", "-dir", dir}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "The schema is what the Go columns say; nothing to write.\n"; out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
	if err := run(t.Context(), []string{"-dir", dir}, &out); err == nil {
		t.Error("no error without a name")
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("it wrote %s", files[0].Name())
	}
}
