package store

import (
	"context"
	"encoding/json"
	"hash/fnv"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// searchKey is the key of a document: a row, or an entry in the log of a session,
// which has a number.
type searchKey struct {
	kind   nexus.Kind
	id     string
	number int64
}

// searchDocument is what is searched of a row.
type searchDocument struct {
	searchKey
	project string
	at      int64 // when it was made, in microseconds
	title   string
	fields  [fields]string
}

// digest tells whether a document has changed.
func (d *searchDocument) digest() int64 {
	h := fnv.New64a()
	for _, text := range append([]string{d.project}, d.fields[:]...) {
		_, _ = h.Write([]byte(text))
		_, _ = h.Write([]byte{0xff}) // which is in no UTF-8
	}
	return int64(h.Sum64())
}

// size is how much text it has.
func (d *searchDocument) size() (bytes int) {
	for _, text := range d.fields {
		bytes += len(text)
	}
	return bytes
}

// searchKinds are those of the rows that are searched, in the order in which an index
// is made.
var searchKinds = []nexus.Kind{
	nexus.KindProject, nexus.KindFeature, nexus.KindSubFeature, nexus.KindTask, nexus.KindRequirement, nexus.KindSession,
}

// searchRows select the documents of a kind.
var searchRows = map[nexus.Kind]string{
	nexus.KindProject: `SELECT id, id, created_at, name, name, description, NULL FROM projects`,
	nexus.KindFeature: `SELECT id, project_id, created_at, name, name, description, NULL FROM features`,
	nexus.KindSubFeature: `
		SELECT id, (SELECT project_id FROM features WHERE features.id = sub_features.feature_id), created_at, name, name, description, NULL
		FROM sub_features`,
	nexus.KindTask:        `SELECT id, project_id, created_at, name, name, description, NULL FROM tasks`,
	nexus.KindRequirement: `SELECT id, project_id, created_at, category, NULL, description, NULL FROM requirements`,
	nexus.KindSession:     `SELECT id, project_id, started_at, type, NULL, NULL, data FROM sessions`,
}

// searchEntries selects the documents of entries.
const searchEntries = `
	SELECT l.session_id, s.project_id, l.at_us, s.type, NULL, NULL, l.text, l.number
	FROM sessions s JOIN session_log l ON l.session_id = s.id`

func scanDocument(kind nexus.Kind, r driver.Row) *searchDocument {
	d := &searchDocument{
		searchKey: searchKey{kind: kind, id: r.Text(0)},
		project:   r.Text(1), at: r.Int(2) * 1_000_000, title: r.Text(3),
		fields: [fields]string{r.Text(4), r.Text(5), r.Text(6)},
	}
	if kind == nexus.KindSession {
		d.fields[2] = plainJSON(d.fields[2])
	}
	return d
}

func scanEntry(r driver.Row) *searchDocument {
	return &searchDocument{
		searchKey: searchKey{kind: nexus.KindSession, id: r.Text(0), number: r.Int(7)},
		project:   r.Text(1), at: r.Int(2), title: r.Text(3),
		fields: [fields]string{2: r.Text(6)},
	}
}

// plainJSON is what a JSON says, without its signs, one text a line. What is no JSON
// is left as it is.
func plainJSON(text string) string {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var plain strings.Builder
	for {
		token, err := decoder.Token()
		if err != nil {
			if decoder.InputOffset() < int64(len(strings.TrimRight(text, " \t\r\n"))) {
				return text
			}
			return plain.String()
		}
		switch value := token.(type) {
		case string:
			plain.WriteString(value + "\n")
		case json.Number:
			plain.WriteString(value.String() + "\n")
		}
	}
}

// document reads the document with a key, or nil.
func document(ctx context.Context, c driver.Conn, key searchKey) (d *searchDocument, err error) {
	if key.number > 0 {
		args := []driver.Arg{driver.Text(key.id), driver.Int(key.number)}
		err = c.Query(ctx, searchEntries+" WHERE s.id = $1 AND l.number = $2", args, func(r driver.Row) error {
			d = scanEntry(r)
			return nil
		})
		return d, err
	}
	err = c.Query(ctx, searchRows[key.kind]+" WHERE id = $1", []driver.Arg{driver.Text(key.id)}, func(r driver.Row) error {
		d = scanDocument(key.kind, r)
		return nil
	})
	return d, err
}

// documentsAfter calls fn with the documents of a kind after an id, in their order.
// An id that is no text, of another program, could not be asked for.
func documentsAfter(ctx context.Context, c driver.Conn, kind nexus.Kind, id string, fn func(*searchDocument) error) error {
	return c.Query(ctx, searchRows[kind]+" WHERE id > $1 AND id = CAST(id AS TEXT) ORDER BY id", []driver.Arg{driver.Text(id)}, func(r driver.Row) error {
		return fn(scanDocument(kind, r))
	})
}

// entriesAfter calls fn with the entries of a session after a number, in their order.
func entriesAfter(ctx context.Context, c driver.Conn, session string, number int64, fn func(*searchDocument) error) error {
	args := []driver.Arg{driver.Text(session), driver.Int(number)}
	return c.Query(ctx, searchEntries+" WHERE s.id = $1 AND l.number > $2 ORDER BY l.number", args, func(r driver.Row) error {
		return fn(scanEntry(r))
	})
}

// longerLogs returns the sessions whose log goes on after what is in the index, and
// how far that goes. What is taken away from a log is in the history; that is for
// changes.
func longerLogs(ctx context.Context, c driver.Conn) (list []searchKey, err error) {
	const sql = `
		SELECT id, indexed FROM (
			SELECT s.id AS id,
				coalesce((SELECT max(d.number) FROM search_documents d WHERE d.kind = 'session' AND d.id = s.id), 0) AS indexed,
				(SELECT max(l.number) FROM session_log l WHERE l.session_id = s.id) AS newest
			FROM sessions s) AS logs
		WHERE newest > indexed ORDER BY id`
	err = c.Query(ctx, sql, nil, func(r driver.Row) error {
		list = append(list, searchKey{nexus.KindSession, r.Text(0), r.Int(1)})
		return nil
	})
	return list, err
}

// changedRow is a row that has changed.
type changedRow struct {
	searchKey
	first int64 // the first change of it
	whole bool  // what belongs to it may have, too
}

// changes returns the rows that have changed after a number, by their first change,
// at most so many; 0 is all.
//
// Changes of the project of a feature or a session are changes of what it has, and
// where an entry or a session has gone its log may have been numbered anew.
func changes(ctx context.Context, c driver.Conn, seq int64, most int) (list []changedRow, err error) {
	const sql = `
		SELECT CASE kind WHEN 'session_entry' THEN 'session' ELSE kind END AS of_kind, id, min(seq),
			max(CASE WHEN kind IN ('feature', 'session', 'session_entry') AND (change <> 'update' OR project_id IS NULL) THEN 1 ELSE 0 END)
		FROM history
		WHERE seq > $1 AND kind IN ('project', 'feature', 'sub_feature', 'task', 'requirement', 'session', 'session_entry')
		GROUP BY 1, 2 ORDER BY 3`
	err = c.Query(ctx, sql, []driver.Arg{driver.Int(seq)}, func(r driver.Row) error {
		if most > 0 && len(list) == most {
			return errEnough
		}
		list = append(list, changedRow{searchKey{kind: nexus.Kind(r.Text(0)), id: r.Text(1)}, r.Int(2), r.Int(3) != 0})
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return list, err
}

// concerned returns the keys of all documents that a change may have changed, made,
// or taken away: of a log, those that are in the index, and those that are there.
func (r changedRow) concerned(ctx context.Context, c driver.Conn) (keys []searchKey, err error) {
	keys = []searchKey{r.searchKey}
	if !r.whole {
		return keys, nil
	}
	sql := `SELECT 'sub_feature', id, 0 FROM sub_features WHERE feature_id = $1 ORDER BY id`
	if r.kind == nexus.KindSession {
		sql = `
			SELECT 'session', $1, number FROM search_documents WHERE kind = 'session' AND id = $1 AND number > 0
			UNION
			SELECT 'session', $1, number FROM session_log WHERE session_id = $1
			ORDER BY 3`
	}
	err = c.Query(ctx, sql, []driver.Arg{driver.Text(r.id)}, func(row driver.Row) error {
		keys = append(keys, searchKey{nexus.Kind(row.Text(0)), row.Text(1), row.Int(2)})
		return nil
	})
	return keys, err
}
