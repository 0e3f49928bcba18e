package rpc

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// readStatus reads an answer and returns its status.
func readStatus(t *testing.T, conn net.Conn) int {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// What is no request of HTTP/1.1, or too large a one, is the client's fault, and ends its connection.
func TestRequestsThatAreNone(t *testing.T) {
	const host = "Host: localhost\r\n"
	l := listen(t)
	stop, ended := start(t, &Server{Handler: NewHandler(testOptions(io.Discard))}, l)
	for _, test := range []struct{ name, request, status, body string }{
		{"headers of 16 KiB", "GET /healthz HTTP/1.1\r\n" + host + "A: " + strings.Repeat("a", 16<<10-100) + "\r\nConnection: close\r\n\r\n", "200 OK", `"health"`},
		{"headers of 21 KiB", "GET /healthz HTTP/1.1\r\n" + host + "A: " + strings.Repeat("a", 21<<10) + "\r\n\r\n", "431 Request Header Fields Too Large", "431 Request Header Fields Too Large"},
		{"a request line of 21 KiB", "GET /" + strings.Repeat("a", 21<<10) + " HTTP/1.1\r\n" + host + "\r\n", "431 Request Header Fields Too Large", "431 Request Header Fields Too Large"},
		{"a URL of 9 KiB", "GET /" + strings.Repeat("a", 9<<10) + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", "414 Request URI Too Long", `{"error":"the URL has more than 8192 bytes"}`},
		{"no HTTP", "hello\r\n\r\n", "400 Bad Request", "400 Bad Request"},
		{"a version to come", "GET / HTTP/9.9\r\n" + host + "\r\n", "400 Bad Request", "400 Bad Request: want HTTP/1.0 or HTTP/1.1"},
		{"a version of old", "GET / HTTP/0.9\r\n" + host + "\r\n", "400 Bad Request", "400 Bad Request: want HTTP/1.0 or HTTP/1.1"},
		{"an unknown coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", "400 Bad Request", "400 Bad Request: want no Transfer-Encoding but chunked"},
		{"an unknown expectation", "POST / HTTP/1.1\r\n" + host + "Expect: tea\r\nContent-Length: 2\r\n\r\n{}", "417 Expectation Failed", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, test.request); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(4 * time.Second)) // less than any deadline of the server
			answer, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(answer); !strings.HasPrefix(got, "HTTP/1.1 "+test.status+"\r\n") || !strings.HasSuffix(got, "\r\n\r\n"+test.body) {
				t.Errorf("answer %q, want %s and %s", got, test.status, test.body)
			}
		})
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// What a handler says stays as it is, whatever it looks like.
func TestAnswersAreNotTouched(t *testing.T) {
	const said = "HTTP/1.1 501 Not Implemented\r\n\r\n"
	text := strings.Repeat(" ", 8<<10) + strings.Repeat(said, 1<<10)
	l := listen(t)
	stop, ended := start(t, &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotImplemented)
		for rest := text; rest != ""; { // every write begins with it
			n := min(len(rest), 8<<10)
			_, _ = io.WriteString(w, rest[:n])
			rest = rest[n:]
		}
	})}, l)
	response, err := http.ReadResponse(bufio.NewReader(send(t, l)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != text || response.StatusCode != 501 {
		t.Errorf("status %d, %d bytes, %v", response.StatusCode, len(body), err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
