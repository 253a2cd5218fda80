#!/bin/sh
# The work loop in twenty seconds: a plan of 36 tasks, four worker processes, one of
# them killed in the middle, and an account at the end.
set -eu

nexus=${NEXUS:-./bin/nexus}
here=$(dirname "$0")

# A database of its own, so that it can be run again.
folder=$(mktemp -d)
DATABASE_PATH=$folder/nexus.db
export DATABASE_PATH
workers=
cleanup() {
	for worker in $workers; do kill "$worker" 2>/dev/null || true; done
	wait
	rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '\n# %s\n' "$*"; }

say "A plan of 36 tasks that depend on each other."
"$nexus" plan apply "$here/team.json"
"$nexus" graph --format text

say "Four workers, each a process. Any program can do the work; here it is $here/solve.sh."
for n in 1 2 3 4; do
	"$nexus" work --agent "coder-$n" --lease 5s --until-empty -- "$here/solve.sh" >"$folder/coder-$n" 2>&1 &
	eval "coder_$n=$!"
	workers="$workers $!"
	echo "nexus work --agent coder-$n --lease 5s --until-empty -- $here/solve.sh"
done

say "What they do (nexus top; on a terminal it is a full screen)."
"$nexus" top --until-done --interval 1s 2>&1 | cat &
top=$!
workers="$workers $top"

# Until coder-2 is in the middle of a task.
sleep 4
while ! "$nexus" agent holdings --json | grep -q '"id":"coder-2"[^]]*"task_id"'; do sleep 0.1; done
say "kill -9: coder-2 is gone, in the middle of a task."
kill -9 "$coder_2"
sleep 0.3
say "nexus recover takes back what it held; the other three go on as if nothing had been."
"$nexus" recover

wait "$coder_1" "$coder_3" "$coder_4" || true
wait "$top" || true
sleep 0.2

say "The account."
"$nexus" task count
"$nexus" feature list
"$nexus" agent holdings
completed=0 again=0
for task in $("$nexus" task list --ids); do
	outcomes=$("$nexus" task attempts "$task" --json)
	times=$(printf '%s' "$outcomes" | grep -o '"outcome":"completed"' | wc -l)
	if [ "$times" -ne 1 ]; then
		echo "$task was completed $times times"
		exit 1
	fi
	completed=$((completed + 1))
	if printf '%s' "$outcomes" | grep -q '"outcome":"expired"'; then
		again=$((again + 1))
		"$nexus" task attempts "$task"
	fi
done
echo
echo "$completed tasks, each completed once; $again was taken from a dead agent and done by another; none is lost."
[ "$completed" -eq 36 ] && [ "$again" -eq 1 ]
