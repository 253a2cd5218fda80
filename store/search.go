package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Search finds rows and entries of session logs by their words, best first: what has
// them in its name before what has them in its description, and that before logs;
// among equals the newest. It knows every change that was committed before the call,
// whoever made it.
//
// It finds them in an index, which follows the history: what has changed since the
// last search is indexed first, in short transactions. Where it cannot write, or not
// within two seconds, it reads what is not in the index, with the same result.
//
// Codes: CodeInvalid if the text has no word, or for kinds that are not searched;
// CodeNotFound for the project.
func (db *DB) Search(ctx context.Context, r nexus.SearchRequest) (hits []nexus.Hit, err error) {
	if err := checkSearch(&r); err != nil {
		return nil, err
	}
	query, err := parseSearch(r.Text)
	if err != nil {
		return nil, err
	}
	d, ok := db.driver.(driver.Searcher)
	if !ok {
		return db.search(ctx, r, query, nil)
	}
	index := d.SearchIndex()
	err = db.followHistory(ctx, &index)
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	switch nexus.CodeOf(err) {
	case nexus.CodeInternal, nexus.CodeClosed:
		return nil, err
	case nexus.CodeCorrupt:
	default: // what could not be written is read
		hits, err = db.search(ctx, r, query, &index)
	}
	if nexus.CodeOf(err) == nexus.CodeCorrupt {
		// If it is the index, nothing is lost; if it is not, this fails too.
		if hits, err = db.search(ctx, r, query, nil); err == nil {
			db.forgetIndex(ctx)
		}
	}
	return hits, err
}

// search looks in an index, or if that is nil in every row.
func (db *DB) search(ctx context.Context, r nexus.SearchRequest, query driver.SearchQuery, index *driver.SearchIndex) (hits []nexus.Hit, err error) {
	err = db.snapshot(ctx, func(c driver.Conn) error {
		s := &search{ctx: ctx, conn: c, index: index, request: r, query: query, seen: make(map[searchKey]bool)}
		hits, err = s.run()
		return err
	})
	return hits, err
}

func checkSearch(r *nexus.SearchRequest) error {
	var problems []nexus.Problem
	for _, kind := range r.Kinds {
		if !slices.Contains(searchKinds, kind) {
			problems = append(problems, nexus.Problem{
				Field: "kind", Message: fmt.Sprintf("is %q; what is searched is project, feature, sub_feature, task, requirement and session", kind),
			})
		}
	}
	if r.Limit < 0 || r.Limit > nexus.MaxHits {
		problems = append(problems, nexus.Problem{
			Field: "limit", Message: fmt.Sprintf("is %d; it must be from 1 to %d", r.Limit, nexus.MaxHits),
		})
	}
	if len(problems) > 0 {
		return &nexus.Error{Code: nexus.CodeInvalid, Problems: problems}
	}
	if r.Limit == 0 {
		r.Limit = nexus.DefaultHits
	}
	return nil
}

// search is one search, in one state of the database.
type search struct {
	ctx     context.Context
	conn    driver.Conn
	index   *driver.SearchIndex // nil if there is none
	request nexus.SearchRequest
	query   driver.SearchQuery

	seen  map[searchKey]bool // that were read, since the index may not know them as they are
	found []foundDocument
}

type foundDocument struct {
	*searchDocument
	*searchMatch
}

func (s *search) run() ([]nexus.Hit, error) {
	if s.request.ProjectID != "" {
		if _, err := projects.mustGet(s.ctx, s.conn, s.request.ProjectID); err != nil {
			return nil, err
		}
	}
	usable := false
	if s.index != nil {
		progress, err := readProgress(s.ctx, s.conn)
		if err != nil {
			return nil, err
		}
		if usable = progress.complete(); usable {
			if err := s.readSince(progress.seq); err != nil {
				return nil, err
			}
			if err := s.readIndex(); err != nil {
				return nil, err
			}
		}
	}
	if !usable {
		if err := s.readAll(); err != nil {
			return nil, err
		}
	}
	s.keepBest(s.request.Limit)
	hits := make([]nexus.Hit, 0, len(s.found))
	for _, f := range s.found {
		hits = append(hits, f.hit(&s.query))
	}
	return hits, nil
}

// keepBest orders what was found, and drops what there is no room for.
func (s *search) keepBest(most int) {
	slices.SortFunc(s.found, func(a, b foundDocument) int {
		return cmp.Or(
			cmp.Compare(b.rank, a.rank), cmp.Compare(b.at, a.at),
			cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id), cmp.Compare(b.number, a.number),
		)
	})
	s.found = s.found[:min(len(s.found), most)]
}

// wanted reports whether a kind is searched.
func (s *search) wanted(kind nexus.Kind) bool {
	return len(s.request.Kinds) == 0 || slices.Contains(s.request.Kinds, kind)
}

// look keeps a document if it is what is looked for.
func (s *search) look(d *searchDocument) error {
	if d == nil || !s.wanted(d.kind) || s.request.ProjectID != "" && d.project != s.request.ProjectID {
		return nil
	}
	if m := matchDocument(&s.query, d); m != nil {
		s.found = append(s.found, foundDocument{d, m})
		if len(s.found) > 8*nexus.MaxHits {
			s.keepBest(s.request.Limit)
		}
	}
	return nil
}

// readAll reads every document.
func (s *search) readAll() error {
	for _, kind := range searchKinds {
		if !s.wanted(kind) {
			continue
		}
		if err := documentsAfter(s.ctx, s.conn, kind, "", s.look); err != nil {
			return err
		}
	}
	if !s.wanted(nexus.KindSession) {
		return nil
	}
	return s.conn.Query(s.ctx, searchEntries, nil, func(r driver.Row) error { return s.look(scanEntry(r)) })
}

// readSince reads the documents that have changed after a number.
func (s *search) readSince(seq int64) error {
	list, err := changes(s.ctx, s.conn, seq, 0)
	if err != nil {
		return err
	}
	for _, row := range list {
		keys, err := row.concerned(s.ctx, s.conn)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if s.seen[key] {
				continue
			}
			s.seen[key] = true
			d, err := document(s.ctx, s.conn, key)
			if err != nil {
				return err
			}
			if err := s.look(d); err != nil {
				return err
			}
		}
	}
	logs, err := longerLogs(s.ctx, s.conn)
	if err != nil {
		return err
	}
	for _, l := range logs {
		err := entriesAfter(s.ctx, s.conn, l.id, l.number, func(d *searchDocument) error {
			if s.seen[d.searchKey] {
				return nil
			}
			return s.look(d)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readIndex takes the best of the index.
func (s *search) readIndex() error {
	w := where{args: []driver.Arg{driver.Text(s.index.Query(s.query))}}
	in(&w, "d.kind", s.request.Kinds)
	equal(&w, "d.project_id", s.request.ProjectID)
	if w.err != nil {
		return w.err
	}
	sql := "SELECT d.kind, d.id, d.number FROM (" + s.index.Match + ") AS m JOIN search_documents d ON d.document = m.document" +
		w.sql.String() + " ORDER BY m.weight DESC, d.at_us DESC, d.document DESC"
	// The index weighs a little differently, so a few more than are asked for.
	room := len(s.found) + s.request.Limit + s.request.Limit/2 + 10
	err := s.conn.Query(s.ctx, sql, w.args, func(r driver.Row) error {
		key := searchKey{nexus.Kind(r.Text(0)), r.Text(1), r.Int(2)}
		if s.seen[key] {
			return nil
		}
		d, err := document(s.ctx, s.conn, key)
		if err == nil {
			err = s.look(d)
		}
		if err == nil && len(s.found) >= room {
			err = errEnough
		}
		return err
	})
	if err == errEnough {
		err = nil
	}
	return err
}
