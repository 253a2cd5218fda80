package nexus

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// An id that Nexus makes is 16 characters: one letter for its kind, nine for
// the time in milliseconds, six for chance and count. The digits are
// Crockford's base 32 in lower case, whose ASCII order is their numeric order,
// so ids of one kind sort by the time they were made.
const (
	idDigits     = "0123456789abcdefghjkmnpqrstvwxyz"
	idTimeDigits = 9
	idTailDigits = 6
	idTailMask   = 1<<(5*idTailDigits) - 1
)

var idLetters = map[Kind]byte{
	KindProject: 'p', KindFeature: 'f', KindSubFeature: 'u', KindTask: 't', KindAgent: 'a',
	KindCheckpoint: 'c', KindRequirement: 'r', KindMetric: 'm', KindSession: 's',
}

var lastID struct {
	sync.Mutex
	millis int64
	tail   uint32
}

// NewID returns a new id for an entity made at now. Ids of one process strictly
// increase, also when the clock is set back; between processes 29 random bits
// in each millisecond keep them apart, and the primary key is the last word.
// It is safe for concurrent use.
func NewID(kind Kind, now time.Time) string {
	lastID.Lock()
	if millis := now.UnixMilli(); millis > lastID.millis {
		var random [4]byte
		_, _ = rand.Read(random[:]) // never fails, by its documentation
		// The lower half of the range leaves room to count up from.
		lastID.millis, lastID.tail = millis, binary.LittleEndian.Uint32(random[:])&(idTailMask>>1)
	} else if lastID.tail++; lastID.tail > idTailMask {
		lastID.millis, lastID.tail = lastID.millis+1, 0
	}
	millis, tail := uint64(lastID.millis), uint64(lastID.tail)
	lastID.Unlock()

	var id [1 + idTimeDigits + idTailDigits]byte
	id[0] = idLetters[kind]
	putDigits(id[1:1+idTimeDigits], millis)
	putDigits(id[1+idTimeDigits:], tail)
	return string(id[:])
}

func putDigits(dst []byte, n uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = idDigits[n&31]
		n >>= 5
	}
}
