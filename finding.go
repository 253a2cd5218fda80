package nexus

// Finding is something that is not as it should be in a database.
type Finding struct {
	Check    string   `json:"check"`         // what was looked at, such as edges or cycles
	Message  string   `json:"message"`       // what is wrong, in words
	Count    int      `json:"count"`         // how often
	IDs      []string `json:"ids,omitempty"` // of the first of them
	Mendable bool     `json:"mendable"`      // nexus doctor --fix puts it right, and nothing is lost by that
	Hint     string   `json:"hint"`          // what is safe to do next
}
