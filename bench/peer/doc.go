// Package peer is what the measured programs in Go have in common: the protocol
// that they are driven by, and the work that they do.
//
// Every program is a process of its own, so that none pays for another's garbage
// or memory. It reads a command per line of standard input and answers each with
// one line of standard output:
//
//	open PATH SYNCHRONOUS    opens a database; SYNCHRONOUS is NORMAL or FULL
//	get 1000                 does so many of something
//	insert 1000 32           does so many with 32 writers at the same time
//
// The answer is "ok NANOSECONDS", perhaps with a text after it, "no" if the
// program has no such ability, or "error TEXT". Only the work itself is on the
// clock, not making up its arguments. The programs in C and JavaScript speak the
// same.
package peer
