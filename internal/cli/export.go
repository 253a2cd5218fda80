package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/disk"
	"github.com/seed-c8812374/nexus/jsonl"
	"github.com/seed-c8812374/nexus/store"
)

// exported is what an export to a file prints.
type exported struct {
	Path string `json:"path"`
	*jsonl.Exported
}

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use: "export [FILE]", Short: "Write all that is kept as lines of JSON",
		Long: `Write all that is kept as lines of JSON, to a new file or to standard output: every row
of the nine tables, the attempts at tasks, and idempotency keys, all of one moment, while
others go on writing.

nexus import jsonl reads it back, byte for byte the same when it is exported again.
docs/backup.md describes the format.`,
		Example: "  nexus export nexus.jsonl\n  nexus --db team.db export nexus.jsonl --json\n  nexus export -",
		Args:    maximumArgs(1, "one file, or - for standard output"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := strings.Join(args, "")
			if path == "" || path == "-" {
				if a.json {
					return usage(cmd, errors.New("with --json give a file: on standard output there is the export itself"))
				}
				_, err := a.export(cmd.Context(), a.Out)
				return err
			}
			e := exported{Path: path}
			err := writeNew(path, func(out io.Writer) (err error) {
				e.Exported, err = a.export(cmd.Context(), out)
				return err
			})
			if err != nil {
				return err
			}
			return a.print(e, func(out io.Writer) error {
				_, err := fmt.Fprintf(out, "Exported to %s: %s, %s, sha256 %s.\n",
					oneLine(path), counted(contractRows(e.Counts), "row"), megabytes(e.Bytes), e.SHA256)
				return err
			})
		},
	}
}

// export writes an export, and says what is not in it.
func (a *app) export(ctx context.Context, out io.Writer) (e *jsonl.Exported, err error) {
	err = a.withDB(ctx, func(db *store.DB) error {
		e, err = jsonl.Export(ctx, db, out, a.progress.report)
		return err
	})
	var known *nexus.Error
	if err != nil && !errors.As(err, &known) {
		err = disk.Error(err)
	}
	if err == nil && len(e.NotIncluded) > 0 {
		a.settings().Logger.Info("tables of yours are not in an export; nexus backup has them", "tables", strings.Join(e.NotIncluded, ", "))
	}
	return e, err
}

// writeNew makes a new file of what fn writes, whole or not at all.
func writeNew(path string, fn func(io.Writer) error) (err error) {
	if err := disk.MayCreate(path); err != nil {
		return err
	}
	draft, err := disk.NewDraft(path)
	if err != nil {
		return disk.Error(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, disk.Error(draft.Discard()))
		}
	}()
	file, err := os.OpenFile(draft.Path, os.O_WRONLY, 0)
	if err != nil {
		return disk.Error(err)
	}
	if err := fn(file); err != nil {
		_ = file.Close() // it is removed
		return err
	}
	if err := file.Close(); err != nil {
		return disk.Error(err)
	}
	err = draft.Publish(path)
	if errors.Is(err, fs.ErrExist) { // since it was looked for
		return disk.Exists(path)
	}
	return disk.Error(err)
}

func (a *app) importJSONLCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "jsonl FILE", Short: "Import what nexus export has written, all of it or nothing",
		Long: `Import what nexus export has written into a database without rows, all of it or nothing.
FILE may be - for standard input.

Ids, times, revisions, epochs: all is as it was, so agents that hold tasks go on. What is
wrong with the file is reported with its line.`,
		Example: "  nexus --db new.db import jsonl nexus.jsonl\n  gunzip < nexus.jsonl.gz | nexus --db new.db import jsonl -",
		Args:    exactArgs(1, "one file, or - for standard input"),
	}
	a.keyFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		file, err := a.openSeekable(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		sum, err := a.checksum(file)
		if err != nil {
			return err
		}
		var imported *jsonl.Imported
		err = a.withDB(cmd.Context(), func(db *store.DB) error {
			imported, err = once(a, cmd, db, []string{sum}, func(tx *store.Tx) (*jsonl.Imported, error) {
				return jsonl.ImportIn(cmd.Context(), tx, file, a.progress.report)
			})
			return err
		})
		if err != nil {
			return err
		}
		return a.print(imported, func(out io.Writer) error {
			_, err := fmt.Fprintf(out, "Imported %s.\n", counted(contractRows(imported.Counts), "row"))
			return err
		})
	}
	return cmd
}

// openSeekable opens a file that can be read more than once. What cannot, such as
// standard input, is copied to a temporary one first.
func (a *app) openSeekable(name string) (*os.File, error) {
	failed := func(err error) error {
		return &nexus.Error{Code: nexus.CodeIO, Message: "the file cannot be read", Err: err}
	}
	in := a.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, failed(err)
		}
		info, err := file.Stat()
		if err == nil && info.Mode().IsRegular() {
			return file, nil
		}
		defer file.Close()
		if err == nil && info.IsDir() {
			return nil, failed(&fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR})
		}
		in = file
	}
	spool, err := os.CreateTemp("", "nexus-import-*") // for its owner only
	if err != nil {
		return nil, disk.Error(err)
	}
	_ = os.Remove(spool.Name()) // it lives as long as it is open; where that cannot be, the system cleans up
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(spool, in)
		done <- err
	}()
	select {
	case err = <-done:
	case <-a.ctx.Done():
		err = &nexus.Error{Code: nexus.CodeCanceled, Message: "stopped before the input was read", Hint: "nothing was changed"}
	}
	if err == nil {
		return spool, nil
	}
	_ = spool.Close()
	if nexus.CodeOf(disk.Error(err)) == nexus.CodeFull {
		return nil, disk.Error(err)
	}
	var known *nexus.Error
	if !errors.As(err, &known) {
		err = failed(err)
	}
	return nil, err
}

// checksum returns the SHA-256 of a file, if it is to be known: with an idempotency
// key.
func (a *app) checksum(file io.Reader) (string, error) {
	if a.key == "" {
		return "", nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", &nexus.Error{Code: nexus.CodeIO, Message: "the file cannot be read", Err: err}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
