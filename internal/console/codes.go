package console

// RefusalCodes lists every refusal code of this room with its meaning in one line, for docs/refusals.md.
func RefusalCodes() [][2]string {
	return [][2]string{
		{"file-exists", "the file to write exists; nothing is ever overwritten"},
		{"file-not-regular", "the file to read is a link, pipe, device, socket or directory"},
		{"file-too-large", "the file to read is larger than its kind may be"},
		{"frames-missing", "the pictures do not show every frame of the series"},
		{"screen-overflow", "a screen or a QR symbol does not fit the terminal, and part of it would be out of sight"},
		{"terminal-missing", "a person must read or confirm, and there is no terminal"},
	}
}
