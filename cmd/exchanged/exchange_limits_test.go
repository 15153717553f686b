package main

import (
	"strings"
	"testing"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/console"
)

// An asset with a network and no limit of a day is refused before anybody is asked to approve it.
func TestControl080AnAssetWithoutALimitIsNotProposed(t *testing.T) {
	b := newBourse(t)
	b.begin(bus.Engine, bus.Wallet, bus.Admin)
	b.mustCommand("exchange", "roster")
	for _, more := range [][]string{nil, {"--withdraw-day-max", "0"}, {"--withdraw-day-max", "0.0009"}} {
		args := append([]string{"asset", "add", "BTC", "--network", "regtest", "--withdraw-min", "0.001", "--withdraw-fee", "0.0001"}, more...)
		if code, _, errs := b.command(args...); code != console.Usage || !strings.Contains(errs, "--withdraw-day-max") {
			t.Errorf("%v: exit %d %s", more, code, errs)
		}
	}
	b.mustChange("asset", "add", "BTC", "--network", "regtest", "--withdraw-min", "0.001", "--withdraw-fee", "0.0001", "--withdraw-day-max", "1.5")
	if list := b.mustCommand("asset", "list"); !strings.Contains(list, "1.50000000") {
		t.Error(list)
	}
}
