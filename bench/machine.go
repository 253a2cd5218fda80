package main

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/seed-c8812374/nexus/internal/machine"
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
		machine.Processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, machine.FileSystem(b.folder), runtime.Version())
}
