package nexus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseTime reads a moment as people write it: in RFC 3339, or as a day, a minute or a
// second of UTC, with a T or a space between: 2026-01-31, 2026-01-31 12:00.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339, time.DateOnly,
		"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-01-31T12:00:00Z or 2026-01-31", text)
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
