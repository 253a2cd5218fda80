// Package plan turns a plan of work, written as one JSON document, into rows.
//
// In a document a project, its features, sub-features, tasks and requirements
// refer to each other by local names, their keys. [Parse] reads one, and [Apply]
// stores it in one transaction: all of it or nothing. Keys are kept in the
// column plan_key, so a plan can be changed and applied again: what is new is
// created, what has changed is updated, and what is the same is left alone.
//
// docs/plans.md describes the format.
package plan
