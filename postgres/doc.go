// Package postgres keeps a Nexus database in PostgreSQL, version 15 or later, for
// fleets that do not share a file. It is the same store as package sqlite's, with
// the same tables and rules, in a schema of its own.
//
// It is written on github.com/jackc/pgx/v5. All that pgx takes in a URL it takes:
// several hosts, target_session_attrs, sslmode and certificates, a password file.
//
// docs/postgres.md says how to set a server up, which rights suffice, and what is
// guaranteed when a server or a connection fails.
package postgres
