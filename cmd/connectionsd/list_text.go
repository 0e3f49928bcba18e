package main

import (
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"
)

// unknownCell stands where a value is not known.
const unknownCell = "-"

// processText returns a process's name with everything in it that is not printable escaped as in a Go string. A process
// chooses its name itself, so it may be out to move the cursor of the terminal, or to look like more cells and lines. The
// same goes for all else that others choose.
func processText(name string) string {
	if name == "" {
		return unknownCell
	}
	return escaped(name)
}

func escaped(s string) string {
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// wordText is processText without spaces, so that a line has as many words as columns.
func wordText(name string) string {
	return strings.ReplaceAll(processText(name), " ", `\x20`)
}

// fieldText is processText for a field of CSV: nothing for what is not known, and what a spreadsheet would take for a
// formula escaped.
func fieldText(name string) string {
	if name == "" {
		return ""
	}
	name = escaped(name)
	if strings.IndexByte("=+-@", name[0]) >= 0 {
		return `\x` + strconv.FormatUint(uint64(name[0]), 16) + name[1:]
	}
	return name
}

// ellipsis stands where text was left out.
const ellipsis = "…"

// cellWidths tells how many cells of a terminal text takes, whatever the locale: ambiguous characters are narrow, as nearly all
// terminals draw them.
var cellWidths = &runewidth.Condition{StrictEmojiNeutral: true}

// widthOf returns how many cells s takes.
func widthOf(s string) int { return cellWidths.StringWidth(s) }

// shortened returns s in at most width cells, with … for what was left out.
func shortened(s string, width int) string {
	if widthOf(s) <= width {
		return s
	}
	return cellWidths.Truncate(s, width, ellipsis)
}

// shortenedEnd is shortened for an address with a port, which it keeps: it says more than the end of the address.
func shortenedEnd(s string, width int) string {
	colon := strings.LastIndexByte(s, ':')
	if widthOf(s) <= width || colon < 0 || width < len(s)-colon+1 {
		return shortened(s, width)
	}
	return shortened(s[:colon], width-(len(s)-colon)) + s[colon:]
}

// padded returns s in width cells.
func padded(s string, width int, right bool) string {
	blank := strings.Repeat(" ", max(0, width-widthOf(s)))
	if right {
		return blank + s
	}
	return s + blank
}
