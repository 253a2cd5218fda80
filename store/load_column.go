package store

import (
	"context"
	"regexp"
	"sync"

	"github.com/seed-c8812374/nexus/store/driver"
)

// IsPlain reports whether a column that another program has added may be added to
// another database: with a plain type and a plain default, as they become a part of
// the schema.
func IsPlain(c driver.Column) bool { return isPlain()(c) }

// isPlain waits for the first question: to compile the expressions takes longer than most
// of what a command does.
var isPlain = sync.OnceValue(func() func(driver.Column) bool {
	var (
		columnType    = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*( [A-Za-z_][A-Za-z0-9_]*)*( ?\( ?[0-9]+ ?(, ?[0-9]+ ?)?\))?)?$`)
		columnDefault = regexp.MustCompile(`^([+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|[xX]?'([^'\x00]|'')*'|(?i:null|true|false|current_(time|date|timestamp)))?$`)
		constraint    = regexp.MustCompile(`(?i)\b(primary|unique|check|references|collate|generated|as|constraint|default|not|null|on)\b`)
	)
	return func(c driver.Column) bool {
		return c.Name != "" && columnType.MatchString(c.Type) && !constraint.MatchString(c.Type) && columnDefault.MatchString(c.Default)
	}
})

// AddColumn adds a column to a table, which other programs had added there. Its type
// and default become a part of the schema, so it must be plain; see [IsPlain].
func (l *Loader) AddColumn(ctx context.Context, table *ContentTable, c driver.Column) error {
	sql := "ALTER TABLE " + table.Name + " ADD COLUMN " + quoteName(c.Name) + " " + c.Type
	if c.NotNull {
		sql += " NOT NULL"
	}
	if c.Default != "" {
		sql += " DEFAULT " + c.Default
	}
	if _, err := l.conn.Exec(ctx, sql); err != nil {
		return rawError(err)
	}
	table.Added = append(table.Added, c)
	return nil
}
