package store

// Silent keeps the end of the transaction out of the history, with all that follows
// from it, for a driver that is made of a DB.
func (tx *Tx) Silent() { tx.end.operation.silent = true }
