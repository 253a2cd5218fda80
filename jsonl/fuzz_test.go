package jsonl_test

import (
	"testing"

	"github.com/seed-c8812374/nexus"
)

// Whatever the text is, it is refused as what it is, or comes back as it went in.
func FuzzImport(f *testing.F) {
	for _, text := range []string{
		"", firstLine, firstLine + projectLine, `{"nexus_export":1,"schema_version":1,"counts":{},"added_columns":{"tasks":[{"name":"x","type":"INT","default":"-1"}]}}`,
		`{"nexus_export":1,"schema_version":1,"counts":{"agents":1}}` + "\n" +
			`{"table":"agents","row":{"id":{"blob":"AA=="},"type":{"text":"/w=="},"spawned_at":{"real":"-Infinity"},"last_activity_at":-0.0}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		folder := t.TempDir()
		db := open(t, folder)
		defer closeDB(t, db)
		_, err := importText(db, text)
		switch nexus.CodeOf(err) {
		case "":
			comesBack(t, folder, db)
		case nexus.CodeInvalid, nexus.CodeNewer:
		default:
			t.Errorf("%v (%s)", err, nexus.CodeOf(err))
		}
	})
}
