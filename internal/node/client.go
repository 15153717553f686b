package node

import "errors"

var errUnfinished = errors.New("unfinished")

type client struct{}
