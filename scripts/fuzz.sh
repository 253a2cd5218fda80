#!/bin/sh
# Runs every fuzz function for the time given, such as 30s. Go fuzzes one at a
# time.
set -eu
for package in $(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
	for name in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go | sed 's/^func //'); do
		echo "== $package $name"
		go test "$package" -run '^$' -fuzz "^$name\$" -fuzztime "${1:-30s}"
	done
done
