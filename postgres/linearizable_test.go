package postgres_test

import (
	"testing"

	"github.com/seed-c8812374/nexus/internal/pgtest"
	"github.com/seed-c8812374/nexus/postgres"
	"github.com/seed-c8812374/nexus/store/driver"
	"github.com/seed-c8812374/nexus/storetest/linear"
)

var linearized = linear.Database{
	New:  func(t *testing.T) string { return pgtest.Schema(t) },
	Open: func(name string) (driver.DB, error) { return postgres.OpenDriver(background, name, nil) },

	Beside: true,
}

func TestLinearizable(t *testing.T) {
	t.Parallel()
	linear.Run(t, linearized)
}
