package process

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// CommandLines is how the command lines of processes are shown.
type CommandLines int

const (
	Redacted CommandLines = iota // with *** in place of passwords and their like
	Full                         // as they are
	Off                          // not at all
)

// ParseCommandLines reads full, redacted or off. Its error says what would be
// right.
func ParseCommandLines(s string) (CommandLines, error) {
	switch s {
	case "full":
		return Full, nil
	case "redacted":
		return Redacted, nil
	case "off":
		return Off, nil
	}
	return 0, errors.New("want full, redacted or off")
}

// longestLine is the length of the longest line shown, in bytes.
const longestLine = 1024

// Show returns a command line as it may be shown: the arguments with a blank
// between them and nothing quoted, for people to read. It is at most 1024 bytes
// long; one that is cut ends in an ellipsis. It is "" for Off.
//
// Redacted hides what tells by its name or its place that it lets somebody in:
// passwords, tokens, keys, and what of addresses is credentials. It rather hides
// too much than too little, but not ports, hosts and flags that have nothing to
// do with secrets. What nothing tells of, such as a second argument that happens
// to be a password, is shown. The rules stand at redact.
func (c CommandLines) Show(args []string) string {
	switch c {
	case Off:
		return ""
	case Full:
		return bounded(strings.Join(args, " "))
	default:
		return bounded(redact(args))
	}
}

// bounded returns s, cut between two characters where it is too long.
func bounded(s string) string {
	const ellipsis = "…"
	if len(s) <= longestLine {
		return s
	}
	end := longestLine - len(ellipsis)
	for back := 0; back < utf8.UTFMax-1 && !utf8.RuneStart(s[end]); back++ {
		end--
	}
	return s[:end] + ellipsis
}
