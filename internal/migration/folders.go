package migration

import (
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/seed-c8812374/nexus"
)

// The tables in which migrators keep what they have done.
const (
	OwnTable     = "nexus_migrations"
	UserTable    = "nexus_user_migrations"
	DrizzleTable = "__drizzle_migrations" // of a program that knows the same tables
)

// IsTracker reports whether a table is one of those.
func IsTracker(table string) bool {
	return table == OwnTable || table == UserTable || table == DrizzleTable
}

// Own returns a driver's own migrations, which are embedded in it as the folder
// migrations.
func Own(files fs.FS) *Set {
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	set, err := Load(folder, OwnTable)
	if err != nil {
		panic(err) // a test loads it
	}
	return set
}

// User returns the migrations in a folder of the caller's own; without a name, none.
func User(folder string) (*Set, error) {
	if folder == "" {
		return &Set{Table: UserTable}, nil
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, &nexus.Error{Code: nexus.CodeIO, Message: fmt.Sprintf("the migrations folder %s cannot be read", folder), Err: err}
	}
	return Load(os.DirFS(folder), UserTable)
}

// Statuses says of each migration of the set, and of those that have run besides, how
// it is.
func (s *Set) Statuses(diff Difference) (list []Status) {
	has := func(list []Migration, version int64) bool {
		return slices.ContainsFunc(list, func(m Migration) bool { return m.Version == version })
	}
	user := s.Table == UserTable
	for _, m := range s.Migrations {
		list = append(list, Status{
			Version: m.Version, Name: m.Name, User: user,
			Applied: !has(diff.Pending, m.Version),
			Changed: has(diff.Changed, m.Version),
		})
	}
	for _, version := range diff.Unknown {
		list = append(list, Status{Version: version, Applied: true, User: user})
	}
	return list
}
