// Package interop holds no code, only tests: other programs read and write the
// database file of Nexus, and Nexus reads and writes theirs. The programs are a
// Drizzle program on better-sqlite3 (in the folder drizzle) and sqlite3, the
// shell of SQLite. README.md says how to run them.
package interop
