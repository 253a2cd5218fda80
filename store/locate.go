package store

import (
	"context"
	"fmt"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Locate returns the row with an id that is, or begins with, prefix, also if the row
// has been deleted since and only the history has it. With a kind, only of that; else
// of all but metrics, which have no history.
//
// Codes: CodeInvalid for a kind without a history; CodeNotFound; CodeAmbiguous if
// several fit and none is it.
func (db *DB) Locate(ctx context.Context, kind nexus.Kind, prefix string) (nexus.Kind, string, error) {
	if err := checkHistoryFilter(nexus.HistoryFilter{Kind: kind}); err != nil {
		return "", "", err
	}
	kinds := nexus.Kinds()
	if kind != "" {
		kinds = []nexus.Kind{kind}
	}
	var found []rowKey
	err := db.snapshot(ctx, func(c driver.Conn) (err error) {
		if found, err = locate(ctx, c, kinds, prefix, prefix); err != nil || len(found) > 0 || prefix == "" {
			return err
		}
		found, err = locate(ctx, c, kinds, prefix, prefix+lastOfAll)
		return err
	})
	name := prefix + ": " // which an error says by itself only of a row whose kind it knows
	if kind != "" {
		name = ""
	}
	switch {
	case err != nil:
		return "", "", err
	case len(found) == 0:
		return "", "", &nexus.Error{Code: nexus.CodeNotFound, Kind: kind, ID: prefix, Message: name + "is not there, and not in the history"}
	case len(found) > 1:
		return "", "", &nexus.Error{
			Code: nexus.CodeAmbiguous, Kind: kind, ID: prefix,
			Message: name + fmt.Sprintf("fits several, among them %s %s and %s %s", found[0].kind, found[0].id, found[1].kind, found[1].id),
			Hint:    "give the kind, and more of the id",
		}
	}
	return found[0].kind, found[0].id, nil
}

// locate returns up to two rows of each kind whose ids are in a range.
func locate(ctx context.Context, c driver.Conn, kinds []nexus.Kind, from, to string) (found []rowKey, err error) {
	for _, kind := range kinds {
		if layouts[kind] == nil {
			continue
		}
		sql := "SELECT id FROM " + kind.Table() + ` WHERE id BETWEEN $1 AND $2
			UNION SELECT id FROM history_rows WHERE id BETWEEN $1 AND $2 AND kind = $3
			UNION SELECT id FROM history
				WHERE seq > coalesce((SELECT seq FROM history_marks WHERE name = 'indexed'), 0) AND kind = $3 AND id BETWEEN $1 AND $2
			ORDER BY id LIMIT 2`
		list, err := ids(ctx, c, sql, from, to, string(kind))
		if err != nil {
			return nil, err
		}
		for _, id := range list {
			found = append(found, rowKey{kind, id})
		}
	}
	return found, nil
}
