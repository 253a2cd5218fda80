package sqlite

import (
	"strings"

	"github.com/seed-c8812374/nexus/store/driver"
)

// searchIndex is the name of the index of words, a virtual table.
const searchIndex = "search_index"

// SearchIndex implements driver.Searcher with FTS5.
func (d *db) SearchIndex() driver.SearchIndex {
	return driver.SearchIndex{
		Put:    `INSERT OR REPLACE INTO search_index (rowid, name, description, text) VALUES ($1, $2, $3, $4)`,
		Remove: `DELETE FROM search_index WHERE rowid = $1`,
		Clear: []string{
			`DELETE FROM search_index_content`, // of which it is then made anew: of nothing
			`INSERT INTO search_index (search_index) VALUES ('rebuild')`,
		},
		Match: `
			SELECT rowid AS document, -bm25(search_index, 20, 4, 1) AS weight
			FROM search_index WHERE search_index MATCH $1`,
		Query: matchExpression,
	}
}

// matchExpression is a query in the language of FTS5. Words have nothing in them
// that means something there, and are quoted because of those that do, such as or.
func matchExpression(q driver.SearchQuery) string {
	all := joinTerms(q.All, " AND ")
	if len(q.None) == 0 {
		return all
	}
	return "(" + all + ") NOT (" + joinTerms(q.None, " OR ") + ")"
}

func joinTerms(terms []driver.SearchTerm, operator string) string {
	list := make([]string, len(terms))
	for i, t := range terms {
		list[i] = `"` + strings.Join(t.Words, " ") + `"`
		if t.Prefix {
			list[i] += " *"
		}
	}
	return strings.Join(list, operator)
}
