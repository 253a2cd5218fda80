// Package pgtest gives tests a PostgreSQL server: the one of
// NEXUS_TEST_POSTGRES_URL, or else one of their own, started from the binaries that
// are installed and thrown away after them.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the server of all tests of a process.
var shared struct {
	sync.Mutex
	url    string
	server *Server
	err    error
	tried  bool
}

// Main runs the tests and stops the server that they have shared. A TestMain exits
// with what it returns.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.Stop()
	}
	return code
}

// URL returns the URL of the server that all tests of this process share. It skips
// the test loudly if there is none; with NEXUS_TEST_REQUIRE_ALL set, that fails. With
// NEXUS_TEST_WITHOUT_POSTGRES set, it skips it in any case.
func URL(t testing.TB) string {
	t.Helper()
	if unwanted() {
		NotTested(t, errUnwanted)
	}
	shared.Lock()
	defer shared.Unlock()
	if !shared.tried {
		shared.tried = true
		if shared.url = os.Getenv("NEXUS_TEST_POSTGRES_URL"); shared.url == "" {
			if shared.server, shared.err = Start(); shared.err == nil {
				shared.url = shared.server.URL()
			}
		}
	}
	if shared.err != nil {
		NotTested(t, shared.err)
	}
	return shared.url
}

// Own returns a server that the test may do anything to, with options of [Start]. It stops with the test, which
// is skipped as by [URL].
func Own(t testing.TB, options ...string) *Server {
	t.Helper()
	if unwanted() {
		NotTested(t, errUnwanted)
	}
	server, err := Start(options...)
	if err != nil {
		NotTested(t, err)
	}
	t.Cleanup(server.Stop)
	return server
}

var errUnwanted = errors.New("NEXUS_TEST_WITHOUT_POSTGRES is set")

func unwanted() bool { return os.Getenv("NEXUS_TEST_WITHOUT_POSTGRES") != "" }

// NotTested skips a test that needs PostgreSQL, so that it is seen.
func NotTested(t testing.TB, err error) {
	t.Helper()
	const how = "install it (on Debian: apt-get install postgresql), or set NEXUS_TEST_POSTGRES_URL"
	if os.Getenv("NEXUS_TEST_REQUIRE_ALL") != "" && !unwanted() {
		t.Fatalf("CANNOT TEST PostgreSQL: %v; %s", err, how)
	}
	t.Skipf("NOT TESTED: PostgreSQL: %v; %s", err, how)
}

// Schema returns the URL of the shared server with a schema that no other test uses.
// What is in it is dropped after the test.
func Schema(t testing.TB) string {
	t.Helper()
	return SchemaOf(t, URL(t))
}

// SchemaOf is Schema on another server.
func SchemaOf(t testing.TB, server string) string {
	t.Helper()
	var random [8]byte
	_, _ = rand.Read(random[:])
	schema := "test_" + hex.EncodeToString(random[:])
	t.Cleanup(func() { Exec(t, server, "DROP SCHEMA IF EXISTS "+schema+" CASCADE") })
	return With(server, "schema", schema)
}

// With returns a URL with a parameter set.
func With(server, key, value string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	query := u.Query()
	query.Set(key, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// Param returns a parameter of a URL.
func Param(server, key string) string {
	u, err := url.Parse(server)
	if err != nil {
		return ""
	}
	return u.Query().Get(key)
}

// Exec runs statements as another program would, in the schema that the URL names.
func Exec(t testing.TB, server, sql string) {
	t.Helper()
	if err := TryExec(server, sql); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
}

// TryExec is Exec that may fail.
func TryExec(server, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// Connect connects as another program would, in the schema that the URL names.
func Connect(ctx context.Context, server string) (*pgx.Conn, error) {
	schema := Param(server, "schema")
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Del("schema")
	if schema != "" {
		query.Set("search_path", schema)
	}
	u.RawQuery = query.Encode()
	return pgx.Connect(ctx, u.String())
}
