// Package machine says what benchmarks ran on.
package machine

import (
	"os"
	"strings"
)

// Processor is the name of the processor, where the system tells.
func Processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // only on Linux
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// FileSystem is the type of the file system that a folder is on, where the
// system tells. In memory there is no disk to wait for, so the figures with
// synchronous=FULL would say nothing.
func FileSystem(folder string) string {
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
