//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// appendBody appends the body of an HTTP answer to dst if all of b, the answer,
// has come. The answer has to be a 200, and to say its length or to come in
// chunks, as monerod's and the daemon's do: for that much net/http takes too
// long.
func appendBody(dst, b []byte) (body []byte, whole bool, err error) {
	head, rest, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole {
		return dst, false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return dst, false, fmt.Errorf("the answer begins with %.40q, want HTTP/1.1 200", head)
	}
	if bytes.Contains(head, []byte("\r\nTransfer-Encoding: chunked")) {
		return appendChunks(dst, rest)
	}
	_, said, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	value, _, _ := bytes.Cut(said, []byte("\r\n"))
	length, err := strconv.ParseUint(string(value), 10, 32)
	switch {
	case err != nil:
		return dst, false, fmt.Errorf("the answer has no length that can be read: %.400q", head)
	case uint64(len(rest)) < length:
		return dst, false, nil
	case uint64(len(rest)) > length:
		return dst, false, fmt.Errorf("%d bytes follow the answer", uint64(len(rest))-length)
	}
	return append(dst, rest...), true, nil
}

// appendChunks appends what is in chunks to dst if the last of them, which is
// empty, has come. There are no trailers.
func appendChunks(dst, b []byte) (body []byte, whole bool, err error) {
	for body = dst; ; {
		line, rest, ended := bytes.Cut(b, []byte("\r\n"))
		if !ended {
			return dst, false, nil
		}
		size, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return dst, false, fmt.Errorf("the size of a chunk is %.40q", line)
		}
		end := int(size)
		if len(rest) < end+len("\r\n") {
			return dst, false, nil
		}
		if !bytes.HasPrefix(rest[end:], []byte("\r\n")) {
			return dst, false, fmt.Errorf("a chunk of %d bytes does not end there", size)
		}
		body, b = append(body, rest[:end]...), rest[end+len("\r\n"):]
		if size > 0 {
			continue
		}
		if len(b) > 0 {
			return dst, false, fmt.Errorf("%d bytes follow the answer", len(b))
		}
		return body, true, nil
	}
}
