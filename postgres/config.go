package postgres

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-c8812374/nexus"
)

const readOnlySession = "default_transaction_read_only"

// notifies says of a session that whoever uses it notifies after it has committed. For
// others the triggers of the history do, within the transaction.
const notifies = "nexus.notifies"

const (
	defaultConns   = 32
	connectTimeout = 5 * time.Second

	// idleTimeout ends a transaction whose client has gone without a word: it may
	// hold locks that others wait for.
	idleTimeout = time.Minute
)

// IsURL reports whether a text is a URL of a PostgreSQL database.
func IsURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// Redacted returns a URL as it may be shown: without its password, wherever that
// is in it.
func Redacted(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the database URL" // what it says cannot be told apart from a password
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	query := u.Query()
	for key := range query {
		if key != "schema" && key != "search_path" && key != "target_session_attrs" && key != "sslmode" {
			query.Del(key)
		}
	}
	u.RawQuery = query.Encode()
	u.Fragment = ""
	return u.String()
}

// configure reads the URL.
func (d *db) configure(text string) (*pgxpool.Config, error) {
	d.name = Redacted(text)
	u, err := url.Parse(text)
	if err != nil || !IsURL(text) {
		return nil, badURL("it must be like postgres://user@host:5432/database?schema=name")
	}
	query := u.Query()
	inURL := query.Get("schema")
	query.Del("schema")
	u.RawQuery = query.Encode()
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		// What pgx repeats of the URL comes first, and may hold the password.
		said := err.Error()
		return nil, badURL(said[strings.LastIndex(said, "`: ")+1:])
	}
	path := config.ConnConfig.RuntimeParams["search_path"]
	first, _, _ := strings.Cut(path, ",")
	for _, name := range []string{d.options.Schema, inURL, strings.Trim(strings.TrimSpace(first), `"`), DefaultSchema} {
		if name != "" {
			d.schema = name
			break
		}
	}
	if err := checkSchemaName(d.schema); err != nil {
		return nil, err
	}
	if path == "" || d.options.Schema != "" || inURL != "" {
		path = quoteName(d.schema)
	}
	if !query.Has("pool_max_conns") {
		config.MaxConns = defaultConns
	}
	if config.ConnConfig.ConnectTimeout == 0 || !query.Has("connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	mode := config.ConnConfig.DefaultQueryExecMode
	d.pooled = mode != pgx.QueryExecModeCacheStatement
	d.setParameters(config.ConnConfig.RuntimeParams, path)
	if config.ConnConfig.ValidateConnect != nil && !d.pooled {
		// target_session_attrs asks the session whether it can be written; so it is
		// made read-only only then.
		delete(config.ConnConfig.RuntimeParams, readOnlySession)
		config.AfterConnect = func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.PgConn().Exec(ctx, "SET "+readOnlySession+" = on").ReadAll()
			return err
		}
	}
	config.ConnConfig.DialFunc = dial
	config.ConnConfig.BuildContextWatcherHandler = func(pg *pgconn.PgConn) ctxwatch.Handler {
		// The end of a context ends the statement, not the connection, so the
		// transaction that it is in can go on.
		return &pgconn.CancelRequestContextWatcherHandler{Conn: pg, DeadlineDelay: connectTimeout}
	}
	return config, nil
}

// dial connects so that a machine that is gone without a word is noticed within half a
// minute, and not after the hours that are usual.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
		Control:         setUserTimeout,
	}
	return dialer.DialContext(ctx, network, address)
}

// setParameters sets what a session begins with. A pooler takes none of it but the
// name; there each transaction sets what it needs (see db.settings).
func (d *db) setParameters(p map[string]string, searchPath string) {
	set := func(name, value string) {
		if _, given := p[name]; !given {
			p[name] = value
		}
	}
	set("application_name", "nexus")
	if d.pooled {
		delete(p, "search_path")
		return
	}
	p["search_path"] = searchPath
	p[notifies] = "on"
	p[readOnlySession] = "on" // what writes says so
	if d.options.NoSync {
		p["synchronous_commit"] = "off"
	}
	set("jit", "off") // it costs more than any query of ours
	set("idle_in_transaction_session_timeout", milliseconds(idleTimeout))
	set("lock_timeout", milliseconds(d.options.Patience))
}

// settings are what a transaction behind a pooler begins with.
func (d *db) settings() []string {
	if !d.pooled {
		return nil
	}
	list := []string{
		"SET LOCAL search_path = " + quoteName(d.schema),
		"SET LOCAL idle_in_transaction_session_timeout = " + milliseconds(idleTimeout),
		"SET LOCAL lock_timeout = " + milliseconds(d.options.Patience),
		"SET LOCAL " + notifies + " = on",
	}
	if d.options.NoSync {
		list = append(list, "SET LOCAL synchronous_commit = off")
	}
	return list
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

func badURL(problem string) error {
	return &nexus.Error{
		Code: nexus.CodeInvalid, Problems: []nexus.Problem{{Field: "database URL", Message: problem}},
		Hint: "see docs/postgres.md",
	}
}

func checkSchemaName(name string) error {
	const longest = 63
	problem := ""
	switch {
	case len(name) > longest:
		problem = fmt.Sprintf("is %d bytes long; the limit is %d", len(name), longest)
	case strings.HasPrefix(name, "pg_") || name == "information_schema":
		problem = fmt.Sprintf("%q is PostgreSQL's own", name)
	case strings.ContainsAny(name, "\x00\n\r,\"'$"):
		problem = "has a character that is not allowed there"
	}
	if problem == "" {
		return nil
	}
	return &nexus.Error{Code: nexus.CodeInvalid, Problems: []nexus.Problem{{Field: "schema", Message: problem}}}
}

// quoteName quotes a name for SQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
