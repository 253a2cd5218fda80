#!/bin/sh
# Losing everything, and getting it back: a worker that is killed, an agent that makes a
# mess of the plan, a task that is deleted, and a file that is gone. Each command is a
# process of its own. docs/recovery-session.md is what it prints.
set -eu

nexus=${NEXUS:-$PWD/bin/nexus}
plan=${PLAN:-$PWD/examples/plan.json}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

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
	"$nexus" "$@" 2>&1 || printf '(exit code %s)\n' "$?"
}

say "A plan, a checkpoint of it, and a backup."
cp "$plan" plan.json
run plan apply plan.json
project=$("$nexus" project list --ids)
run checkpoint create --project "$project" --id c0 --name "as planned"
run backup safe.db

say "An agent claims a task, says how far it is, and is killed."
run claim --agent coder-1 --lease 1s
task=$("$nexus" task list --status in_progress --ids)
epoch=1 # the first of this database
run progress "$task" --epoch "$epoch" --last-action "wrote the schema" --file schema.sql --line 40 --next "add the index"
sleep 2
say "Nothing heard of it for longer than its lease: its work goes back, and the next one is told where it was."
run recover
run resume --task "$task" --budget 400

say "Another one goes wrong: it renames what it does not understand, and deletes a task."
for id in $("$nexus" task list --limit 3 --ids | head -3); do
	"$nexus" --actor coder-2 task update "$id" --name "TODO" >/dev/null
done
victim=$("$nexus" task list --limit 0 --ids | tail -1)
run --actor coder-2 task delete "$victim"
run task list --limit 4
say "What has it done? And back with it."
run history --actor coder-2 --limit 5
run undo --actor coder-2 --since 1h --yes
run task get "$victim"

say "The whole plan is thrown away, and restored."
for id in $("$nexus" feature list --ids); do
	"$nexus" feature update "$id" --status backlog --description "cancelled" >/dev/null
done
run diff c0 --project "$project"
run checkpoint restore c0 --yes
run checkpoint verify --all

say "The file is gone."
rm -f data/nexus.db data/nexus.db-wal data/nexus.db-shm
run task list
run restore safe.db --yes
run task list --limit 4
run doctor
