package nexus_test

import (
	"testing"
	"time"

	"github.com/seed-c8812374/nexus"
)

func TestParseLength(t *testing.T) {
	t.Parallel()
	const wrong = -1
	for text, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "10d": 10 * nexus.Day, "1h30m": 90 * time.Minute, "100000d": 100_000 * nexus.Day,
		"0": 0, "0s": 0, "0d": 0,
		"": wrong, "d": wrong, "-1s": wrong, "-1d": wrong, "100001d": wrong, "1.5d": wrong,
		"99999999999999999999d": wrong, "9999999h": wrong, "x": wrong,
	} {
		if got, err := nexus.ParseLength(text); (err != nil) != (want == wrong) || err == nil && got != want {
			t.Errorf("%q is %v (%v), want %v", text, got, err, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	type span struct {
		start  time.Time
		length time.Duration
	}
	for text, want := range map[string]span{
		"2026-01-31":                {noon.Add(-12 * time.Hour), nexus.Day},
		"2026-01-31 12:00":          {noon, time.Minute},
		"2026-01-31T12:00":          {noon, time.Minute},
		"2026-01-31 12:00:07":       {noon.Add(7 * time.Second), time.Second},
		"2026-01-31T12:00:07":       {noon.Add(7 * time.Second), time.Second},
		"2026-01-31T12:00:07.25Z":   {noon.Add(7250 * time.Millisecond), 0},
		"2026-01-31T14:00:00+02:00": {noon, time.Second},
		"":                          {}, "now": {}, "2026-02-30": {}, "31.1.2026": {}, "12:00": {}, "2026-01-31 12": {},
	} {
		start, length, err := nexus.ParseTime(text)
		if got := (span{start, length}); got != want || (want == span{}) != (err != nil) {
			t.Errorf("%q is %v (%v), want %v", text, got, err, want)
		}
	}
}
