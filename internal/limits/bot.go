package limits

// Conduct is what the scorer found.
type Conduct uint8

// Quiet is nothing.
const Quiet Conduct = 0

func (c Conduct) String() string { return "quiet" }
