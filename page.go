package nexus

// Page says in which order a list comes and which part of it. Its zero value is
// the whole list, ordered by id, which for ids made by Nexus is the order in
// which they were made.
type Page struct {
	// OrderBy is a column: id, or one of those that the entity's filter names.
	OrderBy string

	// Descending turns the order round.
	Descending bool

	// Limit is the largest number of rows to return; 0 is no limit.
	Limit int

	// Cursor continues a list after the last row of the page before: the value
	// that the service's Cursor method returned for that row. It is valid only
	// with the same OrderBy and Descending.
	Cursor string
}
