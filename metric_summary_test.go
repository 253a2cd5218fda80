package nexus_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-c8812374/nexus"
)

func TestSetValues(t *testing.T) {
	t.Parallel()
	tenths := slices.Repeat([]float64{0.1}, 1_000_000)
	for name, test := range map[string]struct {
		values []float64
		want   nexus.MetricSummary
	}{
		"one":   {[]float64{3}, nexus.MetricSummary{Count: 1, Sum: 3, Mean: 3, Min: 3, Max: 3, P50: 3, P90: 3, P99: 3}},
		"two":   {[]float64{2, 1}, nexus.MetricSummary{Count: 2, Sum: 3, Mean: 1.5, Min: 1, Max: 2, P50: 1, P90: 2, P99: 2}},
		"zeros": {[]float64{0, 0, 0}, nexus.MetricSummary{Count: 3}},
		"three tenths": {[]float64{0.1, 0.1, 0.1}, nexus.MetricSummary{
			Count: 3, Sum: 0.30000000000000004, Mean: 0.1, Min: 0.1, Max: 0.1, P50: 0.1, P90: 0.1, P99: 0.1,
		}},
		"a million tenths":   {tenths, nexus.MetricSummary{Count: 1_000_000, Sum: 100_000, Mean: 0.1, Min: 0.1, Max: 0.1, P50: 0.1, P90: 0.1, P99: 0.1}},
		"small beside large": {[]float64{1, 1e100, 1, -1e100}, nexus.MetricSummary{Count: 4, Sum: 2, Mean: 0.5, Min: -1e100, Max: 1e100, P50: 1, P90: 1e100, P99: 1e100}},
		"too large a sum": {[]float64{math.MaxFloat64, math.MaxFloat64}, nexus.MetricSummary{
			Count: 2, Sum: math.MaxFloat64, Mean: math.MaxFloat64, Min: math.MaxFloat64, Max: math.MaxFloat64,
			P50: math.MaxFloat64, P90: math.MaxFloat64, P99: math.MaxFloat64,
		}},
		"too large on the way": {[]float64{-1e308, -1e308, 1e308, 1e308}, nexus.MetricSummary{
			Count: 4, Min: -1e308, Max: 1e308, P50: -1e308, P90: 1e308, P99: 1e308,
		}},
	} {
		var got nexus.MetricSummary
		if got.SetValues(slices.Clone(test.values)); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

// Whatever the values, what they come to can be shown and is between them.
func TestSetValuesOfAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), 1, 30).Draw(t, "values")
		var s nexus.MetricSummary
		s.SetValues(slices.Clone(values))
		order := []float64{s.Min, s.P50, s.P90, s.P99, s.Max}
		if !slices.IsSorted(order) {
			t.Fatalf("percentiles out of order: %+v", s)
		}
		for _, v := range order {
			if !slices.Contains(values, v) {
				t.Fatalf("%v was not measured: %+v", v, s)
			}
		}
		if s.Mean < s.Min || s.Mean > s.Max || math.IsNaN(s.Sum) || math.IsInf(s.Sum, 0) {
			t.Fatalf("sum or mean make no sense: %+v", s)
		}
		slices.Reverse(values)
		var again nexus.MetricSummary
		if again.SetValues(values); again != s {
			t.Fatalf("another order gives %+v instead of %+v", again, s)
		}
	})
}

func TestBucketStart(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("east", 2*3600)
	for _, test := range []struct {
		at     time.Time
		bucket time.Duration
		want   string
	}{
		{time.Date(2026, 3, 1, 12, 34, 56, 789, time.UTC), nexus.Hour, "2026-03-01T12:00:00Z"},
		{time.Date(2026, 3, 1, 1, 0, 0, 0, zone), nexus.Day, "2026-02-28T00:00:00Z"},
		{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), nexus.Week, "2026-02-23T00:00:00Z"},
		{time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), nexus.Week, "2026-03-02T00:00:00Z"},
		{time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), nexus.Week, "0000-01-01T00:00:00Z"},
	} {
		if got := nexus.BucketStart(test.at, test.bucket).Format(time.RFC3339); got != test.want {
			t.Errorf("%v by %v: %s, want %s", test.at, test.bucket, got, test.want)
		}
	}
}
