package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coldsign/coldsign/internal/engine/enginetest"
	"github.com/coldsign/coldsign/internal/store/storetest"
	"github.com/coldsign/coldsign/scripts/scaleout/drive"
)

// stage is an exchange of separate processes, each with a folder that holds what its machine would hold.
type stage struct {
	dir, bin string
	say      func(format string, args ...any)
	postgres *storetest.Server
	dsn      string
	gateways []string // public addresses
	keepers  []*drive.Keeper
	nats     []*drive.Keeper
	gates    []*drive.Keeper
	engines  []*drive.Keeper // one works, the other stands by
	operator *drive.Operator
	keys     []drive.APIKey
	load     *drive.Load
	replica  *drive.Replica
}

func (s *stage) path(name ...string) string {
	return filepath.Join(append([]string{s.dir}, name...)...)
}

func (s *stage) exchanged() string { return filepath.Join(s.bin, "exchanged") }

// build starts everything and founds the exchange.
func (s *stage) build(ctx context.Context, customers int) error {
	var err error
	if s.postgres, err = storetest.Start(ctx); err != nil {
		return err
	}
	database, err := s.postgres.NewDatabase(ctx)
	if err != nil {
		return err
	}
	s.dsn = s.postgres.Loopback(database)
	free, err := drive.Ports(11)
	if err != nil {
		return err
	}
	if err := s.folders(free); err != nil {
		return err
	}
	if err := s.startBus(free[:3], free[3:6]); err != nil {
		return err
	}
	s.startSegments()
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s.operator = &drive.Operator{Program: s.exchanged(), Data: s.path("main"), People: enginetest.NewPeople()}
	if err := s.operator.Connect(limited); err != nil {
		return err
	}
	if err := s.operator.Found(ctx); err != nil {
		return err
	}
	if s.keys, err = s.operator.Customers(ctx, customers); err != nil {
		return err
	}
	if s.replica, err = drive.Open(ctx, s.path("engine3"), s.dsn); err != nil {
		return err
	}
	return drive.Ready(limited, s.gateways)
}

// folders makes the folder of a whole exchange, and from it one for each machine with what that machine needs.
func (s *stage) folders(free []int) error {
	main := s.path("main")
	out, errs, code := drive.Run(s.exchanged(), "init", "--data", main, "--network", "regtest", "--exchange", "--second-factor", "either", "--cool-down", "0s", "--listen", "127.0.0.1:"+strconv.Itoa(free[6]),
		"--node-url", "http://127.0.0.1:1")
	if code != 0 {
		return fmt.Errorf("exchanged init: exit code %d: %s%s", code, out, errs)
	}
	urls := make([]string, 3)
	for i := range urls {
		urls[i] = strconv.Quote("nats://127.0.0.1:" + strconv.Itoa(free[i]))
	}
	config := filepath.Join(main, "exchanged.yaml")
	errWrite := errors.Join(os.WriteFile(filepath.Join(main, "node.credentials"), []byte("nobody:nothing\n"), 0o600),
		os.WriteFile(filepath.Join(main, "postgres.dsn"), []byte(s.dsn+"\n"), 0o600))
	if err := errors.Join(errWrite, drive.Configure(config, config, "urls: [] ", "urls: ["+strings.Join(urls, ", ")+"] ", "kind: sqlite ", "kind: postgres ", `dsn: "" `, `dsn: "postgres.dsn" `,
		"limits: own ", "limits: shared ", "proxies: [] ", `proxies: ["127.0.0.1/32"] `)); err != nil {
		return err
	}
	for i, name := range []string{"gateway1", "gateway2"} {
		public := "127.0.0.1:" + strconv.Itoa(free[7+2*i])
		s.gateways = append(s.gateways, public)
		if err := errors.Join(drive.Configure(config, s.path(name, "exchanged.yaml"), "127.0.0.1:8080", public, "127.0.0.1:9080", "127.0.0.1:"+strconv.Itoa(free[8+2*i])),
			drive.CopyTo(main, s.path(name), "exchange/gateway/bus.key", "exchange/gateway/listen.key")); err != nil {
			return err
		}
	}
	for _, name := range []string{"engine1", "engine2", "engine3"} {
		if err := errors.Join(drive.CopyTo(main, s.path(name), append(engineFiles(), "postgres.dsn")...), os.Mkdir(s.path(name, "exchange", "engine", "snapshots"), 0o700)); err != nil {
			return err
		}
	}
	if err := drive.CopyTo(main, s.path("limits"), "exchanged.yaml", "exchange/limits/bus.key"); err != nil {
		return err
	}
	// What is left is the machine of wallet and admin, which holds no key of the others.
	return errors.Join(os.RemoveAll(filepath.Join(main, "exchange", "engine")), os.RemoveAll(filepath.Join(main, "exchange", "gateway")), os.Remove(filepath.Join(main, "postgres.dsn")))
}

// engineFiles are what a machine needs to run an engine, but for the connection string of its database.
func engineFiles() []string {
	return []string{"exchanged.yaml", "exchange/engine/bus.key", "exchange/engine/store.key", "exchange/engine/kek.key", "exchange/engine/rules"}
}

// startBus runs the three servers of the cluster, each with the block that exchanged prints for operators.
func (s *stage) startBus(clients, routes []int) error {
	block, errs, code := drive.Run(s.exchanged(), "exchange", "nats", "--data", s.path("main"))
	if code != 0 {
		return fmt.Errorf("exchanged exchange nats: exit code %d: %s", code, errs)
	}
	all := make([]string, len(routes))
	for i, port := range routes {
		all[i] = "nats://127.0.0.1:" + strconv.Itoa(port)
	}
	for i := range clients {
		name := "nats" + strconv.Itoa(i+1)
		config := fmt.Sprintf("server_name: %s\nlisten: \"127.0.0.1:%d\"\ncluster { name: exchange, listen: \"127.0.0.1:%d\", routes: [%s] }\n%s", name, clients[i], routes[i], strings.Join(all, ", "), block)
		if err := os.WriteFile(s.path(name+".conf"), []byte(config), 0o600); err != nil {
			return err
		}
		s.nats = append(s.nats, s.keep(name, 2*time.Second, filepath.Join(s.bin, "nats-server"), "-c", s.path(name+".conf")))
	}
	return nil
}

// keep runs a program that is the same at every start.
func (s *stage) keep(name string, delay time.Duration, argv ...string) *drive.Keeper {
	k := drive.Keep(&drive.Keeper{Name: name, Log: s.path(name + ".log"), Delay: delay, Argv: func(bool) []string { return argv }})
	s.keepers = append(s.keepers, k)
	return k
}

// startSegments runs the segments. The journal's very first engine begins it; from then on every engine starts as a
// standby, and whoever finds the journal free works.
func (s *stage) startSegments() {
	segment := func(folder, names string) []string {
		return []string{s.exchanged(), "run", "--data", s.path(folder), "--segment", names}
	}
	for _, name := range []string{"engine1", "engine2"} {
		k := drive.Keep(&drive.Keeper{Name: name, Log: s.path(name + ".log"), Delay: drive.RestartDelay, Argv: func(first bool) []string {
			if first && name == "engine1" {
				return segment(name, "engine")
			}
			return append(segment(name, "engine"), "--standby")
		}})
		s.keepers, s.engines = append(s.keepers, k), append(s.engines, k)
	}
	s.keep("limits", drive.RestartDelay, segment("limits", "limits")...)
	s.keep("main", drive.RestartDelay, segment("main", "wallet,admin")...)
	for _, name := range []string{"gateway1", "gateway2"} {
		s.gates = append(s.gates, s.keep(name, drive.RestartDelay, segment(name, "gateway")...))
	}
}

// close ends every process.
func (s *stage) close() error {
	for _, k := range s.keepers {
		k.Hold(true)
	}
	for i := len(s.keepers) - 1; i >= 0; i-- {
		s.keepers[i].Close()
	}
	var err error
	if s.replica != nil {
		err = s.replica.Close()
	}
	if s.postgres != nil {
		err = errors.Join(err, s.postgres.Close())
	}
	return err
}
