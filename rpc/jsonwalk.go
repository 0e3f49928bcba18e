package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"

	"github.com/sourcegraph/jsonrpc2"
)

// checkJSON returns a parse error unless body is one JSON value in UTF-8, with nothing but white space around it.
// encoding/json by itself lets broken UTF-8 through.
func checkJSON(body []byte) *jsonrpc2.Error {
	switch {
	case skipSpace(body, 0) == len(body):
		return parseError("the body is empty")
	case !utf8.Valid(body):
		return parseError("the body is not valid UTF-8")
	case !json.Valid(body):
		var value json.RawMessage
		var syntax *json.SyntaxError
		if errors.As(json.Unmarshal(body, &value), &syntax) {
			return parseError(fmt.Sprintf("the body is not valid JSON at byte %d", syntax.Offset))
		}
		return parseError("the body is not valid JSON")
	}
	return nil
}

// What follows walks JSON that checkJSON has accepted, and therefore checks nothing. It yields the bytes of the values
// as they stand in the input, which decoding would not: the id of a call is echoed byte for byte. Nor does it allocate,
// and it shows members that come twice and keeps their names exact, where encoding/json folds their case.

// elements yields the elements of an array.
func elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := skipSpace(array, skipSpace(array, 0)+1)
		for array[i] != ']' {
			end := valueEnd(array, i)
			if !yield(array[i:end]) {
				return
			}
			i = skipSpace(array, end)
			if array[i] == ',' {
				i = skipSpace(array, i+1)
			}
		}
	}
}

// members yields the names, quoted as they stand, and the values of an object, in order.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		i := skipSpace(object, skipSpace(object, 0)+1)
		for object[i] != '}' {
			nameEnd := stringEnd(object, i)
			start := skipSpace(object, skipSpace(object, nameEnd)+1)
			end := valueEnd(object, start)
			if !yield(object[i:nameEnd], object[start:end]) {
				return
			}
			i = skipSpace(object, end)
			if object[i] == ',' {
				i = skipSpace(object, i+1)
			}
		}
	}
}

// skipSpace returns the index of the first byte from i on that is not JSON white space, or len(b).
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns the index after the value that begins at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = stringEnd(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			i++
			if depth == 0 {
				return i
			}
		}
	default: // a number, true, false or null
		for i < len(b) {
			switch b[i] {
			case ' ', '\t', '\n', '\r', ',', ']', '}':
				return i
			}
			i++
		}
		return i
	}
}

// stringEnd returns the index after the string whose opening quote is at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// stringValue returns what a JSON string says: its own bytes, or a decoded copy if it has escapes.
func stringValue(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	for _, c := range inner {
		if c == '\\' {
			var s string
			_ = json.Unmarshal(quoted, &s) // cannot fail: checkJSON has accepted it
			return []byte(s)
		}
	}
	return inner
}
