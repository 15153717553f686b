package wallet

import "fmt"

// Origin says where the key comes from, as descriptors write it: "[d34db33f/48h/1h/0h/2h]".
func (r KeyRecord) Origin() string { return fmt.Sprintf("[%x%s]", r.Fingerprint, stepsText(r.Path)) }
