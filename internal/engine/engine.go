// Package engine puts commands in one durable order and applies them to ledger and matching. What may never happen
// here: a reply before the commit, or a result that depends on anything but the journal.
package engine
