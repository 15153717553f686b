package records

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// The tables stand in a schema of their own, so that their names are those of SQLite.
	postgresSchema  = `coldsign_records`
	postgresMake    = `CREATE SCHEMA IF NOT EXISTS coldsign_records`
	postgresExists  = `SELECT to_regclass('coldsign_records.progress') IS NOT NULL`
	postgresLock    = `SELECT pg_advisory_xact_lock(7164782736283464)` // two programs that start at once would both make the tables
	postgresDurable = `SET LOCAL synchronous_commit = on`              // a server that is killed at once still has its tables
	postgresVersion = `CREATE TABLE version(one bigint PRIMARY KEY, number bigint NOT NULL); INSERT INTO version(one, number) VALUES(1, 3)`
	selectVersion   = `SELECT number FROM version WHERE one = 1`
)

// postgres is the records in a PostgreSQL database. One connection writes; when it broke, the next commit makes another.
type postgres struct {
	config *pgx.ConnConfig
	writer *pgx.Conn
	reader *sql.DB
	read   bool
}

func openPostgres(ctx context.Context, o Options) (*postgres, error) {
	config, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("records: the connection string of the PostgreSQL server cannot be read") // the driver's error may quote it
	}
	config.RuntimeParams["application_name"] = "coldsign records"
	config.RuntimeParams["search_path"] = postgresSchema
	// The last commits may be missing after a crash, whole ones, and the journal tells them again.
	config.RuntimeParams["synchronous_commit"] = "off"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	p := &postgres{config: config, read: o.Read, reader: stdlib.OpenDB(*config)}
	p.reader.SetMaxOpenConns(readersMax)
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("records: %w", err), p.close())
	}
	return p, nil
}

// prepare makes the tables where there are none, and refuses those of a later program.
func (p *postgres) prepare(ctx context.Context) error {
	if err := p.connect(ctx); err != nil {
		return err
	}
	tx, err := p.writer.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	for _, query := range []string{postgresDurable, postgresLock} {
		if _, err := tx.Exec(ctx, query); err != nil {
			return err
		}
	}
	var exists bool
	if err := tx.QueryRow(ctx, postgresExists).Scan(&exists); err != nil {
		return err
	}
	if !exists && p.read {
		return errors.New("there are none in this database yet")
	}
	if !exists {
		for _, query := range []string{postgresMake, postgresTables, postgresVersion} {
			if _, err := tx.Exec(ctx, query); err != nil {
				return err
			}
		}
	}
	var found int
	if err := tx.QueryRow(ctx, selectVersion).Scan(&found); err != nil {
		return err
	}
	if found > version {
		return newer("PostgreSQL database "+p.config.Database, found)
	}
	for at, step := range []string{postgresFrom1, postgresFrom2} {
		if found > at+1 || p.read {
			continue
		}
		if _, err := tx.Exec(ctx, step); err != nil {
			return err
		}
	}
	return tx.Commit(ctx)
}

func (p *postgres) connect(ctx context.Context) (err error) {
	if p.writer == nil || p.writer.IsClosed() {
		p.writer, err = pgx.ConnectConfig(ctx, p.config)
	}
	return err
}

// commit sends all statements at once and reads their results: two ways over the network for a whole batch.
func (p *postgres) commit(ctx context.Context, calls []call, many ...rows) error {
	if p.read {
		return errors.New("records: opened for reading")
	}
	if err := p.connect(ctx); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	tx, err := p.writer.Begin(ctx)
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // after a commit it does nothing
	batch := &pgx.Batch{}
	for _, c := range calls {
		batch.Queue(c.query, c.args...)
	}
	for _, r := range many {
		if len(r.values) > 0 {
			batch.Queue(r.bulk, r.columns()...)
		}
	}
	results := tx.SendBatch(ctx, batch)
	for i := range batch.Len() {
		tag, err := results.Exec()
		if err != nil {
			return errors.Join(fmt.Errorf("records: %w", err), results.Close())
		}
		if i == 0 && tag.RowsAffected() != 1 {
			return errors.Join(ErrOther, results.Close())
		}
	}
	if err := results.Close(); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return nil
}

// tidy has nothing to do: the server does that.
func (p *postgres) tidy() {}

func (p *postgres) view(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := p.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	// A server that was started again leaves dead connections in the pool, and each says so once.
	for range readersMax {
		if err == nil || ctx.Err() != nil {
			break
		}
		tx, err = p.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	}
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	defer tx.Rollback()
	return do(tx)
}

func (p *postgres) close() error {
	errs := []error{p.reader.Close()}
	if p.writer != nil && !p.writer.IsClosed() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		errs = append(errs, p.writer.Close(ctx))
	}
	return errors.Join(errs...)
}
