package store

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Column describes a column of one of the nine tables.
type Column struct {
	Name     string
	Type     string // TEXT, INTEGER or REAL
	Nullable bool
	Default  string // as SQL; empty if there is none
	Large    bool   // kept in the history only where it changes
}

// DerivedColumns returns the further columns of an entity's table: those that
// triggers keep, for SQL to search by. Services neither read nor write them, so
// no entity has them.
func DerivedColumns(kind nexus.Kind) []Column {
	count := func(name string) Column { return Column{Name: name, Type: "INTEGER", Default: "0"} }
	counts := []Column{count("task_count"), count("open_task_count"), count("completed_task_count")}
	switch kind {
	case nexus.KindFeature:
		return append(counts, count("tasks_changed_us"))
	case nexus.KindSubFeature:
		return counts
	case nexus.KindTask:
		return []Column{count("open_dependencies")}
	default:
		return nil
	}
}

// column is a Column with its place in the entity E.
type column[E any] struct {
	Column
	arg   func(*E) driver.Arg
	scan  func(*E, driver.Row, int)
	fit   func(*E) // takes from the field what the column cannot hold; may be nil
	order string   // what a list is ordered by, as SQL, if not the column itself
}

// with gives the column a default in the database.
func (c column[E]) with(sql string) column[E] {
	c.Default = sql
	return c
}

// large says that values may be long, and seldom change with the others.
func (c column[E]) large() column[E] {
	c.Large = true
	return c
}

// nullable lets the column be NULL, which reads as the zero value.
func (c column[E]) nullable() column[E] {
	c.Nullable = true
	return c
}

func text[E any, S ~string](name string, field func(*E) *S) column[E] {
	return column[E]{
		Column: Column{Name: name, Type: "TEXT"},
		arg:    func(e *E) driver.Arg { return driver.Text(*field(e)) },
		scan:   func(e *E, r driver.Row, i int) { *field(e) = S(r.Text(i)) },
	}
}

// optional is a text that is NULL when it is empty.
func optional[E any, S ~string](name string, field func(*E) *S) column[E] {
	c := text(name, field).nullable()
	c.arg = func(e *E) driver.Arg { return driver.TextOrNull(*field(e)) }
	return c
}

func integer[E any, I ~int | ~int64](name string, field func(*E) *I) column[E] {
	return column[E]{
		Column: Column{Name: name, Type: "INTEGER"},
		arg:    func(e *E) driver.Arg { return driver.Int(int64(*field(e))) },
		scan:   func(e *E, r driver.Row, i int) { *field(e) = I(r.Int(i)) },
	}
}

// optionalInteger is NULL when it is zero.
func optionalInteger[E any, I ~int | ~int64](name string, field func(*E) *I) column[E] {
	c := integer(name, field).nullable()
	c.arg = func(e *E) driver.Arg {
		if n := *field(e); n != 0 {
			return driver.Int(int64(n))
		}
		return driver.Null()
	}
	return c
}

func boolean[E any](name string, field func(*E) *bool) column[E] {
	return column[E]{
		Column: Column{Name: name, Type: "INTEGER"},
		arg:    func(e *E) driver.Arg { return boolArg(*field(e)) },
		scan:   func(e *E, r driver.Row, i int) { *field(e) = r.Int(i) != 0 },
	}
}

func boolArg(b bool) driver.Arg {
	if b {
		return driver.Int(1)
	}
	return driver.Int(0)
}

func real[E any](name string, field func(*E) *float64) column[E] {
	return column[E]{
		Column: Column{Name: name, Type: "REAL"},
		arg:    func(e *E) driver.Arg { return driver.Float(*field(e)) },
		scan: func(e *E, r driver.Row, i int) {
			// JSON has no infinity, which another program may have stored.
			*field(e) = min(max(r.Float(i), -math.MaxFloat64), math.MaxFloat64)
		},
	}
}

// optionalReal is NULL when it is zero.
func optionalReal[E any](name string, field func(*E) *float64) column[E] {
	c := real(name, field).nullable()
	c.arg = func(e *E) driver.Arg {
		if f := *field(e); f != 0 {
			return driver.Float(f)
		}
		return driver.Null()
	}
	return c
}

// Times outside these years cannot be shown in RFC 3339. One that another
// program stored is shown as the nearest that can.
var (
	firstSecond = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	lastSecond  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

func shownTime(seconds int64) time.Time {
	return time.Unix(min(max(seconds, firstSecond), lastSecond), 0).UTC()
}

// seconds is a time, kept as seconds since 1970.
func seconds[E any](name string, field func(*E) *time.Time) column[E] {
	return column[E]{
		Column: Column{Name: name, Type: "INTEGER"},
		arg:    func(e *E) driver.Arg { return driver.Int(field(e).Unix()) },
		fit: func(e *E) {
			t := field(e)
			*t = t.UTC().Truncate(time.Second)
		},
		scan: func(e *E, r driver.Row, i int) {
			*field(e) = shownTime(r.Int(i))
		},
		// As it is shown, so that a cursor finds its place again.
		order: fmt.Sprintf("CASE WHEN %[1]s < %[2]d THEN %[2]d WHEN %[1]s > %[3]d THEN %[3]d ELSE %[1]s END",
			name, firstSecond, lastSecond),
	}
}

// optionalSeconds is NULL when the time is zero.
func optionalSeconds[E any](name string, field func(*E) *time.Time) column[E] {
	c := seconds(name, field).nullable()
	arg, scan := c.arg, c.scan
	c.arg = func(e *E) driver.Arg {
		if field(e).IsZero() {
			return driver.Null()
		}
		return arg(e)
	}
	c.scan = func(e *E, r driver.Row, i int) {
		if r.IsNull(i) {
			*field(e) = time.Time{}
			return
		}
		scan(e, r, i)
	}
	return c
}

// idList is a JSON array of ids; none is NULL.
func idList[E any](name string, field func(*E) *[]string) column[E] {
	return column[E]{
		Column: Column{Name: name, Type: "TEXT", Nullable: true},
		arg:    func(e *E) driver.Arg { return driver.TextOrNull(nexus.EncodeIDs(*field(e))) },
		scan:   func(e *E, r driver.Row, i int) { *field(e) = nexus.DecodeIDs(nexus.JSON(r.Text(i))) },
	}
}

// priority is a task's priority, kept as its place in nexus.TaskPriorities. A
// number that has no name there is read as its digits.
func priority[E any](name string, field func(*E) *nexus.TaskPriority) column[E] {
	return column[E]{
		Column: Column{Name: name, Type: "INTEGER"},
		arg:    func(e *E) driver.Arg { return priorityArg(*field(e)) },
		scan: func(e *E, r driver.Row, i int) {
			n := r.Int(i)
			if n >= 0 && n < int64(len(taskPriorities)) {
				*field(e) = taskPriorities[n]
			} else {
				*field(e) = nexus.TaskPriority(strconv.FormatInt(n, 10))
			}
		},
	}
}

var taskPriorities = nexus.TaskPriorities()

func priorityArg(p nexus.TaskPriority) driver.Arg {
	if i := slices.Index(taskPriorities, p); i >= 0 {
		return driver.Int(int64(i))
	}
	n, err := strconv.ParseInt(string(p), 10, 64) // as it was read
	if err != nil {
		return driver.Null()
	}
	return driver.Int(n)
}
