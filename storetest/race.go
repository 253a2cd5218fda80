//go:build race

package storetest

// raceDetector makes everything tenfold slower. What one goroutine does alone is
// not made to suffer it.
const raceDetector = true
