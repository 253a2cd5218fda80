package plan

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-c8812374/nexus"
	"github.com/seed-c8812374/nexus/internal/jsontree"
)

// Version is the version of the format, which a document may state in its
// member nexus_plan.
const Version = 1

// Parse reads a document. It reports everything that is wrong with its form at
// once, in an error of code nexus.CodeInvalid with the place of each problem.
func Parse(text []byte) (*Document, error) {
	tree, err := jsontree.Parse(text)
	if err != nil {
		var e *nexus.Error
		if errors.As(err, &e) {
			e.Message = "the plan is not valid JSON"
		}
		return nil, err
	}
	d := &Document{source: tree}
	p := &parser{document: d}
	p.object(&tree.Root, "", map[string]field{
		"nexus_plan":        p.version,
		sectionProject:      p.project,
		sectionFeatures:     p.list(p.feature),
		sectionSubFeatures:  p.list(p.subFeature),
		sectionTasks:        p.list(p.task),
		sectionRequirements: p.list(p.requirement),
	})
	if tree.Root.Kind == jsontree.Object {
		if project := tree.Root.Member(sectionProject); project == nil || project.Kind == jsontree.Null {
			p.problem(&tree.Root, sectionProject, "is required")
		}
	}
	return d, invalid(p.problems)
}

func invalid(problems []nexus.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b nexus.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	noun := "problems"
	if len(problems) == 1 {
		noun = "problem"
	}
	return &nexus.Error{
		Code: nexus.CodeInvalid, Message: fmt.Sprintf("the plan has %d %s", len(problems), noun),
		Hint: "nothing was stored", Problems: problems,
	}
}

// parser binds the tree to the document and collects problems.
type parser struct {
	document *Document
	problems []nexus.Problem
}

// field takes a value from the tree; path names it in problems.
type field func(n *jsontree.Node, path string)

func (p *parser) problem(n *jsontree.Node, path, format string, args ...any) {
	line, column := p.document.source.Place(n)
	p.problems = append(p.problems, nexus.Problem{
		Field: path, Line: line, Column: column, Message: fmt.Sprintf(format, args...),
	})
}

// is reports whether n is of a kind, and says so if it is not.
func (p *parser) is(n *jsontree.Node, path string, kind jsontree.Kind) bool {
	if n.Kind != kind {
		p.problem(n, path, "must be %s, not %s", kind, n.Kind)
	}
	return n.Kind == kind
}

// object hands each member of an object to its field. A member that is null
// counts as not given.
func (p *parser) object(n *jsontree.Node, path string, fields map[string]field) {
	if !p.is(n, path, jsontree.Object) {
		return
	}
	seen := make(map[string]bool, len(n.Members))
	for i := range n.Members {
		m := &n.Members[i]
		member := m.Name
		if path != "" {
			member = path + "." + m.Name
		}
		take, known := fields[m.Name]
		switch {
		case !known:
			p.unknown(m, member, fields)
		case seen[m.Name]:
			p.problem(&m.Value, member, "is given twice")
		case m.Value.Kind != jsontree.Null:
			take(&m.Value, member)
		}
		seen[m.Name] = true
	}
}

func (p *parser) unknown(m *jsontree.Member, path string, fields map[string]field) {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	line, column := p.document.source.MemberPlace(m)
	p.problems = append(p.problems, nexus.Problem{
		Field: path, Line: line, Column: column,
		Message: "is not a field; there are " + strings.Join(names, ", "),
	})
}

func (p *parser) list(item field) field {
	return func(n *jsontree.Node, path string) {
		if !p.is(n, path, jsontree.Array) {
			return
		}
		for i := range n.Items {
			item(&n.Items[i], path+"["+strconv.Itoa(i)+"]")
		}
	}
}

func (p *parser) version(n *jsontree.Node, path string) {
	if n.Text != strconv.Itoa(Version) {
		p.problem(n, path, "is %s; this program knows version %d", p.document.source.Raw(n), Version)
	}
}

func (p *parser) project(n *jsontree.Node, path string) {
	e := Project{node: n}
	p.object(n, path, map[string]field{
		"key":            p.key(&e.Key),
		"name":           text(p, &e.Fields.Name),
		"description":    text(p, &e.Fields.Description),
		"mode":           text(p, &e.Fields.Mode),
		"status":         text(p, &e.Fields.Status),
		"root_path":      text(p, &e.Fields.RootPath),
		"repository_url": text(p, &e.Fields.RepositoryURL),
	})
	p.document.Project = e
}

func (p *parser) feature(n *jsontree.Node, path string) {
	e := Feature{node: n}
	p.object(n, path, map[string]field{
		"key":             p.key(&e.Key),
		"name":            text(p, &e.Fields.Name),
		"description":     text(p, &e.Fields.Description),
		"priority":        text(p, &e.Fields.Priority),
		"status":          text(p, &e.Fields.Status),
		"estimated_tasks": p.number(&e.Fields.EstimatedTasks),
	})
	p.document.Features = append(p.document.Features, e)
}

func (p *parser) subFeature(n *jsontree.Node, path string) {
	e := SubFeature{node: n}
	p.object(n, path, map[string]field{
		"key":         p.key(&e.Key),
		"feature":     p.key(&e.Feature),
		"name":        text(p, &e.Fields.Name),
		"description": text(p, &e.Fields.Description),
		"status":      text(p, &e.Fields.Status),
	})
	p.document.SubFeatures = append(p.document.SubFeatures, e)
}

func (p *parser) task(n *jsontree.Node, path string) {
	e := Task{node: n}
	p.object(n, path, map[string]field{
		"key":               p.key(&e.Key),
		"feature":           p.key(&e.Feature),
		"sub_feature":       p.key(&e.SubFeature),
		"depends_on":        p.keys(&e.DependsOn),
		"name":              text(p, &e.Fields.Name),
		"description":       text(p, &e.Fields.Description),
		"status":            text(p, &e.Fields.Status),
		"size":              text(p, &e.Fields.Size),
		"priority":          text(p, &e.Fields.Priority),
		"estimated_minutes": p.number(&e.Fields.EstimatedMinutes),
		"max_iterations":    p.number(&e.Fields.MaxIterations),
		"max_attempts":      p.number(&e.Fields.MaxAttempts),
		"branch_name":       text(p, &e.Fields.BranchName),
		"worktree_path":     text(p, &e.Fields.WorktreePath),
		"metadata":          p.raw(&e.Fields.Metadata),
	})
	p.document.Tasks = append(p.document.Tasks, e)
}

func (p *parser) requirement(n *jsontree.Node, path string) {
	e := Requirement{node: n}
	p.object(n, path, map[string]field{
		"key":             p.key(&e.Key),
		"category":        text(p, &e.Fields.Category),
		"description":     text(p, &e.Fields.Description),
		"priority":        text(p, &e.Fields.Priority),
		"source":          text(p, &e.Fields.Source),
		"linked_features": p.keys(&e.LinkedFeatures),
		"validated":       p.boolean(&e.Fields.Validated),
	})
	p.document.Requirements = append(p.document.Requirements, e)
}

func (p *parser) key(dst *string) field {
	return func(n *jsontree.Node, path string) {
		if p.is(n, path, jsontree.String) {
			*dst = n.Text
		}
	}
}

func (p *parser) keys(dst *[]string) field {
	return func(n *jsontree.Node, path string) {
		*dst = []string{}
		p.list(func(item *jsontree.Node, path string) {
			if p.is(item, path, jsontree.String) {
				*dst = append(*dst, item.Text)
			}
		})(n, path)
	}
}

func text[S ~string](p *parser, dst **S) field {
	return func(n *jsontree.Node, path string) {
		if p.is(n, path, jsontree.String) {
			value := S(n.Text)
			*dst = &value
		}
	}
}

func (p *parser) number(dst **int) field {
	return func(n *jsontree.Node, path string) {
		if !p.is(n, path, jsontree.Number) {
			return
		}
		value, err := strconv.Atoi(n.Text)
		if err != nil {
			p.problem(n, path, "is %s; it must be a whole number", n.Text)
			return
		}
		*dst = &value
	}
}

func (p *parser) boolean(dst **bool) field {
	return func(n *jsontree.Node, path string) {
		if p.is(n, path, jsontree.Bool) {
			value := n.Text == "true"
			*dst = &value
		}
	}
}

// raw keeps any JSON as it is written.
func (p *parser) raw(dst **nexus.JSON) field {
	return func(n *jsontree.Node, _ string) {
		value := nexus.JSON(p.document.source.Raw(n))
		*dst = &value
	}
}
