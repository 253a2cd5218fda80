package nexus_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/seed-c8812374/nexus"
)

func TestErrorText(t *testing.T) {
	t.Parallel()
	problem := nexus.Problem{Field: "name", Message: "is required"}
	for want, e := range map[string]*nexus.Error{
		"task t1: does not exist":                      {Code: nexus.CodeNotFound, Kind: nexus.KindTask, ID: "t1", Message: "does not exist"},
		"task: name: is required":                      {Code: nexus.CodeInvalid, Kind: nexus.KindTask, Problems: []nexus.Problem{problem}},
		"task: name: is required (and 2 more)":         {Kind: nexus.KindTask, Problems: []nexus.Problem{problem, problem, problem}},
		"the plan is wrong: name: is required":         {Message: "the plan is wrong", Problems: []nexus.Problem{problem}},
		"cannot be opened: file does not exist":        {Message: "cannot be opened", Err: fs.ErrNotExist},
		"line 3, column 7: tasks[0].name: is required": {Problems: []nexus.Problem{{Field: "tasks[0].name", Line: 3, Column: 7, Message: "is required"}}},
		"feature f: 2 tasks refer to it: some cause":   {Kind: nexus.KindFeature, ID: "f", Message: "2 tasks refer to it", Err: errors.New("some cause")},
	} {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e.Error(), want)
		}
	}
	e := nexus.Errorf(nexus.CodeIO, "%s at %d%%", "full", 100)
	if e.Code != nexus.CodeIO || e.Error() != "full at 100%" {
		t.Errorf("Errorf made %q with code %s", e, e.Code)
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	stale := &nexus.Error{Code: nexus.CodeStale}
	for _, c := range []struct {
		err  error
		want nexus.Code
	}{
		{nil, ""},
		{stale, nexus.CodeStale},
		{fmt.Errorf("saving: %w", stale), nexus.CodeStale},
		{errors.Join(errors.New("first"), stale), nexus.CodeStale},
		{fmt.Errorf("reading: %w", context.Canceled), nexus.CodeCanceled},
		{context.DeadlineExceeded, nexus.CodeCanceled},
		{&nexus.Error{Code: nexus.CodeBusy, Err: context.Canceled}, nexus.CodeBusy}, // the first one that says
		{errors.New("anything"), nexus.CodeInternal},
	} {
		if got := nexus.CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) is %q, want %q", c.err, got, c.want)
		}
	}
	if !errors.Is(&nexus.Error{Err: fs.ErrNotExist}, fs.ErrNotExist) {
		t.Error("the cause is not unwrapped")
	}
}

// TestRetryable states what a caller may repeat blindly: no code that says
// something about the input.
func TestRetryable(t *testing.T) {
	t.Parallel()
	for code, want := range map[nexus.Code]bool{
		nexus.CodeBusy: true, nexus.CodeFull: true,
		nexus.CodeInvalid: false, nexus.CodeStale: false, nexus.CodeExists: false, nexus.CodeTransition: false,
		nexus.CodeNotFound: false, nexus.CodeReference: false, nexus.CodeCorrupt: false, nexus.CodeInternal: false,
	} {
		if got := (&nexus.Error{Code: code}).Retryable(); got != want {
			t.Errorf("%s: Retryable is %v", code, got)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	want := []string{"projects", "features", "sub_features", "tasks", "agents", "checkpoints", "requirements", "metrics", "sessions"}
	for i, kind := range nexus.Kinds() {
		if kind.Table() != want[i] {
			t.Errorf("table %d is %s, want %s", i, kind.Table(), want[i])
		}
	}
}
