//go:build race

package plan_test

// raceDetector makes everything tenfold slower. What one goroutine does alone is
// not made to suffer it.
const raceDetector = true
