// Package limits says whether a request may pass: per address, per account and per endpoint, over any window. What may
// never happen here: a clock of its own, or memory that an attacker can grow without bound.
package limits
