package peer

import (
	"errors"
	"io"
	"os"
	"time"
)

// Keeper is a program that can keep a state, and go back to it.
type Keeper interface {
	Checkpoint() error
	Restore() error // the state of the last checkpoint
}

// Copier is a program that can copy the whole database to a new file.
type Copier interface {
	CopyTo(path string) error
}

// Changes before each checkpoint, and before each restore.
const (
	changesBetween = 10
	changesToUndo  = 100
)

func (s *tables) checkpoint(n, _ int) (took time.Duration, err error) {
	k, err := s.keeper()
	for i := 0; i < n && err == nil; i++ {
		if err = s.UpdateMany(s.newUpdates(changesBetween)); err != nil {
			break
		}
		var one time.Duration
		one, err = timed(k.Checkpoint)
		took += one
	}
	return took, err
}

func (s *tables) restore(n, _ int) (took time.Duration, err error) {
	k, err := s.keeper()
	for i := 0; i < n && err == nil; i++ {
		if err = errors.Join(k.Checkpoint(), s.UpdateMany(s.newUpdates(changesToUndo))); err != nil {
			break
		}
		var one time.Duration
		one, err = timed(k.Restore)
		took += one
	}
	return took, err
}

func (s *tables) keeper() (Keeper, error) {
	switch p := s.Tables.(type) {
	case Keeper:
		return p, nil
	case Copier:
		return copying{s}, nil
	default:
		return nil, ErrCannot
	}
}

// copying keeps a state as a copy of the file.
type copying struct{ *tables }

func (c copying) kept() string { return c.path + ".kept" }

func (c copying) Checkpoint() error {
	if err := os.Remove(c.kept()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return c.Tables.(Copier).CopyTo(c.kept())
}

func (c copying) Restore() error {
	if err := c.Close(); err != nil {
		return err
	}
	if err := copyFile(c.kept(), c.path); err != nil {
		return err
	}
	return c.open(c.path, c.synchronous)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
