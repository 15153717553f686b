package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/coldsign/coldsign/internal/bus"
	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
)

// order is what the admin segment asks of the engine's segment beside commands: exactly one field is set.
type order struct {
	Seal     *sealOrder `cbor:"1,keyasint,omitempty"` // a customer's secret; only this segment has the key for it
	Verify   *struct{}  `cbor:"2,keyasint,omitempty"` // the whole journal
	Snapshot *struct{}  `cbor:"3,keyasint,omitempty"` // of the state as it is
}

// sealOrder names whose secret it is.
type sealOrder struct {
	Account exchange.Account `cbor:"1,keyasint"`
	Name    string           `cbor:"2,keyasint"` // of the key, or accounts.TOTPName
	Secret  []byte           `cbor:"3,keyasint"`
}

// orderReply answers an order.
type orderReply struct {
	Sealed []byte       `cbor:"1,keyasint,omitempty"`
	Report *verifyReply `cbor:"2,keyasint,omitempty"`
	Seq    uint64       `cbor:"3,keyasint,omitempty"`
}

// verifyReply is what a journal was found to hold.
type verifyReply struct {
	Frames uint64          `cbor:"1,keyasint"`
	First  uint64          `cbor:"2,keyasint"`
	Last   uint64          `cbor:"3,keyasint"`
	Pruned uint64          `cbor:"4,keyasint"`
	At     exchange.Millis `cbor:"5,keyasint"`
	Head   [32]byte        `cbor:"6,keyasint"`
}

// operate handles one order.
func (e *engineSegment) operate(ctx context.Context, _ bus.Segment, payload []byte) ([]byte, error) {
	o, err := exchange.DecodeBody[order](payload)
	if err != nil {
		return nil, err
	}
	var reply orderReply
	switch {
	case o.Seal != nil:
		reply.Sealed, err = e.sealer.Seal(rand.Reader, o.Seal.Account, o.Seal.Name, o.Seal.Secret)
	case o.Verify != nil:
		reply.Report, err = e.verify(ctx)
	case o.Snapshot != nil:
		var info engine.SnapshotInfo
		info, err = e.follower.Snapshot(ctx)
		reply.Seq = info.Seq
	default:
		err = errors.New("an order that this engine does not know")
	}
	if err != nil {
		return nil, err
	}
	return exchange.EncodeBody(reply)
}

func (e *engineSegment) verify(ctx context.Context) (*verifyReply, error) {
	r, err := e.journal.Verify(ctx)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return &verifyReply{Frames: r.Frames, First: r.First, Last: r.Last, Pruned: r.Pruned, At: r.At, Head: r.Head}, nil
}
