package interop_test

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// drizzleFiles are embedded so that `go test` runs anew, and does not show a
// kept result, after one of them has changed.
//
//go:embed drizzle/.npmrc drizzle/package.json drizzle/package-lock.json
//go:embed drizzle/program.mjs drizzle/schema.mjs drizzle/migrations
var drizzleFiles embed.FS

const (
	drizzleFolder = "drizzle"
	nodeInstall   = "apt-get install nodejs npm libnode-dev build-essential python3, or Node 20 or later from nodejs.org"
)

// installed installs the packages of the Drizzle program once.
var installed = sync.OnceValue(install)

// node returns the path of Node, with the packages of the Drizzle program in
// place.
func node(t testing.TB) string {
	t.Helper()
	path := program(t, "node", nodeInstall)
	program(t, "npm", nodeInstall)
	if err := installed(); err != nil {
		missing(t, "the packages of interop/drizzle cannot be installed; it needs a C++ compiler, make, Python, "+
			"Node's headers and an npm registry (%s):\n%v", nodeInstall, err)
	}
	return path
}

// install makes sure that drizzle/node_modules is what the lock file says, and
// works with this Node. Several processes may do so at once: each installs into
// a folder of its own, and the first one to be done puts it in place.
func install() (err error) {
	if usable(drizzleFolder) == nil {
		return nil
	}
	scratch, err := os.MkdirTemp(drizzleFolder, ".install-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	for _, name := range []string{".npmrc", "package.json", "package-lock.json"} {
		text, err := drizzleFiles.ReadFile("drizzle/" + name)
		if err == nil {
			err = os.WriteFile(filepath.Join(scratch, name), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	npm := exec.Command("npm", "ci")
	npm.Dir = scratch
	npm.Env = append(os.Environ(), buildSettings()...)
	if output, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, output)
	}
	if err := usable(scratch); err != nil {
		return fmt.Errorf("after npm ci: %w", err)
	}

	current := filepath.Join(drizzleFolder, "node_modules")
	if usable(drizzleFolder) == nil {
		return nil // another process was faster
	}
	err = os.Rename(current, filepath.Join(scratch, "old"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = os.Rename(filepath.Join(scratch, "node_modules"), current)
	if err != nil && usable(drizzleFolder) == nil {
		return nil // another process was faster
	}
	return err
}

// usable returns nil if folder has the packages of the lock file, compiled for
// the Node that is installed now.
func usable(folder string) error {
	want, err := drizzleFiles.ReadFile("drizzle/package-lock.json")
	if err != nil {
		return err
	}
	// npm keeps a copy of the lock file of what it has installed.
	got, err := os.ReadFile(filepath.Join(folder, "node_modules", ".package-lock.json"))
	if err != nil {
		return err
	}
	if err := samePackages(want, got); err != nil {
		return err
	}
	const load = `new (require('better-sqlite3'))(':memory:').close(); require('drizzle-orm')`
	check := exec.Command("node", "-e", load)
	check.Dir = folder
	if output, err := check.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return nil
}

func samePackages(want, got []byte) error {
	type lock struct {
		Packages map[string]struct {
			Version   string `json:"version"`
			Integrity string `json:"integrity"`
		} `json:"packages"`
	}
	var wanted, found lock
	if err := errors.Join(json.Unmarshal(want, &wanted), json.Unmarshal(got, &found)); err != nil {
		return err
	}
	delete(wanted.Packages, "") // the program itself
	for name, p := range wanted.Packages {
		if found.Packages[name] != p {
			return fmt.Errorf("%s is %s, not %s", name, found.Packages[name].Version, p.Version)
		}
	}
	return nil
}

// buildSettings makes better-sqlite3 be compiled with the headers that came with
// Node, if they did, so that nothing is downloaded from anywhere but npm's
// registry. Without them, its installer looks for a compiled package.
func buildSettings() []string {
	output, err := exec.Command("node", "-p", "require('fs').realpathSync(process.execPath)").Output()
	if err != nil {
		return nil
	}
	prefix := filepath.Dir(filepath.Dir(string(bytes.TrimSpace(output))))
	if _, err := os.Stat(filepath.Join(prefix, "include", "node", "node.h")); err != nil {
		return nil
	}
	return []string{"npm_config_build_from_source=true", "npm_config_nodedir=" + prefix}
}

// A lock file that names where packages came from works on one machine only.
func TestLockFileNamesNoRegistry(t *testing.T) {
	t.Parallel()
	text, err := drizzleFiles.ReadFile("drizzle/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"resolved"`, "://registry"} {
		if strings.Contains(string(text), word) {
			t.Errorf("package-lock.json contains %s; npm must run with the .npmrc of that folder", word)
		}
	}
}
