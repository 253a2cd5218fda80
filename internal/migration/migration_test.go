package migration_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/migration"
)

func folder(files map[string]string) fstest.MapFS {
	all := make(fstest.MapFS)
	for name, text := range files {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

func mustLoad(t *testing.T, files map[string]string) *migration.Set {
	t.Helper()
	set, err := migration.Load(folder(files), "ran")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func versions(list []migration.Migration) (all []int64) {
	for _, m := range list {
		all = append(all, m.Version)
	}
	return all
}

func TestLoadSortsByNumber(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{
		"10_b.sql": "", "9_a.sql": "", "00011_c.sql": "", "20260102030405_d.sql": "", "9223372036854775807_e.sql": "", "1_x.sql": "",
		"README.md": "", "2_not.sql.txt": "", "sub/3_no.sql": "",
	})
	want := []int64{1, 9, 10, 11, 20260102030405, 9223372036854775807}
	if got := versions(set.Migrations); !slices.Equal(got, want) {
		t.Errorf("versions are %v, want %v", got, want)
	}
	if set.Latest() != want[len(want)-1] {
		t.Errorf("the latest is %d", set.Latest())
	}
	if set := mustLoad(t, nil); set.Latest() != 0 || len(set.Migrations) != 0 {
		t.Errorf("an empty folder is %+v", set)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]string{
		"no number":        {"a.sql"},
		"no name":          {"1.sql"},
		"a word":           {"first_a.sql"},
		"zero":             {"0_a.sql"},
		"negative":         {"-1_a.sql"},
		"too large":        {"9223372036854775808_a.sql"},
		"the same number":  {"1_a.sql", "00001_b.sql"},
		"only an ending":   {".sql"},
		"only a separator": {"_.sql"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := map[string]string{"7_good.sql": ""}
			for _, file := range files {
				all[file] = ""
			}
			_, err := migration.Load(folder(all), "ran")
			if nexus.CodeOf(err) != nexus.CodeMigration {
				t.Fatalf("error is %v, want code migration", err)
			}
			for _, file := range files {
				if !strings.Contains(err.Error(), file) {
					t.Errorf("%q does not name %s", err, file)
				}
			}
		})
	}
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	sum := func(text string) string {
		return mustLoad(t, map[string]string{"1_a.sql": text}).Migrations[0].Checksum
	}
	const text = "-- +goose Up\nCREATE TABLE a (id TEXT);\n"
	if sum(text) != sum(strings.ReplaceAll(text, "\n", "\r\n")) {
		t.Error("line ends change the checksum")
	}
	seen := make(map[string]string)
	for _, other := range []string{text, text + "\n", text + " ", strings.ToLower(text), strings.ReplaceAll(text, "\n", "\r"), ""} {
		if before, ok := seen[sum(other)]; ok {
			t.Errorf("%q and %q have the same checksum", before, other)
		}
		seen[sum(other)] = other
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, map[string]string{"1_a.sql": "a", "2_b.sql": "b", "3_c.sql": "c", "5_e.sql": "e"})
	sum := func(version int64) string {
		for _, m := range set.Migrations {
			if m.Version == version {
				return m.Checksum
			}
		}
		return ""
	}
	for name, test := range map[string]struct {
		ran              []migration.Applied
		pending, changed []int64
		unknown          []int64
	}{
		"nothing ran":    {nil, []int64{1, 2, 3, 5}, nil, nil},
		"goose's zero":   {[]migration.Applied{{0, ""}}, []int64{1, 2, 3, 5}, nil, nil},
		"all ran":        {[]migration.Applied{{0, ""}, {1, sum(1)}, {2, sum(2)}, {3, sum(3)}, {5, sum(5)}}, nil, nil, nil},
		"in no order":    {[]migration.Applied{{5, sum(5)}, {1, sum(1)}, {3, sum(3)}, {2, sum(2)}}, nil, nil, nil},
		"a gap":          {[]migration.Applied{{1, sum(1)}, {3, sum(3)}}, []int64{2, 5}, nil, nil},
		"another text":   {[]migration.Applied{{1, sum(2)}, {2, ""}}, []int64{3, 5}, []int64{1, 2}, nil},
		"unknown":        {[]migration.Applied{{99, "x"}, {4, "x"}, {1, sum(1)}}, []int64{2, 3, 5}, nil, []int64{4, 99}},
		"unknown, goose": {[]migration.Applied{{0, ""}, {6, ""}}, []int64{1, 2, 3, 5}, nil, []int64{6}},
	} {
		d := set.Compare(test.ran)
		if !slices.Equal(versions(d.Pending), test.pending) || !slices.Equal(versions(d.Changed), test.changed) ||
			!slices.Equal(d.Unknown, test.unknown) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// Without migrations nothing is asked of the database, not even for a table.
func TestEmptySetNeedsNoDatabase(t *testing.T) {
	t.Parallel()
	set := mustLoad(t, nil)
	if err := set.DownTo(t.Context(), nil, 0); err != nil {
		t.Error(err)
	}
}
