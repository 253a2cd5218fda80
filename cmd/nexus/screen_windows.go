package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// understandEscapes makes the console take escape sequences for what they are.
func understandEscapes() error {
	console := windows.Handle(os.Stdout.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(console, &mode); err != nil {
		return err
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING)
}
