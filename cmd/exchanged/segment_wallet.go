package main

import (
	"context"
	"errors"

	"github.com/coldsign/coldsign/internal/bus"
)

// openTreasury makes the segments wallet and admin: the daemon as it is without an exchange, and its places on the bus.
func (s *site) openTreasury(ctx context.Context) (work, error) {
	chain := s.chain
	if chain == nil {
		chain = &link{config: s.config.node(string(s.folder))}
	}
	owners, err := newDepositOwners(s.folder, s.config)
	if err != nil {
		return nil, err
	}
	around := outside{chain: chain, sender: chain, log: s.log, now: s.app.Now}
	if owners != nil {
		around.customers = owners
	}
	d, err := newDaemon(ctx, s.config, s.folder, around)
	if err != nil {
		return nil, err
	}
	staff, err := s.dial(ctx, bus.Admin)
	if err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	d.alerts = s.alerts
	desk := &exchangeDesk{folder: s.folder, roster: d.roster, conn: staff, admin: bus.NewBatcher(staff, "cmd.admin", bus.BatchOptions{}),
		files: s.config.network.IsTest(), log: s.log.With("segment", "admin"), now: s.app.Now, note: d.records.Note}
	d.exchange = desk
	for _, tier := range s.config.Tiers {
		desk.filled = append(desk.filled, tier.Wallet)
	}
	if owners != nil {
		owners.desk = desk
	}
	works := []work{func(ctx context.Context) error { return d.serve(ctx, s.app) }}
	if s.config.Exchange.Deposits.Wallet == "" {
		return s.ending(works, d, staff), nil
	}
	conn, err := s.dial(ctx, bus.Wallet)
	if err != nil {
		staff.Close()
		return nil, errors.Join(err, d.store.Close())
	}
	deposits, err := newDepositor(s, conn, chain)
	if err != nil {
		staff.Close()
		conn.Close()
		return nil, errors.Join(err, d.store.Close())
	}
	desk.deposits = deposits
	return s.ending(append(works, deposits.run(s.config.Poll)), d, staff, conn), nil
}

// ending runs the works, and closes what they used.
func (s *site) ending(works []work, d *daemon, conns ...*bus.Conn) work {
	return func(ctx context.Context) error {
		err := together(ctx, works...)
		for _, conn := range conns {
			conn.Close()
		}
		return errors.Join(err, d.store.Close())
	}
}
