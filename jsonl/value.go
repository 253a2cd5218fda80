package jsonl

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-c8812374/nexus/internal/jsontree"
	"github.com/seed-c8812374/nexus/store/driver"
)

// Members of the objects that stand for values which JSON has no form for.
const (
	textMember = "text" // a text that is not UTF-8, in base 64
	blobMember = "blob" // bytes, in base 64
	realMember = "real" // a number that is not finite
)

// Infinities, as they are written.
const (
	infinity         = "Infinity"
	negativeInfinity = "-Infinity"
)

// appendValue appends a value. An integer has neither point nor exponent, and any
// other number has one of them, so that each comes back as what it was.
func appendValue(b []byte, v driver.Arg) []byte {
	switch v.Kind {
	case driver.KindInt:
		return strconv.AppendInt(b, v.Int, 10)
	case driver.KindFloat:
		return appendFloat(b, v.Float)
	case driver.KindText:
		if !utf8.ValidString(v.Text) {
			return appendObject(b, textMember, base64.StdEncoding.EncodeToString([]byte(v.Text)))
		}
		return appendString(b, v.Text)
	case driver.KindBlob:
		return appendObject(b, blobMember, base64.StdEncoding.EncodeToString([]byte(v.Text)))
	default:
		return append(b, "null"...)
	}
}

func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return appendObject(b, realMember, infinity)
	case math.IsInf(f, -1):
		return appendObject(b, realMember, negativeInfinity)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !strings.ContainsAny(string(b[start:]), ".e") {
		b = append(b, ".0"...)
	}
	return b
}

func appendObject(b []byte, name, text string) []byte {
	b = append(b, '{')
	b = appendString(b, name)
	b = append(b, ':')
	b = appendString(b, text)
	return append(b, '}')
}

// appendString appends a text that is valid UTF-8. It escapes only what JSON has
// escaped, and so may be compared byte by byte.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\t':
			b = append(b, '\\', 't')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// parseValue reads a value back. problem says what is wrong with it, if anything.
func parseValue(n *jsontree.Node) (v driver.Arg, problem string) {
	switch n.Kind {
	case jsontree.Null:
		return driver.Null(), ""
	case jsontree.String:
		return driver.Text(n.Text), ""
	case jsontree.Number:
		return parseNumber(n.Text)
	case jsontree.Object:
		if len(n.Members) == 1 && n.Members[0].Value.Kind == jsontree.String {
			return parseObject(n.Members[0].Name, n.Members[0].Value.Text)
		}
	}
	return v, "must be a text, a number, null, or an object with one of text, blob and real"
}

func parseNumber(text string) (v driver.Arg, problem string) {
	if !strings.ContainsAny(text, ".eE") {
		i, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return v, "is a whole number of more than 64 bits"
		}
		return driver.Int(i), ""
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return v, "is a number of more than 64 bits"
	}
	return driver.Float(f), ""
}

func parseObject(name, text string) (v driver.Arg, problem string) {
	switch name {
	case textMember, blobMember:
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return v, "is not in base 64"
		}
		if name == textMember {
			return driver.Text(string(decoded)), ""
		}
		return driver.Blob(decoded), ""
	case realMember:
		switch text {
		case infinity:
			return driver.Float(math.Inf(1)), ""
		case negativeInfinity:
			return driver.Float(math.Inf(-1)), ""
		}
		return v, "is neither Infinity nor -Infinity"
	}
	return v, "is an object of " + name + ", not of text, blob or real"
}
