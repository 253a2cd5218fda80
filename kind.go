package nexus

// Kind names one of the nine entities.
type Kind string

// The kinds, in the order in which their tables are created.
const (
	KindProject     Kind = "project"
	KindFeature     Kind = "feature"
	KindSubFeature  Kind = "sub_feature"
	KindTask        Kind = "task"
	KindAgent       Kind = "agent"
	KindCheckpoint  Kind = "checkpoint"
	KindRequirement Kind = "requirement"
	KindMetric      Kind = "metric"
	KindSession     Kind = "session"
)

// Kinds returns the nine kinds, parents before children.
func Kinds() []Kind {
	return []Kind{
		KindProject, KindFeature, KindSubFeature, KindTask, KindAgent,
		KindCheckpoint, KindRequirement, KindMetric, KindSession,
	}
}

// Table returns the name of the table that keeps entities of this kind.
func (k Kind) Table() string { return string(k) + "s" }
