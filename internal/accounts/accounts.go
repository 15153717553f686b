// Package accounts decides what a customer's keys and addresses may do: API keys, one-time codes, address books and
// withdrawal limits. What may never happen here: a secret in clear outside memory, or a clock of its own.
package accounts
