package cli

import (
	"strings"
	"unicode"
)

// widthOf is how many columns a text takes on a terminal.
func widthOf(text string) (width int) {
	for _, r := range text {
		width += runeWidth(r)
	}
	return width
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	default:
		return 1
	}
}

// clip returns the beginning of a text that fits in so many columns.
func clip(text string, columns int) string {
	width := 0
	for i, r := range text {
		if width += runeWidth(r); width > columns {
			return text[:i]
		}
	}
	return text
}

// cut is clip with a sign that something is missing.
func cut(text string, columns int) string {
	if clip(text, columns) == text {
		return text
	}
	if columns < 1 {
		return ""
	}
	return clip(text, columns-1) + "…"
}

// pad makes a text so many columns wide.
func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-widthOf(text)))
}

// wide are the characters of East Asia and the pictures that take two columns; see
// Unicode's Standard Annex 11.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1},
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1},
		{Lo: 0x3041, Hi: 0x4dbf, Stride: 1},
		{Lo: 0x4e00, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff01, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1},
		{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}
