// Package bus carries requests, replies and events between segments over NATS, and remembers nothing. What may never
// happen here: a segment that reaches a subject which is not its own, or a message taken twice.
package bus
