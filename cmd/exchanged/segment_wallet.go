package main

import (
	"context"
	"errors"

	"github.com/coldsign/coldsign/internal/bus"
)

// openTreasury makes the segments wallet and admin: the daemon as it is without an exchange, and its places on the bus.
func (s *site) openTreasury(ctx context.Context) (work, error) {
	chain := &link{config: s.config.node(string(s.folder))}
	d, err := newDaemon(ctx, s.config, s.folder, outside{chain: chain, sender: chain, log: s.log, now: s.app.Now})
	if err != nil {
		return nil, err
	}
	staff, err := s.dial(ctx, bus.Admin)
	if err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	d.exchange = &exchangeDesk{folder: s.folder, roster: d.roster, conn: staff, admin: bus.NewBatcher(staff, "cmd.admin", bus.BatchOptions{}),
		files: s.config.network.IsTest(), log: s.log.With("segment", "admin"), now: s.app.Now}
	return func(ctx context.Context) error {
		defer staff.Close()
		err := together(ctx, func(ctx context.Context) error { return d.serve(ctx, s.app) })
		return errors.Join(err, d.store.Close())
	}, nil
}
