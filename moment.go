package nexus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseTime reads a time as people write it: in RFC 3339, or as a day, a minute or a
// second of UTC, with a T or a space between: 2026-01-31, 2026-01-31 12:00. It returns
// when that begins and how long it lasts, which is nothing if it has parts of a second.
func ParseTime(text string) (start time.Time, length time.Duration, err error) {
	for _, form := range []struct {
		layout string
		length time.Duration
	}{
		{time.RFC3339, time.Second},
		{"2006-01-02T15:04:05", time.Second},
		{"2006-01-02 15:04:05", time.Second},
		{"2006-01-02T15:04", time.Minute},
		{"2006-01-02 15:04", time.Minute},
		{time.DateOnly, Day},
	} {
		if t, err := time.Parse(form.layout, text); err == nil {
			if strings.Contains(text, ".") {
				form.length = 0
			}
			return t.UTC(), form.length, nil
		}
	}
	return time.Time{}, 0, fmt.Errorf("%q is not a time such as 2026-01-31T12:00:00Z or 2026-01-31", text)
}

// ParseLength reads a length of time as Go writes it, or a number of days: 90m, 7d. It is
// not negative.
func ParseLength(text string) (time.Duration, error) {
	const most = 100_000 // days; more do not fit in a Duration
	length, err := time.ParseDuration(text)
	if number, inDays := strings.CutSuffix(text, "d"); inDays {
		var days uint64
		days, err = strconv.ParseUint(number, 10, 32)
		if days > most {
			err = strconv.ErrRange
		}
		length = time.Duration(days) * Day
	}
	if err != nil || length < 0 {
		return 0, errors.New("not a length of time such as 36h or 7d")
	}
	return length, nil
}
