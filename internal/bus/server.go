package bus

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ServerOptions say what an embedded server is.
type ServerOptions struct {
	Users  Users
	Listen string // IP:PORT of this machine's loopback, port 0 for any; empty: this process alone can connect
}

// Server is a NATS server within this process. It keeps nothing on disk.
type Server struct {
	server *server.Server
	url    string
}

// NewServer starts a server that admits the segments and nobody else.
func NewServer(o ServerOptions) (*Server, error) {
	options := serverOptions(o.Users)
	if o.Listen == "" {
		options.DontListen = true
	} else {
		address, err := netip.ParseAddrPort(o.Listen)
		if err != nil || !address.Addr().IsLoopback() {
			return nil, fmt.Errorf("bus listen address %q is not a loopback IP:PORT", o.Listen)
		}
		options.Host, options.Port = address.Addr().String(), int(address.Port())
		if options.Port == 0 {
			options.Port = server.RANDOM_PORT
		}
	}
	return startServer(options)
}

func serverOptions(users Users) *server.Options {
	account := server.NewAccount("BUS")
	options := &server.Options{NoSigs: true, NoLog: true, MaxPayload: payloadMax, MaxPending: backlogBytesMax, MaxConn: 256, MaxSubs: 64,
		Accounts: []*server.Account{account}, AuthTimeout: 2, WriteDeadline: 2 * time.Second, NoSystemAccount: false,
		PingInterval: 10 * time.Second, MaxPingsOut: 2}
	for _, s := range Segments() {
		if user, known := users[s]; known {
			options.Nkeys = append(options.Nkeys, &server.NkeyUser{Nkey: user, Permissions: permissions(s), Account: account})
		}
	}
	return options
}

func startServer(options *server.Options) (*Server, error) {
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("bus server: %w", err)
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("bus server: it does not listen within 10 s; the address may be taken")
	}
	out := &Server{server: s}
	if !options.DontListen {
		address, isTCP := s.Addr().(*net.TCPAddr)
		if !isTCP {
			s.Shutdown()
			return nil, errors.New("bus server: no address")
		}
		out.url = "nats://" + net.JoinHostPort(options.Host, strconv.Itoa(address.Port))
	}
	return out, nil
}

// URL returns where the server listens, empty when this process alone can connect.
func (s *Server) URL() string { return s.url }

// Close ends the server.
func (s *Server) Close() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
