package pgtest

import (
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// Proxy stands between a client and a server, and can do what networks do. Every
// piece that the client or the server sends goes through a function, which returns
// what is passed on, and whether the connection goes on.
type Proxy struct {
	listener net.Listener
	target   string
	through  func(fromServer bool, piece []byte) (passed []byte, goesOn bool)

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// NewProxy starts a proxy before a server that listens on a socket.
func NewProxy(t testing.TB, server string, through func(fromServer bool, piece []byte) ([]byte, bool)) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		listener: listener, target: filepath.Join(Param(server, "host"), ".s.PGSQL.5432"),
		through: through, conns: make(map[net.Conn]bool),
	}
	go p.serve()
	t.Cleanup(func() {
		_ = listener.Close()
		p.Cut()
	})
	return p
}

// URL returns a server's URL as it is through the proxy.
func (p *Proxy) URL(server string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server
	}
	query := u.Query()
	query.Del("host")
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	u.Host = p.listener.Addr().String()
	return u.String()
}

// Cut breaks all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		go p.pass(client, server, false)
		go p.pass(server, client, true)
	}
}

func (p *Proxy) pass(from, to net.Conn, fromServer bool) {
	defer func() {
		_ = from.Close()
		_ = to.Close()
	}()
	piece := make([]byte, 64<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 {
			passed, goesOn := p.through(fromServer, piece[:n])
			if _, err := to.Write(passed); err != nil || !goesOn {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
