package nexus

import (
	"math"
	"slices"
	"time"
)

// MetricGroup is something that metrics are put together by.
type MetricGroup string

// What metrics are put together by, besides time. A metric of no agent, task or
// feature belongs to a group of its own, of which that is empty.
const (
	ByType    MetricGroup = "type"
	ByAgent   MetricGroup = "agent"
	ByTask    MetricGroup = "task"
	ByFeature MetricGroup = "feature" // of the task
)

// MetricGroups returns the groups.
func MetricGroups() []MetricGroup { return []MetricGroup{ByType, ByAgent, ByTask, ByFeature} }

// Customary lengths of a [MetricQuery]'s Bucket. MaxBucket is the longest.
const (
	Hour      = time.Hour
	Day       = 24 * Hour
	Week      = 7 * Day
	MaxBucket = 366 * Day
)

// MetricQuery asks what metrics come to. A zero field of the first ones chooses
// all metrics, as in a [MetricFilter].
type MetricQuery struct {
	ProjectID string
	AgentID   string
	TaskID    string
	FeatureID string // of the metric's task
	Type      string
	Since     time.Time // at or after
	Until     time.Time // before

	// By and Bucket say which metrics are put together: those that have the same of
	// everything in By, and that were measured within the same Bucket of time, if
	// that is not 0; see [BucketStart]. Metrics of different types are never put
	// together, for dollars and tokens have no sum.
	By     []MetricGroup
	Bucket time.Duration
}

// Validate returns an [Error] with CodeInvalid that lists everything that is wrong
// with q, or nil.
func (q MetricQuery) Validate() error {
	c := new(checker)
	c.optionalID("project_id", q.ProjectID)
	c.optionalID("agent_id", q.AgentID)
	c.optionalID("task_id", q.TaskID)
	c.optionalID("feature_id", q.FeatureID)
	c.text("type", q.Type)
	for _, group := range q.By {
		oneOf(c, "by", group, MetricGroups())
	}
	checkBuckets(c, q.Since, q.Until, q.Bucket)
	return c.invalid(KindMetric, "")
}

// checkBuckets checks a stretch of time and what it is divided into.
func checkBuckets(c *checker, since, until time.Time, bucket time.Duration) {
	c.time("since", since)
	c.time("until", until)
	if !since.IsZero() && !until.IsZero() && !since.Before(until) {
		c.add("since", since, "is not before until")
	}
	if bucket != 0 && (bucket < time.Second || bucket > MaxBucket || bucket%time.Second != 0) {
		c.add("bucket", bucket, "is %v; it must be whole seconds, from 1s to %d days", bucket, MaxBucket/Day)
	}
}

// Groups reports whether metrics are put together by a group.
func (q MetricQuery) Groups(by MetricGroup) bool { return by == ByType || slices.Contains(q.By, by) }

// MetricSummary is what some metrics of one type come to. What the query did not
// ask to put together by is empty.
type MetricSummary struct {
	Type      string    `json:"type"`
	Start     time.Time `json:"start,omitzero"` // of the bucket
	AgentID   string    `json:"agent_id,omitempty"`
	TaskID    string    `json:"task_id,omitempty"`
	FeatureID string    `json:"feature_id,omitempty"`

	// Count is how many there are, 1 at least. A Sum beyond what a float64 holds is
	// the nearest that it does hold.
	Count int64   `json:"count"`
	Sum   float64 `json:"sum"`
	Mean  float64 `json:"mean"`
	Min   float64 `json:"min"`
	Max   float64 `json:"max"`

	// The percentiles are of the nearest rank: the smallest value that so many per
	// cent of the values do not exceed. So each is a value that was measured.
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
}

// SetValues fills in what values come to, which it sorts. There must be one at
// least, and each must be a finite number.
func (s *MetricSummary) SetValues(values []float64) {
	slices.Sort(values)
	n := len(values)
	percentile := func(p int) float64 { return values[(n*p+99)/100-1] }
	s.Count, s.Min, s.Max = int64(n), values[0], values[n-1]
	s.P50, s.P90, s.P99 = percentile(50), percentile(90), percentile(99)
	s.Sum, s.Mean = sumAndMean(values)
	s.Mean = min(max(s.Mean, s.Min), s.Max) // which rounding may leave by a little
}

// sumAndMean adds up, keeping what is lost to rounding apart (Neumaier's variant of
// Kahan's sum): a million costs of a tenth of a cent are a thousand dollars.
func sumAndMean(values []float64) (sum, mean float64) {
	n, lost := float64(len(values)), 0.0
	for _, v := range values {
		next := sum + v
		if math.Abs(sum) >= math.Abs(v) {
			lost += (sum - next) + v
		} else {
			lost += (v - next) + sum
		}
		sum = next
	}
	sum += lost
	if !math.IsInf(sum, 0) && !math.IsNaN(sum) {
		return sum, sum / n
	}
	// It is, or was on the way, too large; the mean never is.
	for _, v := range values {
		mean += v / n
	}
	return min(max(mean*n, -math.MaxFloat64), math.MaxFloat64), mean
}

// BucketStart returns when the bucket begins that a time falls into. Buckets begin
// at multiples of their length since the year 1 in UTC, which makes an hour begin
// with its minute 0, a day at midnight, and a week on Monday.
func BucketStart(t time.Time, bucket time.Duration) time.Time {
	start := t.UTC().Truncate(bucket)
	if start.Year() < 0 { // which RFC 3339 cannot express
		return time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return start
}

// CompletionQuery asks how many tasks were completed, and when; a zero field chooses
// all.
type CompletionQuery struct {
	ProjectID string
	FeatureID string
	AgentID   string    // to whom they were assigned
	Since     time.Time // at or after
	Until     time.Time // before

	Bucket time.Duration // as in a [MetricQuery]; 0 counts them all together
}

// Validate returns an [Error] with CodeInvalid that lists everything that is wrong
// with q, or nil.
func (q CompletionQuery) Validate() error {
	c := new(checker)
	c.optionalID("project_id", q.ProjectID)
	c.optionalID("feature_id", q.FeatureID)
	c.optionalID("agent_id", q.AgentID)
	checkBuckets(c, q.Since, q.Until, q.Bucket)
	return c.invalid(KindTask, "")
}

// Completions is how many tasks were completed in a bucket of time.
type Completions struct {
	Start time.Time `json:"start,omitzero"`
	Count int64     `json:"count"`
}
