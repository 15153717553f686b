package journal

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/coldsign/coldsign/internal/engine"
	"github.com/coldsign/coldsign/internal/exchange"
	"github.com/coldsign/coldsign/internal/spend"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	// A frame is random bytes: EXTERNAL keeps the server from trying to compress it.
	postgresTables = `CREATE TABLE IF NOT EXISTS coldsign_meta(journal text NOT NULL, name text NOT NULL, value bytea NOT NULL, PRIMARY KEY(journal, name));
CREATE TABLE IF NOT EXISTS coldsign_epochs(journal text NOT NULL, epoch bigint NOT NULL, salt bytea NOT NULL, PRIMARY KEY(journal, epoch));
CREATE TABLE IF NOT EXISTS coldsign_frames(journal text NOT NULL, first bigint NOT NULL, count bigint NOT NULL, at bigint NOT NULL,
	epoch bigint NOT NULL, prev bytea NOT NULL, sealed bytea NOT NULL, PRIMARY KEY(journal, first));
ALTER TABLE coldsign_frames ALTER COLUMN sealed SET STORAGE EXTERNAL`

	postgresExists   = `SELECT to_regclass('coldsign_meta') IS NOT NULL`
	postgresSettings = `SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')`
	postgresLock     = `SELECT pg_try_advisory_lock($1)`
	postgresMakeLock = `SELECT pg_advisory_lock($1)`
	postgresUnlock   = `SELECT pg_advisory_unlock($1)`
	// The server's process is ended only while it still holds the lock: whoever took the place since is not the one meant.
	// It returns when that process is gone, or after five seconds.
	postgresEvict = `SELECT coalesce(bool_and(pg_terminate_backend(pid, 5000)), true) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
	AND pid = $2 AND ((classid::bigint << 32) | objid::bigint) = $1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	postgresHolder = `SELECT a.pid, coalesce(host(a.client_addr), 'this machine'), a.backend_start, a.state_change FROM pg_locks l JOIN pg_stat_activity a USING(pid)
	WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND ((l.classid::bigint << 32) | l.objid::bigint) = $1
	AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	postgresNewest = `SELECT coalesce(max(epoch), 0) FROM coldsign_epochs WHERE journal = $1`
	// The row goes in only while this writer's epoch is the newest. The lock keeps a second writer out; this keeps out
	// one that lost its lock without noticing, as behind a pool that hands out another connection.
	postgresInsert = `INSERT INTO coldsign_frames(journal, first, count, at, epoch, prev, sealed)
	SELECT $1, $2, $3, $4, $5, $6, $7 WHERE (SELECT max(epoch) FROM coldsign_epochs WHERE journal = $1) = $5`
	postgresRow      = `INSERT INTO coldsign_frames(journal, first, count, at, epoch, prev, sealed) VALUES($1, $2, $3, $4, $5, $6, $7)`
	postgresPage     = `SELECT first, count, at, epoch, prev, sealed FROM coldsign_frames WHERE journal = $1 AND first >= $2 ORDER BY first LIMIT 64`
	postgresBefore   = `SELECT first, count, at, epoch, prev, sealed FROM coldsign_frames WHERE journal = $1 AND first < $2 ORDER BY first DESC LIMIT 1`
	postgresSalts    = `SELECT epoch, salt FROM coldsign_epochs WHERE journal = $1`
	postgresNewEpoch = `INSERT INTO coldsign_epochs(journal, epoch, salt)
	SELECT $1, coalesce(max(epoch), 0) + 1, $2 FROM coldsign_epochs WHERE journal = $1 RETURNING epoch`
	postgresSalt    = `INSERT INTO coldsign_epochs(journal, epoch, salt) VALUES($1, $2, $3)`
	postgresMeta    = `SELECT value FROM coldsign_meta WHERE journal = $1 AND name = $2`
	postgresSetMeta = `INSERT INTO coldsign_meta(journal, name, value) VALUES($1, $2, $3) ON CONFLICT(journal, name) DO UPDATE SET value = excluded.value`
	postgresRemove  = `DELETE FROM coldsign_frames WHERE journal = $1 AND first < $2`
	uniqueViolation = "23505"
	// makeLock is held while the tables are made: two programs that start at once would both try.
	makeLock = int64(0x636f6c647369676e)
)

// postgresTable is the journal in a PostgreSQL database. The writer has one connection, which also holds its lock: a
// connection that broke is never replaced, because the lock went with it.
type postgresTable struct {
	config *pgx.ConnConfig
	group  string
	locked bool // the writer's connection has the place
	faults engine.Faults
	writer *pgx.Conn

	reading sync.Mutex
	reader  *pgx.Conn // made again when it broke
	ended   bool
}

func openPostgres(ctx context.Context, o Options) (*postgresTable, error) {
	config, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, errors.New("journal: the connection string of the PostgreSQL server cannot be read") // the driver's error may quote it
	}
	config.RuntimeParams["application_name"] = "coldsign journal"
	config.RuntimeParams["synchronous_commit"] = "on"
	// A machine that vanished without closing its connection loses its place after seconds, not hours.
	config.RuntimeParams["tcp_keepalives_idle"] = "2"
	config.RuntimeParams["tcp_keepalives_interval"] = "1"
	config.RuntimeParams["tcp_keepalives_count"] = "3"
	config.RuntimeParams["tcp_user_timeout"] = "5000"
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	t := &postgresTable{config: config, group: o.Group, faults: o.Faults}
	if err := t.connect(ctx, o.Follow); err != nil {
		return nil, errors.Join(fmt.Errorf("journal %s: %w", t.place(), err), t.close())
	}
	return t, nil
}

func (t *postgresTable) connect(ctx context.Context, follow bool) error {
	conn, err := pgx.ConnectConfig(ctx, t.config)
	if err != nil {
		return err
	}
	if follow {
		t.reader = conn
	} else {
		t.writer = conn
	}
	var exists bool
	if err := conn.QueryRow(ctx, postgresExists).Scan(&exists); err != nil {
		return err
	}
	if follow {
		if !exists {
			return missing(t.place())
		}
		return nil
	}
	if err := t.durable(ctx); err != nil || exists {
		return err
	}
	if _, err := conn.Exec(ctx, postgresMakeLock, makeLock); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, postgresTables); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, postgresUnlock, makeLock)
	return err
}

// durable refuses a server whose commit may be lost when the power fails.
func (t *postgresTable) durable(ctx context.Context) error {
	var fsync, pages, commit string
	if err := t.writer.QueryRow(ctx, postgresSettings).Scan(&fsync, &pages, &commit); err != nil {
		return err
	}
	if fsync != "on" || pages != "on" || commit == "off" || commit == "local" {
		return spend.Refuse("journal-not-durable", t.place(), "fsync, full_page_writes and synchronous_commit on",
			fmt.Sprintf("%s, %s and %s", fsync, pages, commit), "set them in postgresql.conf and restart the server; an exchange that acknowledges what it may lose is worth nothing")
	}
	return nil
}

// lockNumber is the advisory lock of a group.
func (t *postgresTable) lockNumber() int64 {
	sum := sha256.Sum256([]byte("coldsign journal " + t.group))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

func (t *postgresTable) place() string {
	return "PostgreSQL " + t.config.Host + ":" + strconv.Itoa(int(t.config.Port)) + "/" + t.config.Database + " journal " + strconv.Quote(t.group)
}

func (t *postgresTable) lock(ctx context.Context) error {
	if t.locked {
		return nil
	}
	if err := t.writer.QueryRow(ctx, postgresLock, t.lockNumber()).Scan(&t.locked); err != nil {
		return err
	}
	if !t.locked {
		return inUse(t.place())
	}
	return nil
}

// evict ends the connection of whoever holds the lock by the server's process pid.
func (t *postgresTable) evict(ctx context.Context, pid int) error {
	var ended bool
	if err := t.writer.QueryRow(ctx, postgresEvict, t.lockNumber(), pid).Scan(&ended); err != nil {
		return err
	}
	if !ended {
		return fmt.Errorf("journal %s: the server's process %d, which holds the place, does not end", t.place(), pid)
	}
	return nil
}

// newest returns the number of the newest epoch.
func (t *postgresTable) newest(ctx context.Context) (epoch uint64, err error) {
	err = t.read(ctx, func(conn *pgx.Conn) error { return conn.QueryRow(ctx, postgresNewest, t.group).Scan(&epoch) })
	return epoch, err
}

func (t *postgresTable) claim(ctx context.Context, salt []byte) (epoch uint64, err error) {
	err = t.writer.QueryRow(ctx, postgresNewEpoch, t.group, salt).Scan(&epoch)
	return epoch, err
}

func (t *postgresTable) insert(ctx context.Context, r *row, meanwhile func()) error {
	if meanwhile != nil { // while the server works
		var busy sync.WaitGroup
		defer busy.Wait()
		busy.Go(meanwhile)
	}
	t.fault("journal-commit")
	tag, err := t.writer.Exec(ctx, postgresInsert, t.group, int64(r.first), int64(r.count), int64(r.at), int64(r.epoch), r.prev[:], r.sealed)
	var server *pgconn.PgError
	switch {
	case errors.As(err, &server) && server.Code == uniqueViolation:
		return fmt.Errorf("frame %d: %w", r.first, errTaken)
	case err == nil && tag.RowsAffected() != 1:
		return fmt.Errorf("frame %d, epoch %d is not the newest: %w", r.first, r.epoch, errTaken)
	case err == nil:
		t.fault("journal-committed")
	}
	return err
}

func (t *postgresTable) fault(point string) {
	if t.faults != nil {
		t.faults(point)
	}
}

// read runs one query on the reader's connection, which is made again when the last query broke it.
func (t *postgresTable) read(ctx context.Context, use func(*pgx.Conn) error) error {
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.ended {
		return errClosed
	}
	if t.reader != nil && t.reader.IsClosed() {
		t.reader = nil
	}
	if t.reader == nil {
		conn, err := pgx.ConnectConfig(ctx, t.config)
		if err != nil {
			return fmt.Errorf("journal %s: %w", t.place(), err)
		}
		t.reader = conn
	}
	if err := use(t.reader); err != nil {
		return fmt.Errorf("journal %s: %w", t.place(), err)
	}
	return nil
}

// scanRow reads a row of the result; its bytes go to buf.
func scanRow(rows pgx.Rows, buf []byte) (r row, out []byte, err error) {
	var first, count, at, epoch int64
	var prev, sealed pgtype.DriverBytes
	if err := rows.Scan(&first, &count, &at, &epoch, &prev, &sealed); err != nil {
		return r, buf, err
	}
	r = row{first: uint64(first), count: uint64(count), at: exchange.Millis(at), epoch: uint64(epoch)}
	if len(prev) == len(r.prev) {
		r.prev = [32]byte(prev)
	}
	if len(sealed) > FrameMax+1024 {
		return r, buf, fmt.Errorf("frame %d of %d bytes", first, len(sealed))
	}
	start := len(buf)
	buf = append(buf, sealed...)
	r.sealed = buf[start:len(buf):len(buf)]
	return r, buf, nil
}

func (t *postgresTable) page(ctx context.Context, first uint64, p *page) error {
	return t.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, postgresPage, t.group, int64(first))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, buf, err := scanRow(rows, p.bytes)
			if err != nil {
				return err
			}
			p.rows, p.bytes = append(p.rows, r), buf
		}
		return rows.Err()
	})
}

func (t *postgresTable) before(ctx context.Context, first uint64) (r row, found bool, err error) {
	err = t.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, postgresBefore, t.group, int64(first))
		if err != nil {
			return err
		}
		defer rows.Close()
		if rows.Next() {
			found = true
			if r, _, err = scanRow(rows, nil); err != nil {
				return err
			}
		}
		rows.Close()
		return rows.Err()
	})
	return r, found, err
}

func (t *postgresTable) salts(ctx context.Context) (map[uint64][]byte, error) {
	out := map[uint64][]byte{}
	err := t.read(ctx, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, postgresSalts, t.group)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var epoch int64
			var salt []byte
			if err := rows.Scan(&epoch, &salt); err != nil {
				return err
			}
			out[uint64(epoch)] = salt
		}
		return rows.Err()
	})
	return out, err
}

func (t *postgresTable) meta(ctx context.Context, name string) (value []byte, err error) {
	err = t.read(ctx, func(conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, postgresMeta, t.group, name).Scan(&value)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return value, err
}

func (t *postgresTable) setMeta(ctx context.Context, name string, value []byte) error {
	_, err := t.writer.Exec(ctx, postgresSetMeta, t.group, name, value)
	return err
}

func (t *postgresTable) remove(ctx context.Context, below uint64, name string, value []byte) error {
	t.fault("journal-prune")
	return pgx.BeginFunc(ctx, t.writer, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, postgresRemove, t.group, int64(below)); err != nil {
			return err
		}
		t.fault("journal-prune-mark")
		_, err := tx.Exec(ctx, postgresSetMeta, t.group, name, value)
		return err
	})
}

func (t *postgresTable) restoreSalts(ctx context.Context, salts map[uint64][]byte) error {
	return pgx.BeginFunc(ctx, t.writer, func(tx pgx.Tx) error {
		for epoch, salt := range salts {
			if _, err := tx.Exec(ctx, postgresSalt, t.group, int64(epoch), salt); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *postgresTable) restoreRows(ctx context.Context, rows []row) error {
	return pgx.BeginFunc(ctx, t.writer, func(tx pgx.Tx) error {
		for i := range rows {
			r := &rows[i]
			if _, err := tx.Exec(ctx, postgresRow, t.group, int64(r.first), int64(r.count), int64(r.at), int64(r.epoch), r.prev[:], r.sealed); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *postgresTable) close() error {
	t.reading.Lock()
	defer t.reading.Unlock()
	t.ended = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if t.writer != nil && !t.writer.IsClosed() {
		// The server notices the end of a connection a moment later; whoever comes next need not wait for that.
		t.writer.Exec(ctx, postgresUnlock, t.lockNumber())
	}
	for _, conn := range []*pgx.Conn{t.reader, t.writer} {
		if conn != nil {
			conn.Close(ctx) // of a connection that broke it says only that
		}
	}
	return nil
}
