// Package journal keeps the frames of commands in one durable, hash-chained order, in SQLite or PostgreSQL. What may
// never happen here: a frame overwritten, or a second writer that goes unnoticed.
package journal
