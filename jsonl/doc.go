// Package jsonl writes all that a database holds as lines of JSON, and reads it back.
// What comes back is what there was: every value of every row of the nine tables, of
// the attempts at tasks and of idempotency keys, whatever program has written it, and
// columns that other programs have added. docs/backup.md describes the format.
package jsonl
