package peer

import "runtime/debug"

// ModuleVersion is the version of a module that the program is built with.
func ModuleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return "of unknown version"
}
