package main

import (
	"context"
	"errors"
)

// openTreasury makes the segments wallet and admin: the daemon as it is without an exchange, and its place on the bus.
func (s *site) openTreasury(ctx context.Context) (work, error) {
	chain := &link{config: s.config.node(string(s.folder))}
	d, err := newDaemon(ctx, s.config, s.folder, outside{chain: chain, sender: chain, log: s.log, now: s.app.Now})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return errors.Join(d.serve(ctx, s.app), d.store.Close()) }, nil
}
