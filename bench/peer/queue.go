package peer

import (
	"errors"
	"time"
)

// Queue is a program that hands out work.
type Queue interface {
	Version() string

	// Fill makes n pieces of work that can be done at once.
	Fill(n int) error

	// Work claims and completes n pieces with so many workers, each in a
	// transaction of its own unless the program does otherwise by itself.
	Work(n, workers int) error

	// Rest ends what still runs after Work, off the clock.
	Rest() error

	Close() error
}

// ServeQueue measures a program that hands out work until standard input ends.
func ServeQueue(open func(path, synchronous string) (Queue, error)) {
	var q Queue
	serve(func(path, synchronous string) (err error) {
		q, err = open(path, synchronous)
		return err
	}, func() string { return q.Version() }, map[string]command{
		"fill": func(n, _ int) (time.Duration, error) {
			return timed(func() error { return q.Fill(n) })
		},
		"work": func(n, workers int) (time.Duration, error) {
			took, err := timed(func() error { return q.Work(n, workers) })
			return took, errors.Join(err, q.Rest())
		},
	}, func() error { return q.Close() })
}

// Together does something n times, spread over so many goroutines.
func Together(n, workers int, do func(i int) error) error {
	_, err := together(n, workers, do)
	return err
}
