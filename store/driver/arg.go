package driver

// Kind is the type of an [Arg].
type Kind uint8

// The kinds of arguments, which are the types of columns.
const (
	KindNull Kind = iota
	KindInt
	KindFloat
	KindText
	KindBlob // of other programs; no column of ours is one
)

// Arg is an argument of a statement. Unlike an any, it costs no allocation. Two
// Args are equal if == says so.
type Arg struct {
	Kind  Kind
	Int   int64
	Float float64
	Text  string // the bytes, also of a blob
}

// Null returns NULL.
func Null() Arg { return Arg{} }

// Int returns an integer.
func Int(n int64) Arg { return Arg{Kind: KindInt, Int: n} }

// Float returns a floating point number.
func Float(f float64) Arg { return Arg{Kind: KindFloat, Float: f} }

// Text returns a text.
func Text[S ~string](s S) Arg { return Arg{Kind: KindText, Text: string(s)} }

// Blob returns a sequence of bytes.
func Blob(b []byte) Arg { return Arg{Kind: KindBlob, Text: string(b)} }

// TextOrNull returns a text, or NULL if it is empty.
func TextOrNull[S ~string](s S) Arg {
	if s == "" {
		return Arg{}
	}
	return Text(s)
}

// Value returns the argument as nil, int64, float64, string or []byte.
func (a Arg) Value() any {
	switch a.Kind {
	case KindInt:
		return a.Int
	case KindFloat:
		return a.Float
	case KindText:
		return a.Text
	case KindBlob:
		return []byte(a.Text)
	default:
		return nil
	}
}
