package nexus

// SearchRequest says what to look for.
type SearchRequest struct {
	// Text is what a person types. All of its words are required, in any order and
	// place of a row; the last may be the beginning of one, and so may each that ends
	// in a star. Words in double quotes stand next to each other; what follows a
	// minus must not occur. Capitals and accents make no difference, and whatever else
	// there is between words is no more than that.
	Text string

	ProjectID string // only of this project
	Kinds     []Kind // of any of these: project, feature, sub_feature, task, requirement, session
	Limit     int    // at most so many; 0 is DefaultHits
}

// DefaultHits is how many hits a search returns unless it is told otherwise, and
// MaxHits how many at most.
const (
	DefaultHits = 20
	MaxHits     = 1000
)

// The fields in which something is found.
const (
	HitName        = "name"
	HitDescription = "description"
	HitData        = "data" // of a session
	HitLog         = "log"  // an entry in the log of a session
)

// Hit is a row, or an entry in the log of a session, that has what was looked for.
type Hit struct {
	Kind      Kind    `json:"kind"`
	ID        string  `json:"id"`
	Number    int64   `json:"number,omitempty"` // of the entry
	ProjectID string  `json:"project_id,omitempty"`
	Name      string  `json:"name"`    // of a requirement its category, of a session its type
	Where     string  `json:"where"`   // the field that the snippet is of
	Snippet   string  `json:"snippet"` // on one line
	Rank      float64 `json:"rank"`    // the more the better; from 0 on

	// Marks are the places of the snippet that were looked for: from and to which byte.
	Marks [][2]int `json:"-"`
}
