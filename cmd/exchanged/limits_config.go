package main

import (
	"fmt"
	"net/netip"

	"github.com/coldsign/coldsign/internal/limits"
)

// limitsConfig says how much customers may ask for. Zero is the default of room limits.
type limitsConfig struct {
	AddressWeight uint16            `yaml:"address_weight"` // in any 60 seconds; 1200
	AccountWeight uint16            `yaml:"account_weight"` // in any 60 seconds; 6000
	Orders10s     uint32            `yaml:"orders_10s"`     // 200
	OrdersDay     uint32            `yaml:"orders_day"`     // 1000000
	Exceptions    []exceptionConfig `yaml:"exceptions"`
}

// exceptionConfig gives every address of a block a limit of its own.
type exceptionConfig struct {
	Block  string `yaml:"block"`
	Weight uint16 `yaml:"weight"` // in any 60 seconds
}

// options are what a table of requests goes by.
func (c limitsConfig) options() (limits.Options, error) {
	o := limits.Options{AddressWeight: c.AddressWeight, AccountWeight: c.AccountWeight, Orders10s: c.Orders10s, OrdersDay: c.OrdersDay}
	for _, e := range c.Exceptions {
		block, err := netip.ParsePrefix(e.Block)
		if err != nil {
			return o, fmt.Errorf("exchange.limits.exceptions: %q is not a block such as 198.51.100.0/24", e.Block)
		}
		o.Exceptions = append(o.Exceptions, limits.Exception{Block: block, Weight: e.Weight})
	}
	return o, nil
}

func (c limitsConfig) check() error {
	o, err := c.options()
	if err != nil {
		return err
	}
	o.Addresses = 1 // what it remembers is made later
	if _, err := limits.New(o); err != nil {
		return fmt.Errorf("exchange.limits: %w", err)
	}
	return nil
}
