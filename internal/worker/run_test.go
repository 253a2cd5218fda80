//go:build unix

package worker_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/worker"
)

// The command gets the task on standard input and in its environment, and what it
// reports is stored.
func TestCommand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.db.Features.Create(background, &nexus.Feature{ID: "f1", ProjectID: "p1", Name: "Parsing"}))
	must(t, s.db.Tasks.Create(background, &nexus.Task{
		ID: "t1", ProjectID: "p1", FeatureID: "f1", Name: "Parse <it> & more", Description: "line 1\nline 2 'quoted'",
		Metadata: `{"branch": "x"}`, Priority: nexus.PriorityHigh,
	}))
	w := s.worker("w1", `
		cat > "$DIR/stdin"
		env -0 > "$DIR/env"
		stat -c %a "$NEXUS_REPORT" "$(dirname "$NEXUS_REPORT")" > "$DIR/modes"
		echo "$NEXUS_REPORT" > "$DIR/report"
		echo out; echo err >&2
		echo '{"metric":"token_usage","value":1200,"metadata":{"model":"m"}}' >> "$NEXUS_REPORT"
		echo '{"metric":"token_usage","value":34}' >> "$NEXUS_REPORT"
		echo '{"metric":"cost_usd","value":0.5}' >> "$NEXUS_REPORT"
		echo '{"commit":"4f2c1e9","files":["a.go","b.go"],"tests":"34 passed","note":"easy"}' >> "$NEXUS_REPORT"`)
	w.Database = "/data/nexus.db"
	w.Env = append(w.Env, "NEXUS_TASK_ID=outer", "NEXUS_TASK_DESCRIPTION=outer", "KEPT=yes")
	s.run(w, worker.Summary{Completed: 1})

	var given map[string]any
	must(t, json.Unmarshal([]byte(s.read("stdin")), &given))
	last := s.wantAttempt("t1", nexus.OutcomeCompleted, "")
	for name, want := range map[string]any{
		"id": "t1", "project_id": "p1", "feature_id": "f1", "name": "Parse <it> & more", "description": "line 1\nline 2 'quoted'",
		"status": "in_progress", "priority": "high", "assigned_agent": "w1", "metadata": map[string]any{"branch": "x"},
		"epoch": float64(last.Epoch), "lease_until": s.clock.now().Add(lease).Format(time.RFC3339),
	} {
		if diff := cmp.Diff(want, given[name]); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	env := strings.Split(s.read("env"), "\x00")
	report := strings.TrimSpace(s.read("report"))
	for _, want := range []string{
		"NEXUS_TASK_ID=t1", "NEXUS_TASK_NAME=Parse <it> & more", "NEXUS_TASK_DESCRIPTION=line 1\nline 2 'quoted'",
		"NEXUS_PROJECT_ID=p1", "NEXUS_FEATURE_ID=f1", fmt.Sprint("NEXUS_EPOCH=", last.Epoch), "NEXUS_AGENT=w1", "NEXUS_ATTEMPT=1",
		"DATABASE_PATH=/data/nexus.db", "NEXUS_REPORT=" + report, "KEPT=yes",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment has no %q", want)
		}
	}
	if got := s.read("modes"); got != "600\n700\n" {
		t.Errorf("the modes of the report and its folder are %q", got)
	}
	if _, err := os.Stat(filepath.Dir(report)); !os.IsNotExist(err) {
		t.Errorf("the report's folder is left behind: %v", err)
	}

	if diff := cmp.Diff(nexus.Evidence{
		Commit: "4f2c1e9", Files: []string{"a.go", "b.go"}, Tests: "34 passed", Note: "easy",
		Output: "out\nerr\n", ExitCode: new(0),
	}, *last.Evidence); diff != "" {
		t.Error(diff)
	}
	type row struct {
		project, task, agent, metric string
		value                        float64
		metadata                     nexus.JSON
	}
	var rows []row
	for m, err := range s.db.Metrics.All(background, nexus.MetricFilter{}) {
		must(t, err)
		rows = append(rows, row{m.ProjectID, m.TaskID, m.AgentID, m.Type, m.Value, m.Metadata})
	}
	if diff := cmp.Diff([]row{
		{"p1", "t1", "w1", "task_duration", 0, ""},
		{"p1", "t1", "w1", "token_usage", 1200, `{"model":"m"}`},
		{"p1", "t1", "w1", "token_usage", 34, ""},
		{"p1", "t1", "w1", "cost_usd", 0.5, ""},
	}, rows, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
	agent, err := s.db.Agents.Get(background, "w1")
	must(t, err)
	if agent.TokensUsed != 1234 || agent.TasksCompleted != 1 || agent.CurrentTaskID != "" {
		t.Errorf("the agent is %+v", agent)
	}
}

// How long it took, by the clock.
func TestDuration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task("t1")
	s.pipe("began", "go")
	run := s.start(s.worker("w1", `echo > "$DIR/began"; read line < "$DIR/go"`))
	s.hear("began")
	s.clock.advance(90*time.Second + 7*time.Millisecond)
	s.say("go")
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
	if ms := s.wantAttempt("t1", nexus.OutcomeCompleted, "").Evidence.DurationMS; ms != 90_007 {
		t.Errorf("it took %d ms", ms)
	}
	list, err := s.db.Metrics.List(background, nexus.MetricFilter{TaskID: "t1", Type: "task_duration"})
	must(t, err)
	if len(list) != 1 || math.Abs(list[0].Value-1.5) > 0.001 {
		t.Errorf("it took %+v minutes", list)
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for title, test := range map[string]struct {
		script  string
		summary worker.Summary
		outcome nexus.Outcome
		reason  string
		status  nexus.TaskStatus
		exit    int
		failed  int
	}{
		"success": {"exit 0", worker.Summary{Completed: 1}, nexus.OutcomeCompleted, "", nexus.TaskCompleted, 0, 0},
		"failure": {"exit 3", worker.Summary{Failed: 1}, nexus.OutcomeFailed, "exit status 3", nexus.TaskPending, 3, 1},
		"failure with a reason": {
			`echo '{"reason":"no such table"}' > $NEXUS_REPORT; exit 1`,
			worker.Summary{Failed: 1},
			nexus.OutcomeFailed, "no such table", nexus.TaskPending, 1, 1,
		},
		"for good": {"exit 65", worker.Summary{Failed: 1}, nexus.OutcomeFailed, "exit status 65", nexus.TaskEscalated, 65, 1},
		"later": {
			"exit 75",
			worker.Summary{Released: 1},
			nexus.OutcomeReleased,
			"the command asks to try again later (exit status 75)", nexus.TaskPending, 0, 0,
		},
		"later with a reason": {
			`echo '{"reason":"out of quota"}' > $NEXUS_REPORT; exit 75`,
			worker.Summary{Released: 1},
			nexus.OutcomeReleased, "out of quota", nexus.TaskPending, 0, 0,
		},
		"killed": {"kill -9 $$", worker.Summary{Failed: 1}, nexus.OutcomeFailed, "killed by signal: killed", nexus.TaskPending, 137, 1},
		"killed by a signal with the number of a status": {
			"kill -XCPU $$", worker.Summary{Failed: 1}, nexus.OutcomeFailed, "", nexus.TaskPending, 128 + int(syscall.SIGXCPU), 1,
		},
		"a shell's status for a killed child": {"exit 137", worker.Summary{Failed: 1}, nexus.OutcomeFailed, "exit status 137", nexus.TaskPending, 137, 1},
		"no such program":                     {"exec /nothing/here", worker.Summary{Failed: 1}, nexus.OutcomeFailed, "exit status 127", nexus.TaskPending, 127, 1},
		"it only reads half":                  {"head -c 1 > /dev/null; exec <&-; exit 0", worker.Summary{Completed: 1}, nexus.OutcomeCompleted, "", nexus.TaskCompleted, 0, 0},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.task("t1")
			w := s.worker("w1", test.script)
			w.MaxTasks = 1
			s.run(w, test.summary)
			if task := s.wantStatus("t1", test.status); task.FailedAttempts != test.failed {
				t.Errorf("%d attempts have failed", task.FailedAttempts)
			}
			reason := test.reason
			if reason == "" {
				list := s.attempts("t1")
				reason = list[len(list)-1].Reason // with or without a core dump
			}
			last := s.wantAttempt("t1", test.outcome, reason)
			if code := last.Evidence.ExitCode; test.outcome != nexus.OutcomeReleased && (code == nil || *code != test.exit) {
				t.Errorf("the exit code is %v", code)
			}
			list, err := s.db.Metrics.List(background, nexus.MetricFilter{TaskID: "t1", Type: "task_duration"})
			if err != nil || len(list) != 1 {
				t.Errorf("the durations are %v, %v", list, err)
			}
		})
	}
}

// A task that fails is tried as often as it may, and then left to a person.
func TestAttempts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task("t1")
	s.run(s.worker("w1", `echo $NEXUS_ATTEMPT >> "$DIR/attempts"; exit 1`), worker.Summary{Failed: 3})
	if got := s.read("attempts"); got != "1\n2\n3\n" {
		t.Errorf("the attempts were %q", got)
	}
	s.wantStatus("t1", nexus.TaskEscalated)
	s.await("t1: failed after 0s: exit status 1; it will be tried again")
	s.await("t1: failed after 0s: exit status 1; a person has to look at it")
}

// Somebody kills the command, as the kernel does when memory runs out. The worker
// goes on.
func TestCommandIsKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pipe("began")
	s.task("t1")
	s.task("t2")
	run := s.start(s.worker("w1", `
		[ $NEXUS_TASK_ID = t1 -a $NEXUS_ATTEMPT = 1 ] || exit 0
		echo '{"metric":"token_usage","value":7}' >> $NEXUS_REPORT
		echo '{"commit":"half a li' >> $NEXUS_REPORT
		echo $$ > "$DIR/began"
		sleep 1000`))
	pid, err := strconv.Atoi(s.hear("began"))
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGKILL))
	s.wantSummary(run.wait(), worker.Summary{Completed: 2, Failed: 1})
	first := s.attempts("t1")[0]
	if first.Outcome != nexus.OutcomeFailed || first.Reason != "killed by signal: killed" || *first.Evidence.ExitCode != 137 {
		t.Errorf("the attempt was %+v", first)
	}
	if note := first.Evidence.Note; note != "report: line 2 is broken: unexpected end of JSON input" {
		t.Errorf("its note is %q", note)
	}
	agent, err := s.db.Agents.Get(background, "w1")
	must(t, err)
	if agent.TokensUsed != 7 {
		t.Errorf("the agent has used %d tokens", agent.TokensUsed)
	}
}

func TestBrokenReport(t *testing.T) {
	t.Parallel()
	for title, test := range map[string]struct{ script, note string }{
		"lines": {
			`printf '{"note":"fine"}\nwhat?\n\n{"metric":"x"}\n' > $NEXUS_REPORT`,
			"fine\nreport: line 2 is broken: invalid character 'w' looking for beginning of value\n" +
				"report: line 4 is broken: there is a metric but no value",
		},
		"binary":       {`printf '\000\377\001' > $NEXUS_REPORT`, `report: line 1 is broken: invalid character '\x00' looking for beginning of value`},
		"gone":         {`rm $NEXUS_REPORT`, "report: it cannot be read: lstat …: no such file or directory"},
		"a folder":     {`rm $NEXUS_REPORT; mkdir $NEXUS_REPORT`, "report: it is not a file any more"},
		"a named pipe": {`rm $NEXUS_REPORT; mkfifo $NEXUS_REPORT`, "report: it is not a file any more"},
		"a link":       {`rm $NEXUS_REPORT; ln -s /dev/zero $NEXUS_REPORT`, "report: it is not a file any more"},
		"too long":     {`head -c 3000000 /dev/zero > $NEXUS_REPORT`, "report: it is longer than 1 MB; the rest was not read"},
		"another file": {`echo '{"note":"moved"}' > $NEXUS_REPORT.new; mv $NEXUS_REPORT.new $NEXUS_REPORT`, "moved"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.task("t1")
			s.run(s.worker("w1", `echo $NEXUS_REPORT > "$DIR/report"; `+test.script), worker.Summary{Completed: 1})
			note := s.wantAttempt("t1", nexus.OutcomeCompleted, "").Evidence.Note
			note = strings.ReplaceAll(note, strings.TrimSpace(s.read("report")), "…")
			if note != test.note {
				t.Errorf("the note is\n%s\nwant\n%s", note, test.note)
			}
			if logged := strings.Contains(s.log.text(), "t1: its report: "); logged != strings.Contains(test.note, "report: ") {
				t.Errorf("the log is\n%s", s.log.text())
			}
		})
	}
}

// Only the end of the output is kept, as a text.
func TestOutput(t *testing.T) {
	t.Parallel()
	for title, test := range map[string]struct{ script, output string }{
		"nothing":           {"true", ""},
		"both":              {"echo a; echo b >&2; echo c", "a\nb\nc\n"},
		"binary":            {`printf 'a\000b\377\376c'`, "a\uFFFDb\uFFFDc"},
		"long":              {`printf 'begin'; head -c 100000 /dev/zero | tr '\000' x; printf end`, strings.Repeat("x", 4093) + "end"},
		"long, of euros":    {`yes € | head -c 400000 | tr -d '\n'`, strings.Repeat("€", 1365)},
		"long without text": {`head -c 100000 /dev/zero`, strings.Repeat("\uFFFD", 4096)},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.task("t1")
			s.run(s.worker("w1", test.script), worker.Summary{Completed: 1})
			if diff := cmp.Diff(test.output, s.wantAttempt("t1", nexus.OutcomeCompleted, "").Evidence.Output); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A description that is too long for a variable is left out there, and whole on
// standard input, read or not.
func TestLongDescription(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	long := strings.Repeat("long ", 1_000_000)
	must(t, s.db.Tasks.Create(background, &nexus.Task{ID: "t1", ProjectID: "p1", Name: "x", Description: long}))
	s.task("t2")
	w := s.worker("w1", `
		echo "${NEXUS_TASK_DESCRIPTION-unset}" >> "$DIR/descriptions"
		[ $NEXUS_TASK_ID = t1 ] && cat > "$DIR/stdin"; true`)
	w.Env = append(w.Env, "NEXUS_TASK_DESCRIPTION=outer")
	s.run(w, worker.Summary{Completed: 2})
	if got := s.read("descriptions"); got != "unset\n\n" {
		t.Errorf("the descriptions are %q", got)
	}
	if got := s.read("stdin"); !strings.Contains(got, `"description":"`+long+`"`) {
		t.Errorf("standard input has %d bytes", len(got))
	}
}

// What a command has started ends with it.
func TestLeftoversAreKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.pipe("alive", "opened")
	s.task("t1")
	run := s.start(s.worker("w1", `
		sh -c 'trap "" TERM HUP; exec 3> "$DIR/alive"; echo > "$DIR/opened"; sleep 1000' &
		read line < "$DIR/opened"
		echo done`))
	// It is open for writing until the last of them has ended.
	if got := s.hear("alive"); got != "" {
		t.Errorf("somebody has written %q", got)
	}
	s.wantSummary(run.wait(), worker.Summary{Completed: 1})
	if out := s.wantAttempt("t1", nexus.OutcomeCompleted, "").Evidence.Output; out != "done\n" {
		t.Errorf("the output is %q", out)
	}
}

// A process that the command has let go holds its output open. It is not waited
// for, and not killed.
func TestEscapedProcess(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.task("t1")
	w := s.worker("w1", "")
	program, err := os.Executable()
	must(t, err)
	w.Command = []string{program}
	w.Env = append(w.Env, childVariable+"=escape")
	s.run(w, worker.Summary{Completed: 1})
	pid, err := strconv.Atoi(s.read("pid"))
	must(t, err)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the process that was let go: %v", err)
	}
	if out := s.wantAttempt("t1", nexus.OutcomeCompleted, "").Evidence.Output; out != "gone\n" {
		t.Errorf("the output is %q", out)
	}
}
