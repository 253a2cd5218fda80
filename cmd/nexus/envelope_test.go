package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// exitCodes are the exit codes of the errors, as the documentation has them.
var exitCodes = map[string]int{
	"internal": 1, "usage": 2, "not_found": 3, "already_exists": 4, "stale": 5, "invalid": 6,
	"bad_reference": 7, "in_use": 8, "bad_transition": 9, "ambiguous": 10, "busy": 11,
	"read_only": 12, "disk_full": 13, "io": 14, "corrupt": 15, "not_nexus": 16,
	"newer_schema": 17, "migration": 18, "closed": 19, "fenced": 20, "not_ready": 21, "none_ready": 22, "key_reused": 23, "over_budget": 24, "unconfirmed": 25, "denied": 26, "offline": 27, "outcome_unknown": 28, "canceled": 130,
}

// checkEnvelope checks that text is one line with one envelope, and returns it.
func checkEnvelope(ts *testscript.TestScript, text string) map[string]any {
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("the JSON is not one line")
	}
	e := decode(ts, text)
	for name := range e {
		if !slices.Contains([]string{"schema_version", "data", "next_cursor", "error"}, name) {
			ts.Fatalf("the envelope has a member %s", name)
		}
	}
	if show(e["schema_version"]) != "1" {
		ts.Fatalf("schema_version is %v", e["schema_version"])
	}
	checkNames(ts, "", e)
	return e
}

func checkFailure(ts *testscript.TestScript, text string, exit int) {
	e := checkEnvelope(ts, text)
	failure, _ := e["error"].(map[string]any)
	if failure == nil || e["data"] != nil {
		ts.Fatalf("the envelope of a failure has an error and no data")
	}
	for _, name := range []string{"code", "message", "retryable"} {
		if _, has := failure[name]; !has {
			ts.Fatalf("the error has no %s", name)
		}
	}
	if code, known := exitCodes[show(failure["code"])]; !known || code != exit {
		ts.Fatalf("error code %v goes with exit code %d, not with %d", failure["code"], code, exit)
	}
	if message := show(failure["message"]); strings.ContainsAny(message, "\n") || message == "" {
		ts.Fatalf("the message is not one line")
	}
}

var (
	snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	timeName  = regexp.MustCompile(`(_at|^timestamp)$`)
	// freeNames are the members that hold what users put there.
	freeNames = []string{"metadata", "state", "by_status"}
)

// checkNames checks that members are in snake_case and times in RFC 3339 UTC.
func checkNames(ts *testscript.TestScript, path string, value any) {
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			checkNames(ts, path+"."+strconv.Itoa(i), item)
		}
	case map[string]any:
		for name, item := range v {
			member := path + "." + name
			if !snakeCase.MatchString(name) {
				ts.Fatalf("%s is not in snake_case", member)
			}
			if timeName.MatchString(name) {
				text, _ := item.(string)
				if at, err := time.Parse(time.RFC3339, text); err != nil || !strings.HasSuffix(text, "Z") || at.IsZero() {
					ts.Fatalf("%s is %v, not a time in UTC", member, item)
				}
			}
			free := slices.Contains(freeNames, name) || (name == "data" && path != "")
			if !free {
				checkNames(ts, member, item)
			}
		}
	}
}

func decode(ts *testscript.TestScript, text string) (e map[string]any) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&e); err != nil {
		ts.Fatalf("the output is not JSON: %v", err)
	}
	return e
}

// parseEnvelope returns the envelope on standard output, else the one on
// standard error.
func parseEnvelope(ts *testscript.TestScript) map[string]any {
	if text := ts.ReadFile("stdout"); text != "" {
		return decode(ts, text)
	}
	return decode(ts, ts.ReadFile("stderr"))
}

// lookUp finds a value by its path, such as data.0.name, or data.len for the
// length of a list.
func lookUp(value any, path string) (any, bool) {
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			item, has := v[name]
			if !has {
				return nil, false
			}
			value = item
		case []any:
			i, err := strconv.Atoi(name)
			switch {
			case name == "len":
				value = json.Number(strconv.Itoa(len(v)))
			case err != nil || i < 0 || i >= len(v):
				return nil, false
			default:
				value = v[i]
			}
		default:
			return nil, false
		}
	}
	return value, true
}

// show returns a text as it is, and any other value as JSON.
func show(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // it has been decoded from JSON
	return strings.TrimSuffix(b.String(), "\n")
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: json PATH [VALUE]")
	}
	value, found := lookUp(parseEnvelope(ts), args[0])
	switch {
	case neg && len(args) == 1 && found:
		ts.Fatalf("%s is %s, but should not be there", args[0], show(value))
	case neg:
	case !found:
		ts.Fatalf("there is no %s", args[0])
	case len(args) == 2 && show(value) != args[1]:
		ts.Fatalf("%s is %s, want %s", args[0], show(value), args[1])
	}
}

func cmdKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: keys PATH NAME…")
	}
	value, _ := lookUp(parseEnvelope(ts), args[0])
	object, ok := value.(map[string]any)
	if !ok {
		ts.Fatalf("%s is not an object", args[0])
	}
	got := make([]string, 0, len(object))
	for name := range object {
		got = append(got, name)
	}
	want := args[1:]
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		ts.Fatalf("the members of %s are\n%v, want\n%v", args[0], got, want)
	}
}
