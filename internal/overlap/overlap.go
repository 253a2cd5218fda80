// Package overlap lets one goroutine use what another one still reads more of.
package overlap

// Stage is where batches are used, in their order, by a goroutine of its own, while
// another one fills the next. That one, and no third, calls the methods:
//
//	s := overlap.New(use, new(batch), new(batch))
//	for b := s.Get(); fill(b); b = s.Get() {
//		if s.Put(b) != nil {
//			break
//		}
//	}
//	err := s.Close()
type Stage[B any] struct {
	empty, full chan B
	broken      chan struct{} // closed when err is set
	done        chan struct{} // closed when use will not be called again
	err         error         // of use
}

// New returns a stage that calls use, not after that has failed, with batches that are
// as empty as use leaves them. Two are enough. Close must be called.
func New[B any](use func(B) error, batches ...B) *Stage[B] {
	s := &Stage[B]{
		empty: make(chan B, len(batches)), full: make(chan B, len(batches)),
		broken: make(chan struct{}), done: make(chan struct{}),
	}
	for _, b := range batches {
		s.empty <- b
	}
	go func() {
		defer close(s.done)
		for b := range s.full {
			if s.err == nil {
				if s.err = use(b); s.err != nil {
					close(s.broken)
				}
			}
			s.empty <- b
		}
	}()
	return s
}

// Get returns an empty batch. It waits for use to be done with one.
func (s *Stage[B]) Get() B { return <-s.empty }

// Put hands a batch on that Get has returned. It does not wait. Its error is that of use,
// which may have been for an earlier one.
func (s *Stage[B]) Put(b B) error {
	s.full <- b
	select {
	case <-s.broken:
		return s.err
	default:
		return nil
	}
}

// Close waits until all batches have been used, and returns the error of use.
func (s *Stage[B]) Close() error {
	close(s.full)
	<-s.done
	return s.err
}
