package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store"
)

// asOfFlag gives a command that reads the flag that makes it read the past.
func asOfFlag(cmd *cobra.Command, moment *string) {
	cmd.Flags().Var((*filled)(moment), "as-of", "as it was: at a `moment`, which is the number of a change, a time, how long ago, or a checkpoint")
}

// servicesAt returns what reads a moment; the empty one is now.
func servicesAt(ctx context.Context, db *store.DB, moment string) (*store.Services, error) {
	if moment == "" {
		return &db.Services, nil
	}
	seq, err := db.Moment(ctx, moment)
	if err != nil {
		return nil, err
	}
	return &db.AsOf(seq).Services, nil
}

// getAt reads the row with an id as it was. In the past an id that is whole is looked
// for at once: to look for what it may be the beginning of takes much longer there.
func (d *entity[E, F, U]) getAt(ctx context.Context, db *store.Services, prefix string, past bool, get func(id string) (*E, error)) (*E, error) {
	if past {
		e, err := get(prefix)
		if nexus.CodeOf(err) != nexus.CodeNotFound || err == nil {
			return e, err
		}
	}
	id, err := d.service(db).Resolve(ctx, prefix)
	if err != nil {
		var missing *nexus.Error
		if past && errors.As(err, &missing) && missing.Code == nexus.CodeNotFound {
			missing.Message = "did not exist then"
		}
		return nil, err
	}
	return get(id)
}
