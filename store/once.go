package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/store/driver"
)

// KeysKept is how long the result of a call with an idempotency key is kept at
// least, by the clock of those who write.
const KeysKept = 7 * 24 * time.Hour

// Once runs fn in a transaction like [DB.InTx], and keeps its result under an
// idempotency key, in the same transaction. Called again with the key it does not
// run fn but returns that result, with again true: so a caller that does not know
// whether its call has succeeded may simply repeat it. A call that failed has not
// used its key.
//
// request is what the caller asks for, in a form that marshals to the same JSON
// each time; T must come back from JSON as it was. An empty key runs fn each time.
//
// Codes: CodeKeyReused if the key belongs to another request; CodeInvalid if it is
// too long; and fn's.
func Once[T any](ctx context.Context, db *DB, key string, request any, fn func(*Tx) (T, error)) (result T, again bool, err error) {
	if key == "" {
		err = db.InTx(ctx, func(tx *Tx) error {
			result, err = fn(tx)
			return err
		})
		return result, false, err
	}
	sum, err := digest(key, request)
	if err != nil {
		return result, false, err
	}
	err = db.InTx(ctx, func(tx *Tx) error {
		var fresh T
		result, again = fresh, false // when this runs a second time
		stored, found, err := lookUp(ctx, tx.conn, key, sum)
		if err != nil {
			return err
		}
		if found {
			again = true
			return json.Unmarshal([]byte(stored), &result)
		}
		if result, err = fn(tx); err != nil {
			return err
		}
		return remember(ctx, tx.conn, key, sum, result, db.now())
	})
	if err != nil {
		var none T
		return none, false, err
	}
	return result, again, nil
}

// digest identifies a request.
func digest(key string, request any) (string, error) {
	if len(key) > nexus.MaxID {
		return "", &nexus.Error{Code: nexus.CodeInvalid, Problems: []nexus.Problem{{
			Field: "idempotency_key", Message: fmt.Sprintf("is %d bytes long; the limit is %d", len(key), nexus.MaxID),
		}}}
	}
	text, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

func lookUp(ctx context.Context, c driver.Conn, key, request string) (result string, found bool, err error) {
	const sql = `SELECT request, result FROM idempotency_keys WHERE key = $1`
	var stored string
	err = c.Query(ctx, sql, []driver.Arg{driver.Text(key)}, func(r driver.Row) error {
		stored, result, found = r.Text(0), r.Text(1), true
		return nil
	})
	if err == nil && found && stored != request {
		err = &nexus.Error{
			Code:    nexus.CodeKeyReused,
			Message: fmt.Sprintf("the idempotency key %q belongs to another call", key),
			Hint:    "give every call a key of its own, and the same key only to repeat it unchanged; nothing was changed",
		}
	}
	return result, found, err
}

func remember(ctx context.Context, c driver.Conn, key, request string, result any, now time.Time) error {
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, `DELETE FROM idempotency_keys WHERE created_us < $1`, driver.Int(micros(now.Add(-KeysKept))))
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, `INSERT INTO idempotency_keys (key, request, result, created_us) VALUES ($1, $2, $3, $4)`,
		driver.Text(key), driver.Text(request), driver.Text(string(text)), driver.Int(micros(now)))
	return err
}
