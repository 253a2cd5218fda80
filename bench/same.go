package main

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
)

// sameTasks fails unless all programs, which have stopped, left the same tasks in
// their files: then they did the same work.
func (b *bench) sameTasks(programs []*program) error {
	var first [sha256.Size]byte
	for i, p := range programs {
		sum, err := tasksSum(b.file(fileName(i) + ".db"))
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if i == 0 {
			first = sum
		} else if sum != first {
			return fmt.Errorf("%s and %s have left different tasks", p.name, programs[0].name)
		}
	}
	return nil
}

// tasksSum is a checksum of what the tasks of a file have but for times.
func tasksSum(path string) (sum [sha256.Size]byte, err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return sum, err
	}
	defer db.Close()
	rows, err := db.Query(`SELECT concat_ws('|', id, project_id, feature_id, sub_feature_id, name, description, status, size,
		assigned_agent, worktree_path, branch_name, depends_on, blocked_by, qa_iterations, max_iterations,
		estimated_minutes, actual_minutes) FROM tasks ORDER BY id`)
	if err != nil {
		return sum, err
	}
	defer rows.Close()
	hash := sha256.New()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return sum, err
		}
		fmt.Fprintln(hash, line)
	}
	return [sha256.Size]byte(hash.Sum(nil)), rows.Err()
}
