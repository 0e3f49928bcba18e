//go:build linux

package main

import (
	"strings"
	"testing"
)

func TestReply(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n"
	for _, tc := range []struct {
		name   string
		text   string
		status int
		last   bool
		whole  bool
		err    string
	}{
		{"of a known length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200, false, true, ""},
		{"empty", "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", 503, true, true, ""},
		{"in chunks", chunked, 200, false, true, ""},
		{"without its end", chunked[:len(chunked)-1], 200, false, false, ""},
		{"cut short", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", 200, false, false, ""},
		{"more behind it", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}", 200, false, false, "an answer is followed by 1 bytes"},
		{"no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", 0, false, false, `an answer begins with "SSH-2.0-OpenSSH"`},
		{"no status", "HTTP/1.1 OK\r\n\r\n", 0, false, false, `an answer begins with "HTTP/1.1 OK"`},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n", 200, false, false, "an answer of status 200 has no length"},
		{"a wrong length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", 200, false, false, `an answer has the Content-Length "-2"`},
		{"no end of the headers", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxHead), 0, false, false, "the headers of an answer have no end"},
	} {
		var r reply
		whole, err := r.take([]byte(tc.text))
		if whole != tc.whole || errorText(err) != tc.err || r.status != tc.status || r.last != tc.last {
			t.Errorf("%s: whole %v, error %q, status %d, last %v, want %v, %q, %d, %v", tc.name, whole, errorText(err), r.status, r.last, tc.whole, tc.err, tc.status, tc.last)
		}
	}
}

// Whichever way the bytes come, the answer is whole with the last of them and not before.
func FuzzReply(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\n", "\r\n\r\n", "",
	} {
		f.Add([]byte(text), 7)
	}
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		var once reply
		whole, err := once.take(text)
		if err != nil || len(text) == 0 {
			return
		}
		at = 1 + (at%len(text)+len(text))%len(text)
		var parts reply
		before, err := parts.take(text[:at])
		if err != nil {
			t.Fatalf("%q is taken, and %q of it is not: %v", text, text[:at], err)
		}
		if at == len(text) {
			return
		}
		if before && !once.chunked {
			t.Fatalf("%q is whole, and %q is too", text[:at], text)
		}
		if after, err := parts.take(text[at:]); err != nil || after != whole || parts.status != once.status || parts.last != once.last {
			t.Fatalf("%q and %q: whole %v, error %v, want %v", text[:at], text[at:], after, err, whole)
		}
	})
}
