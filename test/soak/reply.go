//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// reply reads an answer of HTTP/1.1 as its bytes come, and keeps nothing of the body. One that comes in chunks must be JSON,
// which has no line break in it that is one of CR and LF.
type reply struct {
	head    []byte // as long as the body has not begun
	began   bool   // the body has
	status  int
	last    bool  // the server closes the connection
	chunked bool  // else the body has
	left    int64 // so many more bytes
	tail    []byte
}

// lastChunk ends a body that comes in chunks.
var lastChunk = []byte("\r\n0\r\n\r\n")

const maxHead = 16 << 10

// reset makes it ready for the next answer.
func (r *reply) reset() { *r = reply{head: r.head[:0], tail: r.tail[:0]} }

// take takes what has come, and reports whether the answer is whole.
func (r *reply) take(b []byte) (whole bool, err error) {
	if !r.began {
		before := len(r.head)
		r.head = append(r.head, b...)
		end := bytes.Index(r.head, []byte("\r\n\r\n"))
		if end < 0 {
			if len(r.head) > maxHead {
				return false, errors.New("the headers of an answer have no end")
			}
			return false, nil
		}
		if err := r.parse(r.head[:end]); err != nil {
			return false, err
		}
		r.began = true
		b = b[end+4-before:]
	}
	if !r.chunked {
		r.left -= int64(len(b))
		if r.left < 0 {
			return false, fmt.Errorf("an answer is followed by %d bytes", -r.left)
		}
		return r.left == 0, nil
	}
	r.tail = append(r.tail, b[max(0, len(b)-len(lastChunk)):]...)
	r.tail = r.tail[max(0, len(r.tail)-len(lastChunk)):]
	return bytes.Equal(r.tail, lastChunk), nil
}

// parse reads the status line and the headers.
func (r *reply) parse(head []byte) error {
	line, rest, _ := strings.Cut(string(head), "\r\n")
	words := strings.SplitN(line, " ", 3)
	status := 0
	if len(words) >= 2 && words[0] == "HTTP/1.1" {
		status, _ = strconv.Atoi(words[1]) // 0 is none
	}
	if status < 200 || status > 599 {
		return fmt.Errorf("an answer begins with %.50q", line)
	}
	r.status, r.left = status, -1
	for header := range strings.SplitSeq(rest, "\r\n") {
		name, value, _ := strings.Cut(header, ":")
		value = strings.TrimSpace(value)
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 {
				return fmt.Errorf("an answer has the Content-Length %q", value)
			}
			r.left = n
		case "Transfer-Encoding":
			r.chunked = value == "chunked"
		case "Connection":
			r.last = strings.EqualFold(value, "close")
		}
	}
	if r.left < 0 && !r.chunked {
		return fmt.Errorf("an answer of status %d has no length", status)
	}
	return nil
}
