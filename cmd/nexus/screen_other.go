//go:build !windows

package main

// understandEscapes has nothing to do: terminals do.
func understandEscapes() error { return nil }
