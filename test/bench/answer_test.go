//go:build linux

package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

func TestAppendBody(t *testing.T) {
	const (
		length  = "HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 3\r\nX: y\r\n\r\n"
		chunked = "HTTP/1.1 200 OK\r\nServer: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	)
	for _, tc := range []struct {
		name, answer string
		want         string
		whole        bool
		err          string
	}{
		{"with its length", length + "abc", "<abc", true, ""},
		{"a part of the head", length[:len(length)-2], "<", false, ""},
		{"a part of the body", length + "ab", "<", false, ""},
		{"more than the body", length + "abcd", "<", false, "1 bytes follow the answer"},
		{"in chunks", chunked + "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", "<abc0123456789", true, ""},
		{"the last chunk is not there", chunked + "3\r\nabc\r\n", "<", false, ""},
		{"the last chunk has not ended", chunked + "3\r\nabc\r\n0\r\n", "<", false, ""},
		{"a part of a chunk", chunked + "3\r\nab", "<", false, ""},
		{"a chunk that is too long", chunked + "3\r\nabcd\r\n", "<", false, "a chunk of 3 bytes does not end there"},
		{"a chunk without a size", chunked + "x\r\n", "<", false, `the size of a chunk is "x"`},
		{"more than the chunks", chunked + "0\r\n\r\na", "<", false, "1 bytes follow the answer"},
		{"another status", "HTTP/1.1 404 Not Found\r\n\r\n", "<", false, `the answer begins with "HTTP/1.1 404 Not Found", want HTTP/1.1 200`},
		{"no length", "HTTP/1.1 200 OK\r\n\r\n", "<", false, `the answer has no length that can be read: "HTTP/1.1 200 OK"`},
		{
			"no number", "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n", "<", false,
			`the answer has no length that can be read: "HTTP/1.1 200 OK\r\nContent-Length: -3"`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body, whole, err := appendBody([]byte("<"), []byte(tc.answer))
			if string(body) != tc.want || whole != tc.whole || errorText(err) != tc.err {
				t.Errorf("%q, whole %v, error %q, want %q, %v, %q", body, whole, errorText(err), tc.want, tc.whole, tc.err)
			}
		})
	}
}

// What is whole, net/http reads too.
func FuzzAppendBody(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\nabc\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		body, whole, err := appendBody(nil, answer)
		if err != nil || !whole {
			return
		}
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
		if err != nil {
			return // by a header that is not looked at
		}
		want, err := io.ReadAll(response.Body)
		if err == nil && !response.Close && !bytes.Equal(body, want) {
			t.Errorf("body %q, want %q", body, want)
		}
	})
}
