// Package ledger keeps who owns what: double entry in whole smallest units of 128 bits. It exists so that value can
// only move, never appear: what may never happen here is a posting that does not balance, or a credit without evidence.
package ledger
