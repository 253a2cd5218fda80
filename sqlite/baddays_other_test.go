//go:build !linux

package sqlite_test

import "errors"

func childNobody([]string) error { return errors.New("only on Linux") }

func childReadTwice([]string) error { return errors.New("only on Linux") }
