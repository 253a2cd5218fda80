#!/bin/sh
# What an agent does in the demo: it takes a task as JSON on standard input, thinks
# for a moment, and reports what it cost. Any program can be in its place; see
# docs/worker.md.
set -eu
cat >/dev/null
# From 0.6 to 1.4 seconds, from the letters of the name.
pause=$(printf '%s' "$NEXUS_TASK_NAME" | cksum | cut -d' ' -f1)
pause=$((pause % 9 + 6))
sleep "$((pause / 10)).$((pause % 10))"
echo "{\"metric\":\"token_usage\",\"value\":$((pause * 310))}" >>"$NEXUS_REPORT"
echo "{\"metric\":\"cost_usd\",\"value\":0.0$pause}" >>"$NEXUS_REPORT"
echo "{\"tests\":\"$pause passed\"}" >>"$NEXUS_REPORT"
echo "done: $NEXUS_TASK_NAME"
