package nexus

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// JSON is a JSON document as text, kept to the byte. The empty string stands
// for NULL.
//
// Another program may have stored text that is not JSON; such text is kept and
// marshals as a string.
type JSON string

// Valid reports whether j holds well-formed JSON.
func (j JSON) Valid() bool { return json.Valid([]byte(j)) }

// MarshalJSON embeds the document as it is.
func (j JSON) MarshalJSON() ([]byte, error) {
	switch {
	case j == "":
		return []byte("null"), nil
	case j.Valid() && utf8.ValidString(string(j)):
		return []byte(j), nil
	default:
		return json.Marshal(string(j))
	}
}

// UnmarshalJSON keeps the document's text; null becomes the empty string.
func (j *JSON) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*j = ""
	} else {
		*j = JSON(text)
	}
	return nil
}

// EncodeIDs returns ids as the JSON array that the contract keeps them as;
// none become the empty string, which is stored as NULL.
func EncodeIDs(ids []string) JSON {
	if len(ids) == 0 {
		return ""
	}
	if allPlain(ids) {
		return JSON(`["` + strings.Join(ids, `","`) + `"]`)
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // as other programs write it
	_ = encoder.Encode(ids)      // strings always marshal
	return JSON(strings.TrimSuffix(text.String(), "\n"))
}

// DecodeIDs reads what [EncodeIDs] wrote, and makes the best of what other
// programs may have written: what is no text becomes its JSON, and text that is no
// JSON array becomes a single id, so that it is shown and not lost.
func DecodeIDs(text JSON) []string {
	if text == "" {
		return nil
	}
	if ids, ok := decodePlainIDs(string(text)); ok {
		return ids
	}
	var values []json.RawMessage
	if json.Unmarshal([]byte(text), &values) != nil {
		return []string{string(text)}
	}
	ids := make([]string, len(values))
	for i, value := range values {
		if value[0] != '"' || json.Unmarshal(value, &ids[i]) != nil {
			ids[i] = string(value)
		}
	}
	return ids
}

// decodePlainIDs reads what EncodeIDs writes for ids that JSON does not escape,
// and leaves everything else to encoding/json. Nearly all ids are such, and
// reading a task spent a sixth of its time there.
func decodePlainIDs(text string) (ids []string, ok bool) {
	if len(text) < 4 || text[:2] != `["` || text[len(text)-2:] != `"]` {
		return nil, false
	}
	text = text[2 : len(text)-2]
	quotes := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"':
			quotes++
		case !isPlain(c):
			return nil, false
		}
	}
	if quotes == 0 {
		return []string{text}, true
	}
	ids = strings.Split(text, `","`)
	return ids, quotes == 2*(len(ids)-1) // there is none in an id
}

// allPlain reports whether JSON has all ids as they are, between quotes.
func allPlain(ids []string) bool {
	for _, id := range ids {
		for i := range len(id) {
			if c := id[i]; c == '"' || !isPlain(c) {
				return false
			}
		}
	}
	return true
}

// isPlain reports whether JSON has a character of ASCII, other than the quote, as it is.
func isPlain(c byte) bool { return ' ' <= c && c < 0x7f && c != '\\' }
