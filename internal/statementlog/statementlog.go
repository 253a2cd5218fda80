// Package statementlog writes the debug lines of statements, for every driver alike.
package statementlog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus/store/driver"
)

// Write writes the line of a statement that began at start and ended now, with err if
// it failed. database names its kind.
func Write(ctx context.Context, log *slog.Logger, database, sql string, args []driver.Arg, start time.Time, err error) {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value()
		if text, ok := values[i].(string); ok {
			values[i] = shorten(text)
		}
	}
	attrs := []slog.Attr{
		slog.String("sql", strings.Join(strings.Fields(sql), " ")),
		slog.Any("args", values),
		slog.Duration("duration", time.Since(start)),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	log.LogAttrs(ctx, slog.LevelDebug, database, attrs...)
}

// shorten keeps a long argument from filling the log.
func shorten(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:cut], len(text))
}
