package gateway

import (
	"context"
	"time"

	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/limits"
)

// Limits says whether a request may pass, for all gateways together. It is the bus, or one table in this process. A
// request whose ruling cannot be had does not pass.
type Limits interface {
	Take(ctx context.Context, r limits.Request) (limits.Decision, error)
}

// OwnLimits are those of one table in this process, for an exchange that has one gateway.
type OwnLimits struct {
	Table *limits.Table
	Clock func() time.Time
}

// Take asks the table.
func (l OwnLimits) Take(_ context.Context, r limits.Request) (limits.Decision, error) {
	return l.Table.Take(r, exchange.Millis(l.Clock().UnixMilli())), nil
}
