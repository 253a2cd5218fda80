// Package words takes texts apart into the words by which they are found. A text and
// a question about it go through the same, so that what is to be equal is equal.
package words

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Word is a word of a text: letters, digits and marks, whatever is between them.
type Word struct {
	Text     string // as it is compared: no capitals, no accents
	From, To int    // where it is: bytes of the text
}

// longest is how many bytes of a word count: of what is longer, such as a picture in
// base64, the beginning. So even with accents a word of 42 characters counts whole.
const longest = 128

// All returns the words of a text.
//
// Writing that has no blanks between words (Chinese, Japanese, Thai, …) is taken
// apart into its characters: a row of them is then found as a phrase is, in the
// midst of whatever they are in.
func All(text string) iter.Seq[Word] {
	return func(yield func(Word) bool) {
		for i := 0; i < len(text); {
			r, size := decode(text[i:])
			from, alone := i, unspaced(r)
			i += size
			if !belongs(r) && !isMark(r) {
				continue
			}
			for i < len(text) {
				r, size = decode(text[i:])
				if !isMark(r) && (alone || !belongs(r) || unspaced(r)) {
					break
				}
				i += size
			}
			if word := plain(text[from:i]); word != "" && !yield(Word{Text: word, From: from, To: i}) {
				return
			}
		}
	}
}

func decode(text string) (rune, int) {
	if text[0] < utf8.RuneSelf {
		return rune(text[0]), 1
	}
	return utf8.DecodeRuneInString(text)
}

// isMark reports whether a character belongs to the one before it.
func isMark(r rune) bool { return r >= 0x300 && unicode.Is(unicode.M, r) }

// belongs reports whether a character belongs to a word.
func belongs(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.Co, r)
}

// unspaced reports whether a letter is of a writing without blanks between words.
func unspaced(r rune) bool {
	const longVowel = 'ー' // of no script in particular
	return r >= 0xe00 && (r == longVowel ||
		unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar))
}

// plain is a word as it is compared. But for letters and digits it has nothing of
// ASCII, so that an index may take that for what separates words.
func plain(word string) string {
	ascii := true
	for i := 0; i < len(word) && ascii; i++ {
		ascii = word[i] < utf8.RuneSelf
	}
	if ascii {
		word = strings.ToLower(word)
	} else {
		word = norm.NFC.String(strings.Map(fold, norm.NFKD.String(word)))
	}
	if len(word) <= longest {
		return word
	}
	end := longest
	for !utf8.RuneStart(word[end]) {
		end--
	}
	return word[:end]
}

// fold makes a character of a decomposed word what it is compared as; -1 is nothing.
func fold(r rune) rune {
	switch {
	case r < utf8.RuneSelf && !belongs(r): // a part of another, such as ⑴
		return -1
	case unicode.Is(accents, r):
		return -1
	default:
		return unicode.ToLower(unicode.ToUpper(r)) // ς is Σ is σ
	}
}

// accents are the marks on letters of alphabets. Those of other writings are vowels,
// and make another word.
var accents = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x0300, Hi: 0x036f, Stride: 1},
	{Lo: 0x1ab0, Hi: 0x1aff, Stride: 1},
	{Lo: 0x1dc0, Hi: 0x1dff, Stride: 1},
	{Lo: 0x20d0, Hi: 0x20ff, Stride: 1},
	{Lo: 0xfe20, Hi: 0xfe2f, Stride: 1},
}}
