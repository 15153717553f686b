package journal

import "context"

// memory takes what a restore writes and forgets the rows: the fuzz target looks at the decoder alone.
type memory struct {
	table
	values map[string][]byte
}

func (m *memory) lock(context.Context) error { return nil }

func (m *memory) salts(context.Context) (map[uint64][]byte, error) { return nil, nil }

func (m *memory) meta(_ context.Context, name string) ([]byte, error) { return m.values[name], nil }

func (m *memory) setMeta(_ context.Context, name string, value []byte) error {
	m.values[name] = value
	return nil
}

func (m *memory) restoreSalts(context.Context, map[uint64][]byte) error { return nil }

func (m *memory) restoreRows(context.Context, []row) error { return nil }

func (m *memory) place() string { return "memory" }
