#!/bin/sh
# A tour of Nexus: each command below is a process of its own, so whatever one
# shows, another has stored.
set -eu

nexus=${NEXUS:-./bin/nexus}

say() { printf '\n# %s\n' "$*"; }
run() {
	printf '$ nexus'
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9_./,=:-]*) printf " '%s'" "$word" ;;
		*) printf ' %s' "$word" ;;
		esac
	done
	printf '\n'
	"$nexus" "$@" 2>&1
}

old=$("$nexus" project list --plan-key url-shortener --ids)
if [ -n "$old" ]; then
	say "An earlier demo left its project; it goes first."
	run project delete "$old" --cascade
fi
"$nexus" agent delete demo-coder >/dev/null 2>&1 || true # of an earlier demo

say "Store a plan of work, all of it or nothing."
run plan apply examples/plan.json
project=$("$nexus" project list --plan-key url-shortener --ids)

say "Another process reads it back."
run task list --project "$project" --order priority

say "An agent takes the first task and finishes it."
task=$("$nexus" task list --project "$project" --plan-key schema --ids)
run agent create --id demo-coder --type coder
run task update "$task" --status in_progress --agent demo-coder | grep -E '^(status|assigned_agent|started_at|revision)'
run task update "$task" --status completed --actual-minutes 8 | grep -E '^(status|completed_at|revision)'

say "Somebody who has seen only the first revision is refused."
run task update "$task" --revision 1 --name 'Design two tables' || echo "(exit code $?)"

say "Applying the same plan again changes nothing; what is done stays done."
run plan apply examples/plan.json

say "Where things stand."
run task count --project "$project"
run feature list --project "$project"
run health
printf '\nAll of it is in %s. Try: %s task get %s --with all\n' "${DATABASE_PATH:-./data/nexus.db}" "$nexus" "$task"
