// Package nexus is the domain of Nexus, the crash-safe memory of a team of
// coding agents: what is to be built (projects, features, sub-features,
// requirements), what is being done and by whom (tasks, agents, sessions),
// what it cost (metrics), and points to go back to (checkpoints).
//
// It says what these things are, which values they may hold, and what may
// become of them. It does no I/O and imports only the standard library.
// Storing them is the work of package store; a database is opened with package
// sqlite:
//
//	db, err := sqlite.Open(ctx, "data/nexus.db", nil)
//
// # Absent values
//
// A column that may be NULL is a Go value whose zero stands for NULL: an empty
// string, a zero time.Time, a nil pointer. Nexus never stores an empty string
// in such a column.
//
// # Other programs' values
//
// Other programs write to the same tables. A status, size or type that Nexus
// does not know is read and kept as it is; Known tells the two apart, and
// validation refuses it only in fields that a caller sets.
package nexus
