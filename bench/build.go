package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// The folder of the Drizzle program that the product's tests run: its packages and
// its schema serve here too.
const (
	drizzleFolder = "../interop/drizzle"
	nodeFolder    = "peers/node"
)

// build builds what is measured: nexus and its peers.
func (b *bench) build() error {
	for _, name := range []string{"nexus", "mattn", "modernc", "gorm", "bun", "goqite", "river", "measure"} {
		cgo := "1"
		if name == "nexus" || name == "modernc" || name == "measure" {
			cgo = "0" // as they are released
		}
		if err := b.command(".", []string{"CGO_ENABLED=" + cgo}, "go", "build", "-o", b.file(name), "./peers/"+name); err != nil {
			return err
		}
	}
	err := b.command("..", []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.file("nexus-cli"), "./cmd/nexus")
	if err != nil {
		return err
	}
	goqite, _, err := b.module("maragu.dev/goqite")
	if err != nil {
		return err
	}
	b.goqiteSchema = filepath.Join(goqite, "schema_sqlite.sql")
	if err := b.buildLimit(); err != nil {
		return err
	}
	return b.installNode()
}

// limitOptions are what SQLite recommends to a program that wants it fast, and gives
// each thread that is in SQLite a connection of its own. With fdatasync a commit
// does not wait for the times of the file; without, it takes five times as long.
var limitOptions = []string{
	"-c", "-O2", "-DSQLITE_THREADSAFE=2", "-DSQLITE_DEFAULT_MEMSTATUS=0", "-DSQLITE_DQS=0", "-DSQLITE_LIKE_DOESNT_MATCH_BLOBS",
	"-DHAVE_FDATASYNC=1", "-DHAVE_USLEEP=1",
}

// buildLimit compiles the program in C with the SQLite that the module of mattn
// brings, which is of the same version as ours. SQLite takes a minute, so what was
// made of it is kept where Go keeps such things.
func (b *bench) buildLimit() error {
	source, version, err := b.module("github.com/mattn/go-sqlite3")
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	object := filepath.Join(cache, "nexus-bench", fmt.Sprintf("sqlite-%s-%x.o", version, sha256.Sum256([]byte(strings.Join(limitOptions, " ")))))
	if _, err := os.Stat(object); err != nil {
		if err := os.MkdirAll(filepath.Dir(object), 0o755); err != nil {
			return err
		}
		err := b.command(".", nil, "gcc", append(slices.Clone(limitOptions), "-o", b.file("sqlite.o"), filepath.Join(source, "sqlite3-binding.c"))...)
		if err == nil {
			err = copyFile(b.file("sqlite.o"), object)
		}
		if err != nil {
			return err
		}
	}
	return b.command(".", nil, "gcc", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-I", source, "-o", b.file("csqlite"),
		"peers/csqlite/main.c", object, "-lpthread", "-ldl", "-lm")
}

// module returns the folder and the version of a module that is built with.
func (b *bench) module(path string) (folder, version string, err error) {
	output, err := exec.CommandContext(b.ctx, "go", "list", "-m", "-f", "{{.Dir}} {{.Version}}", path).Output()
	folder, version, _ = strings.Cut(strings.TrimSpace(string(output)), " ")
	return folder, version, err
}

// installNode makes the packages of the Drizzle program be found by those here. It
// has npm install them, with better-sqlite3 compiled for this Node, unless that
// has been done.
func (b *bench) installNode() error {
	for _, need := range []string{"node", "npm"} {
		if _, err := exec.LookPath(need); err != nil {
			b.lacks(need, "better-sqlite3 and Drizzle")
			return nil
		}
	}
	const load = `new (require("better-sqlite3"))(":memory:").close(); require("drizzle-orm")`
	if b.command(drizzleFolder, nil, "node", "-e", load) != nil {
		var settings []string
		if prefix := nodePrefix(); prefix != "" {
			settings = []string{"npm_config_build_from_source=true", "npm_config_nodedir=" + prefix}
		}
		if err := b.command(drizzleFolder, settings, "npm", "ci"); err != nil {
			return err
		}
	}
	err := os.Symlink(filepath.Join("../..", drizzleFolder, "node_modules"), filepath.Join(nodeFolder, "node_modules"))
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	return err
}

// nodePrefix is where Node's own headers are, if it came with them.
func nodePrefix() string {
	output, err := exec.Command("node", "-p", "require('fs').realpathSync(process.execPath)").Output()
	if err != nil {
		return ""
	}
	prefix := filepath.Dir(filepath.Dir(strings.TrimSpace(string(output))))
	if _, err := os.Stat(filepath.Join(prefix, "include/node/node.h")); err != nil {
		return ""
	}
	return prefix
}

func (b *bench) hasNode() bool {
	_, err := os.Stat(filepath.Join(nodeFolder, "node_modules", "better-sqlite3"))
	return err == nil
}

// lacks notes that something is not measured.
func (b *bench) lacks(program, what string) {
	b.missing = append(b.missing, fmt.Sprintf("%s: %s is not installed", what, program))
}

func (b *bench) command(folder string, settings []string, name string, args ...string) error {
	cmd := exec.CommandContext(b.ctx, name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), settings...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, output)
	}
	return nil
}
