package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Pooler starts a PgBouncer in transaction mode before a server, and returns its
// URL. The server's sessions are two, so transactions of many clients share them.
// It skips the test loudly if PgBouncer is not installed.
func (s *Server) Pooler(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		const debian = "/usr/sbin/pgbouncer" // which is not on everybody's path
		if _, missing := os.Stat(debian); missing != nil {
			NotTested(t, fmt.Errorf("PgBouncer (apt-get install pgbouncer): %w", err))
		}
		program = debian
	}
	config := fmt.Sprintf(`
[databases]
postgres = host=%[1]s dbname=postgres user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = %[1]s
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 500
ignore_startup_parameters = extra_float_digits
`, s.folder)
	path := filepath.Join(s.folder, "pgbouncer.ini")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	process := exec.Command(program, "-q", path)
	process.Dir = s.folder
	if process.SysProcAttr, err = s.attributes(); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	process.Stdout, process.Stderr = &output, &output
	ended := make(chan struct{})
	if err := startTied(process, ended); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		<-ended
	})
	pooler := "postgres://postgres@/postgres?port=6432&default_query_exec_mode=exec&host=" + url.QueryEscape(s.folder)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := Connect(ctx, pooler)
		if err == nil {
			_ = conn.Close(ctx)
			return pooler
		}
		select {
		case <-ended:
			t.Fatalf("PgBouncer has ended: %s", output.String())
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
