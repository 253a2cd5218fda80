// Package store keeps projects, tasks and the rest in a database, through
// whichever driver it is given. All SQL of the product is here, written once.
//
// A [DB] has one service per entity; [DB.InTx] runs several calls as one
// transaction, with the same services on its [Tx]:
//
//	task, err := db.Tasks.Get(ctx, id)
//	err = db.InTx(ctx, func(tx *store.Tx) error {
//		return tx.Tasks.Create(ctx, &task)
//	})
//
// Everything here is safe for concurrent use, except a Tx. A call that returns
// nil after writing has its data on disk; a call that returns an error has
// changed nothing. Errors are of type *nexus.Error.
//
// The package imports package nexus and its own seam to databases, package
// driver, and no database.
package store
