package jsonl

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Version is the version of the format that this program writes, and the only one
// that it reads.
const Version = 1

// header is the first line.
type header struct {
	Format  int                 `json:"nexus_export"`
	Schema  int64               `json:"schema_version"`
	Counts  map[string]int64    `json:"counts"`
	Columns map[string][]column `json:"added_columns,omitempty"`
}

// column is one that another program has added to a table.
type column struct {
	Name    string `json:"name"`
	Type    string `json:"type,omitempty"`
	NotNull bool   `json:"not_null,omitempty"`
	Default string `json:"default,omitempty"`
}

// Exported says what an export holds.
type Exported struct {
	SchemaVersion int64            `json:"schema_version"`
	Counts        map[string]int64 `json:"counts"` // rows by table
	Bytes         int64            `json:"bytes"`
	SHA256        string           `json:"sha256"`
	NotIncluded   []string         `json:"not_included,omitempty"` // tables of others that hold rows
}

// Export writes all that the database holds at one moment to w, while others go on
// writing. Memory does not grow with the database. progress may be nil; it is told
// how many rows are written of how many.
//
// An error of w is returned as it is; what has been written by then is worth nothing.
func Export(ctx context.Context, db *store.DB, w io.Writer, progress func(rows, total int)) (*Exported, error) {
	if progress == nil {
		progress = func(int, int) {}
	}
	var exported *Exported
	err := db.View(ctx, func(tx *store.Tx) (err error) {
		exported, err = export(ctx, tx, w, progress)
		return err
	})
	if err != nil {
		return nil, err
	}
	return exported, nil
}

func export(ctx context.Context, tx *store.Tx, w io.Writer, progress func(rows, total int)) (*Exported, error) {
	contents, err := tx.Contents(ctx)
	if err != nil {
		return nil, err
	}
	e := &Exported{SchemaVersion: contents.Version, Counts: make(map[string]int64), NotIncluded: contents.Others}
	h := header{Format: Version, Schema: contents.Version, Counts: e.Counts, Columns: make(map[string][]column)}
	total := 0
	for _, t := range contents.Tables {
		h.Counts[t.Name] = t.Rows
		total += int(t.Rows)
		for _, c := range t.Added {
			if !utf8.ValidString(c.Name + c.Type + c.Default) {
				return nil, &nexus.Error{
					Code: nexus.CodeInvalid, Message: fmt.Sprintf("a column that has been added to %s is not UTF-8", t.Name),
					Hint: "nexus backup copies the database as it is",
				}
			}
			h.Columns[t.Name] = append(h.Columns[t.Name], column(c))
		}
	}
	hash := sha256.New()
	var size byteCount
	out := bufio.NewWriterSize(io.MultiWriter(w, hash, &size), 1<<16)
	first, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if _, err := out.Write(append(first, '\n')); err != nil {
		return nil, err
	}
	rows := 0
	for i := range contents.Tables {
		if err := exportTable(ctx, tx, &contents.Tables[i], out, func() {
			if rows++; rows%1000 == 0 {
				progress(rows, total)
			}
		}); err != nil {
			return nil, err
		}
	}
	if err := out.Flush(); err != nil {
		return nil, err
	}
	progress(total, total)
	e.Bytes, e.SHA256 = int64(size), hex.EncodeToString(hash.Sum(nil))
	return e, nil
}

func exportTable(ctx context.Context, tx *store.Tx, t *store.ContentTable, out io.Writer, written func()) error {
	var line []byte
	names := make([][]byte, 0, len(t.Columns)+len(t.Added))
	for _, name := range t.Names() {
		names = append(names, append(appendString(nil, name), ':'))
	}
	return tx.Rows(ctx, t, func(row []driver.Arg) error {
		line = append(line[:0], `{"table":`...)
		line = appendString(line, t.Name)
		line = append(line, `,"row":{`...)
		for i, value := range row {
			if value.Kind == driver.KindNull && t.Sparse {
				continue // as it is without it
			}
			if i > 0 {
				line = append(line, ',')
			}
			line = append(line, names[i]...)
			line = appendValue(line, value)
		}
		line = append(line, '}', '}', '\n')
		written()
		_, err := out.Write(line)
		return err
	})
}

// byteCount counts what is written.
type byteCount int64

func (c *byteCount) Write(p []byte) (int, error) {
	*c += byteCount(len(p))
	return len(p), nil
}
