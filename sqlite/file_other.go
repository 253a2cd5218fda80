//go:build !unix

package sqlite

import "path/filepath"

// writable reports whether this process may write a file or folder. Here it is
// found out when it fails.
func writable(string) bool { return true }

// fileIdentity is the same for all paths of a file but hard links.
func fileIdentity(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(full)
}
