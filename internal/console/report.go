package console

// Report prints an error to standard error.
func (c *Console) Report(err error, asJSON bool) {}
