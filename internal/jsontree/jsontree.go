// Package jsontree reads a JSON document into a tree that remembers where in the
// text everything stands, so that whatever is wrong with its content can be
// reported with line and column.
package jsontree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus"
)

// Kind is the type of a value.
type Kind string

// The kinds of values.
const (
	Null   Kind = "null"
	Bool   Kind = "true or false"
	Number Kind = "a number"
	String Kind = "a text"
	Array  Kind = "a list"
	Object Kind = "an object"
)

// Node is a value.
type Node struct {
	Kind    Kind
	Text    string // of a String; the literal of a Number or Bool
	Items   []Node // of an Array
	Members []Member

	start, end int // in the text
}

// Member is a name and value of an object.
type Member struct {
	Name  string
	Value Node
	start int
}

// Document is a text and its tree.
type Document struct {
	Root Node

	text  []byte
	lines []int // offsets of the beginnings of lines
}

// Bounds on what is read: how deep values may be nested, of which a plan needs
// four levels, and how many there may be, at about 150 bytes of memory each.
const (
	maxDepth  = 200
	maxValues = 2_000_000
)

// Parse reads a document. Its errors are of code nexus.CodeInvalid and have the
// place as their only problem.
func Parse(text []byte) (*Document, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	d := &Document{text: text, lines: []int{0}}
	for i, b := range text {
		if b == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	if bad := invalidUTF8(text); bad >= 0 {
		return nil, d.invalid(bad, "is not valid UTF-8")
	}
	p := &parser{document: d, decoder: json.NewDecoder(bytes.NewReader(text))}
	p.decoder.UseNumber()
	var err error
	if d.Root, err = p.value(0); err != nil {
		return nil, err
	}
	rest := p.skip(" \t\r\n")
	if _, err := p.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, d.invalid(rest, "there is more after the end of the document")
	}
	return d, nil
}

func invalidUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func (d *Document) invalid(offset int, message string) error {
	line, column := d.place(offset)
	return &nexus.Error{
		Code: nexus.CodeInvalid, Message: "not a valid document",
		Problems: []nexus.Problem{{Line: line, Column: column, Message: message}},
	}
}

func (d *Document) place(offset int) (line, column int) {
	i := sort.SearchInts(d.lines, offset+1) - 1
	return i + 1, offset - d.lines[i] + 1
}

// Place returns where a node begins: its line, and its column in bytes, both
// from 1.
func (d *Document) Place(n *Node) (line, column int) { return d.place(n.start) }

// MemberPlace returns where a member's name begins.
func (d *Document) MemberPlace(m *Member) (line, column int) { return d.place(m.start) }

// Raw returns the text of a node.
func (d *Document) Raw(n *Node) string { return string(d.text[n.start:n.end]) }

// Member returns the value of the last member with a name, or nil.
func (n *Node) Member(name string) *Node {
	for i := len(n.Members) - 1; i >= 0; i-- {
		if n.Members[i].Name == name {
			return &n.Members[i].Value
		}
	}
	return nil
}

type parser struct {
	document *Document
	decoder  *json.Decoder
	values   int
}

// next returns the offset at which the next token begins.
func (p *parser) next() int { return p.skip(" \t\r\n,:") }

// skip returns the offset of what comes next and is none of these characters.
func (p *parser) skip(characters string) int {
	i := int(p.decoder.InputOffset())
	for i < len(p.document.text) && strings.IndexByte(characters, p.document.text[i]) >= 0 {
		i++
	}
	return i
}

func (p *parser) value(depth int) (Node, error) {
	if depth > maxDepth {
		return Node{}, p.document.invalid(p.next(), "is nested too deeply")
	}
	if p.values++; p.values > maxValues {
		return Node{}, p.document.invalid(p.next(), fmt.Sprintf("has more than %d values", maxValues))
	}
	n := Node{start: p.next()}
	token, err := p.decoder.Token()
	if err != nil {
		return n, p.failed(err)
	}
	switch t := token.(type) {
	case nil:
		n.Kind = Null
	case bool:
		n.Kind, n.Text = Bool, "false"
		if t {
			n.Text = "true"
		}
	case json.Number:
		n.Kind, n.Text = Number, t.String()
	case string:
		n.Kind, n.Text = String, t
	case json.Delim:
		if t == '[' {
			n.Kind = Array
			err = p.items(&n, depth)
		} else {
			n.Kind = Object
			err = p.members(&n, depth)
		}
	}
	n.end = int(p.decoder.InputOffset())
	return n, err
}

func (p *parser) items(n *Node, depth int) error {
	for p.decoder.More() {
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	return p.end()
}

func (p *parser) members(n *Node, depth int) error {
	for p.decoder.More() {
		m := Member{start: p.next()}
		name, err := p.decoder.Token()
		if err != nil {
			return p.failed(err)
		}
		m.Name, _ = name.(string) // the decoder accepts nothing else here
		if m.Value, err = p.value(depth + 1); err != nil {
			return err
		}
		n.Members = append(n.Members, m)
	}
	return p.end()
}

// end reads the closing bracket.
func (p *parser) end() error {
	if _, err := p.decoder.Token(); err != nil {
		return p.failed(err)
	}
	return nil
}

// failed places an error of the decoder.
func (p *parser) failed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return p.document.invalid(len(p.document.text), "the document ends too early")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return p.document.invalid(p.skip(" \t\r\n"), syntax.Error())
	}
	return p.document.invalid(p.skip(" \t\r\n"), err.Error())
}
