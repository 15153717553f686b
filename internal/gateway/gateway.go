// Package gateway is the public order API: the conventions of Binance Spot over HTTP and WebSocket. What may never
// happen here: a secret in a log, a decision about money, or a field that is ignored instead of refused.
package gateway
