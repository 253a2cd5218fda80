package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// noteVersion keeps what a program says of its version, once.
func (b *bench) noteVersion(version string) {
	if !slices.Contains(b.versions, version) {
		b.versions = append(b.versions, version)
	}
}

// machine says where this ran.
func (b *bench) machine() string {
	return fmt.Sprintf("%s, %d CPUs, %s/%s, databases on %s, %s",
		processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, fileSystem(b.folder), runtime.Version())
}

// processor is the name of the processor, where the system tells.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // only on Linux
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// fileSystem is the type of the file system that a folder is on, where the system
// tells. In memory there is no disk to wait for, so synchronous=FULL would mean
// nothing.
func fileSystem(folder string) string {
	text, _ := os.ReadFile("/proc/self/mounts") // only on Linux
	kind, longest := "an unknown file system", -1
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line) // device, folder, type, …
		if len(words) < 3 || len(words[1]) <= longest {
			continue
		}
		if words[1] == "/" || folder == words[1] || strings.HasPrefix(folder, words[1]+"/") {
			kind, longest = words[2], len(words[1])
		}
	}
	if kind == "tmpfs" || kind == "ramfs" {
		kind += " (in memory: choose another folder with -dir)"
	}
	return kind
}
