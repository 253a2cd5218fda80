package driver

// Searcher is a DB that has an index of words. Without one, a search reads every row.
type Searcher interface {
	SearchIndex() SearchIndex
}

// SearchIndex is SQL that works on an index of documents, which have a number and
// words in three fields, by weight. The words are taken apart and made comparable
// already: they have a blank between them, and no character of ASCII in them but a
// to z and 0 to 9.
type SearchIndex struct {
	Put    string   // has document $1 with the fields $2, $3 and $4, instead of those it had
	Remove string   // forgets document $1
	Clear  []string // forgets all, also what is damaged

	// Match selects the columns document and weight of those that fit $1, which Query
	// makes of a query. The more weight the better.
	Match string
	Query func(SearchQuery) string
}

// SearchQuery fits documents that have all of some terms, at least one, and none of
// others.
type SearchQuery struct {
	All, None []SearchTerm
}

// SearchTerm is words next to each other in one field.
type SearchTerm struct {
	Words  []string
	Prefix bool // the last is the beginning of a word
}
