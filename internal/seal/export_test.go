package seal

// SignedBytes lets tests build signatures that Sign would not make.
func SignedBytes(ns Namespace, message []byte) []byte { return signedBytes(ns, message) }
