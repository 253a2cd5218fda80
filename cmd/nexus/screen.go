package main

import (
	"os"

	"golang.org/x/term"

	"github.com/seed-c8812374/nexus/internal/cli"
)

// screen is the terminal that standard output is, with the keyboard that standard
// input may be.
type screen struct{}

// newScreen returns nil if standard output is no terminal.
func newScreen() cli.Screen {
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		return nil
	}
	return screen{}
}

func (screen) Size() (width, height int, err error) { return term.GetSize(int(os.Stdout.Fd())) }

func (screen) Open() (keys <-chan byte, restore func(), err error) {
	if err := understandEscapes(); err != nil {
		return nil, nil, err
	}
	stdin := int(os.Stdin.Fd())
	if !term.IsTerminal(stdin) {
		return nil, func() {}, nil
	}
	before, err := term.MakeRaw(stdin)
	if err != nil {
		return nil, nil, err
	}
	pressed := make(chan byte)
	go func() { // until the program ends
		key := make([]byte, 1)
		for {
			if n, err := os.Stdin.Read(key); err != nil || n == 0 {
				return
			}
			pressed <- key[0]
		}
	}()
	return pressed, func() { _ = term.Restore(stdin, before) }, nil
}
