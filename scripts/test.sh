#!/usr/bin/env bash
# go test with the arguments given, which ends with the tests that were skipped
# and why: go test itself does not say so.
set -uo pipefail
log=$(mktemp)
trap 'rm -f "$log"' EXIT

go test -v "$@" 2>&1 | tee "$log" | grep -a --line-buffered -E '^(ok|FAIL|\?|panic:)[[:space:]]'
status=${PIPESTATUS[0]}
if [ "$status" -ne 0 ]; then
	grep -avE '^(=== |[[:space:]]*--- (PASS|SKIP)|PASS$|ok[[:space:]]|\?[[:space:]]|[0-9/]+ [0-9:]+ (INFO|WARN))' "$log"
fi
# A fuzz function skips what is no input for it; that is no test left out.
awk '
	/_test\.go:[0-9]+: / { reason = $0 }
	/^[[:space:]]*--- SKIP/ && !/Fuzz/ {
		if (!n++) print "\nSKIPPED, so not tested here:"
		print $3 ":" reason
	}
' "$log"
exit "$status"
